//! As even as subscriptions allow, moving as little as possible; among equals the member in a partition's rack gets it.
//!
//! Members keep what they have, up to their share. What is left goes to whoever has least, topics that few may have
//! first. Where subscriptions differ, partitions then move from those who have more to those who have less.

use super::{Partitions, Problem};
use odradek_protocol::primitives::Str;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

type Partition = (Uuid, i32);

pub fn assign(problem: &Problem) -> BTreeMap<Str, Partitions> {
    let mut shares = Shares::new(problem);
    shares.keep(problem);
    shares.give(problem);
    if !is_homogeneous(problem) {
        shares.even_out();
    }
    shares.into_assignment()
}

fn is_homogeneous(problem: &Problem) -> bool {
    let mut subscriptions = problem.members.values().map(|member| &member.topics);
    let first = subscriptions.next();
    subscriptions.all(|topics| Some(topics) == first)
}

/// What each member has so far, by its place.
struct Shares<'a> {
    ids: Vec<&'a Str>,
    held: Vec<BTreeSet<Partition>>,
    /// Places by how much they have.
    by_load: BTreeSet<(usize, usize)>,
    unassigned: BTreeSet<Partition>,
    /// Places that may have a topic.
    subscribers: BTreeMap<Uuid, Vec<usize>>,
}

impl<'a> Shares<'a> {
    fn new(problem: &'a Problem) -> Self {
        let ids: Vec<&Str> = problem.members.keys().collect();
        let mut subscribers: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
        for (place, member) in problem.members.values().enumerate() {
            for topic in member.topics.iter().filter(|topic| problem.topics.contains_key(*topic)) {
                subscribers.entry(*topic).or_default().push(place);
            }
        }
        let unassigned = subscribers
            .keys()
            .flat_map(|topic| (0..problem.topics[topic].partitions).map(move |index| (*topic, index)))
            .collect();
        let by_load = (0..ids.len()).map(|place| (0, place)).collect();
        Self { held: vec![BTreeSet::new(); ids.len()], ids, by_load, unassigned, subscribers }
    }

    /// What they have stays theirs, as far as it is no more than their share.
    fn keep(&mut self, problem: &Problem) {
        let count = self.ids.len().max(1);
        let (share, extra) = (self.unassigned.len() / count, self.unassigned.len() % count);
        let limits = is_homogeneous(problem);
        let mut extra_left = extra;
        for (place, member) in problem.members.values().enumerate() {
            for (topic, partitions) in member.target.iter().filter(|(topic, _)| member.topics.contains(*topic)) {
                for index in partitions {
                    let is_over = self.held[place].len() >= share;
                    let may_keep = !limits || !is_over || (self.held[place].len() == share && extra_left > 0);
                    if may_keep && self.unassigned.contains(&(*topic, *index)) {
                        extra_left -= usize::from(limits && is_over);
                        self.put(place, (*topic, *index));
                    }
                }
            }
        }
    }

    fn give(&mut self, problem: &Problem) {
        let mut left: Vec<Partition> = self.unassigned.iter().copied().collect();
        left.sort_by_key(|(topic, index)| (self.subscribers[topic].len(), *index, *topic));
        let everybody = self.ids.len();
        for partition in left {
            let subscribers = &self.subscribers[&partition.0];
            let least = if subscribers.len() == everybody {
                self.by_load.first().map(|(load, _)| *load)
            } else {
                subscribers.iter().map(|place| self.held[*place].len()).min()
            };
            let Some(least) = least else { continue };
            let place = self.choose(problem, partition, least);
            self.put(place, partition);
        }
    }

    /// One of those who have `least`: in the partition's rack, if there is one.
    fn choose(&self, problem: &Problem, (topic, index): Partition, least: usize) -> usize {
        const LOOKED_AT_MAX: usize = 64;
        let may = |place: &usize| self.subscribers[&topic].binary_search(place).is_ok();
        let equals = || self.by_load.range((least, 0)..=(least, usize::MAX)).map(|(_, place)| *place).filter(may);
        let racks = problem.topics[&topic].racks.get(&index);
        let is_near = |place: &usize| {
            let rack = problem.members[self.ids[*place]].rack.as_ref();
            rack.zip(racks).is_some_and(|(rack, racks)| racks.contains(rack))
        };
        let near = racks.and_then(|_| equals().take(LOOKED_AT_MAX).find(is_near));
        near.or_else(|| equals().next()).expect("somebody has the least")
    }

    fn put(&mut self, place: usize, partition: Partition) {
        self.unassigned.remove(&partition);
        self.change(place, |held| held.insert(partition));
    }

    fn change(&mut self, place: usize, act: impl FnOnce(&mut BTreeSet<Partition>) -> bool) {
        self.by_load.remove(&(self.held[place].len(), place));
        act(&mut self.held[place]);
        self.by_load.insert((self.held[place].len(), place));
    }

    /// Moves partitions down while that makes two members more equal; each move lowers the sum of squares, so it ends.
    fn even_out(&mut self) {
        let total: usize = self.held.iter().map(BTreeSet::len).sum();
        for _ in 0..total {
            let Some((from, to, partition)) = self.find_move() else { return };
            self.change(from, |held| held.remove(&partition));
            self.change(to, |held| held.insert(partition));
        }
    }

    /// From the fullest member that can give to the emptiest that can take, at least two fewer.
    fn find_move(&self) -> Option<(usize, usize, Partition)> {
        for (load, from) in self.by_load.iter().rev() {
            let topics: BTreeSet<Uuid> = self.held[*from].iter().map(|(topic, _)| *topic).collect();
            let takers = topics.iter().flat_map(|topic| {
                let takers = self.subscribers[topic].iter().map(move |place| (self.held[*place].len(), *place, *topic));
                takers.filter(|(taken, ..)| taken + 1 < *load)
            });
            if let Some((_, to, topic)) = takers.min() {
                let partition = self.held[*from].range((topic, 0)..=(topic, i32::MAX)).next_back();
                return partition.map(|partition| (*from, to, *partition));
            }
        }
        None
    }

    fn into_assignment(self) -> BTreeMap<Str, Partitions> {
        let of = |held: BTreeSet<Partition>| {
            let mut partitions = Partitions::new();
            held.into_iter().for_each(|(topic, index)| {
                partitions.entry(topic).or_default().insert(index);
            });
            partitions
        };
        self.ids.into_iter().cloned().zip(self.held.into_iter().map(of)).collect()
    }
}
