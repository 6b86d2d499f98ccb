//! As even as subscriptions allow, moving as little as possible; among equals the member in a partition's rack gets it.
//!
//! Members keep what they have, up to their share. What is left goes to whoever has least, topics that few may have
//! first. Where subscriptions differ, partitions then move from those who have more to those who have less
//! ([`evening`](super::evening)).

use super::subscriptions::Subscriptions;
use super::{Candidate, Partitions, Problem};
use odradek_protocol::primitives::Str;
use std::collections::{BTreeMap, BTreeSet};

pub fn assign(problem: &Problem) -> BTreeMap<Str, Partitions> {
    let mut shares = Shares::new(problem);
    let is_homogeneous = shares.subscriptions.is_homogeneous();
    shares.keep(is_homogeneous);
    shares.give();
    if !is_homogeneous {
        shares.even_out();
    }
    let given = shares.into_partitions();
    problem.members.keys().cloned().zip(given).collect()
}

/// Who has what so far; members and topics by their places.
pub(super) struct Shares<'a> {
    pub subscriptions: Subscriptions<'a>,
    members: Vec<&'a Candidate>,
    /// Who has each partition of each topic.
    pub owners: Vec<Vec<Option<usize>>>,
    /// How much each member has.
    pub loads: Vec<usize>,
}

impl<'a> Shares<'a> {
    fn new(problem: &'a Problem) -> Self {
        let members: Vec<&Candidate> = problem.members.values().collect();
        let subscriptions = Subscriptions::new(problem, members.iter().copied());
        let owners = subscriptions.subjects.iter().map(|subject| vec![None; subject.topic.count()]).collect();
        let loads = vec![0; members.len()];
        Self { subscriptions, members, owners, loads }
    }

    /// What they have stays theirs; where all may have the same, as far as it is no more than their share.
    fn keep(&mut self, is_limited: bool) {
        let wanted = self.subscriptions.subjects.iter().filter(|subject| subject.subscribers > 0);
        let wanted: usize = wanted.map(|subject| subject.topic.count()).sum();
        let count = self.members.len().max(1);
        let (share, mut extra_left) = (wanted / count, wanted % count);
        for (place, member) in self.members.iter().enumerate() {
            for (topic, partitions) in member.target.iter().filter(|(topic, _)| member.topics.contains(*topic)) {
                let Some(topic) = self.subscriptions.place(*topic) else { continue };
                for index in partitions.iter().filter_map(|index| usize::try_from(*index).ok()) {
                    let is_over = self.loads[place] >= share;
                    let may_keep = !is_limited || !is_over || (self.loads[place] == share && extra_left > 0);
                    if may_keep && self.owners[topic].get(index) == Some(&None) {
                        extra_left -= usize::from(is_limited && is_over);
                        self.owners[topic][index] = Some(place);
                        self.loads[place] += 1;
                    }
                }
            }
        }
    }

    /// Topics that everybody may have come last, and share out evenly what the others could not.
    fn give(&mut self) {
        let subjects = &self.subscriptions.subjects;
        let mut few: Vec<usize> = (0..subjects.len()).filter(|topic| subjects[*topic].subscribers > 0).collect();
        let everybody = few.extract_if(.., |topic| self.subscriptions.is_for_everybody(&subjects[*topic]));
        let everybody: Vec<usize> = everybody.collect();
        few.sort_by_key(|topic| subjects[*topic].subscribers);
        for topic in few {
            let left = self.left(topic);
            let mut takers = Takers::least(self.subscriptions.subscribers(topic), &self.loads, left.len());
            left.into_iter().for_each(|partition| self.give_one(partition, &mut takers));
        }
        let mut left: Vec<_> = everybody.into_iter().flat_map(|topic| self.left(topic)).collect();
        left.sort_by_key(|(topic, index)| (*index, *topic));
        let mut takers = Takers::least(0..self.members.len(), &self.loads, left.len());
        left.into_iter().for_each(|partition| self.give_one(partition, &mut takers));
    }

    fn left(&self, topic: usize) -> Vec<(usize, usize)> {
        let free = self.owners[topic].iter().enumerate().filter(|(_, owner)| owner.is_none());
        free.map(|(index, _)| (topic, index)).collect()
    }

    fn give_one(&mut self, (topic, index): (usize, usize), takers: &mut Takers) {
        let racks =
            i32::try_from(index).ok().and_then(|index| self.subscriptions.subjects[topic].topic.racks.get(&index));
        let is_near = |place: usize| {
            let rack = self.members[place].rack.as_ref();
            rack.zip(racks).is_some_and(|(rack, racks)| racks.contains(rack))
        };
        let place = takers.take(racks.map(|_| is_near));
        self.owners[topic][index] = Some(place);
        self.loads[place] += 1;
    }

    fn into_partitions(self) -> Vec<Partitions> {
        let mut given = vec![Partitions::new(); self.members.len()];
        for (subject, owners) in self.subscriptions.subjects.iter().zip(self.owners) {
            for (index, owner) in (0..).zip(owners) {
                if let Some(place) = owner {
                    given[place].entry(subject.id).or_default().insert(index);
                }
            }
        }
        given
    }
}

/// Who may have what is given out, by how much they have.
struct Takers(BTreeSet<(usize, usize)>);

/// Members with the least that are looked at for one in a partition's rack.
const LOOKED_AT_MAX: usize = 64;

impl Takers {
    /// As many of those who have least as can get some of `left`, and some more to choose from.
    fn least(members: impl Iterator<Item = usize>, loads: &[usize], left: usize) -> Self {
        if left == 0 {
            return Self(BTreeSet::new());
        }
        let mut least: Vec<_> = members.map(|place| (loads[place], place)).collect();
        let needed = left + LOOKED_AT_MAX;
        if least.len() > needed {
            least.select_nth_unstable(needed);
            least.truncate(needed);
        }
        Self(least.into_iter().collect())
    }

    /// One of those who have least: a near one, if there is one.
    fn take(&mut self, is_near: Option<impl Fn(usize) -> bool>) -> usize {
        let first = *self.0.first().expect("a topic has subscribers");
        let equals = self.0.range(first..=(first.0, usize::MAX)).take(LOOKED_AT_MAX);
        let near = is_near.and_then(|is_near| equals.copied().find(|(_, place)| is_near(*place)));
        let (load, place) = near.unwrap_or(first);
        self.0.remove(&(load, place));
        self.0.insert((load + 1, place));
        place
    }
}
