//! One member's next step towards the target: first give back, then reach the epoch, then get what is free.

use super::member::{Held, Member, MemberState};
use crate::group::assignor::Partitions;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What a member is to go towards.
pub(super) struct Goal<'a> {
    pub epoch: i32,
    pub partitions: &'a Partitions,
    /// When its subscription changed: whether it still subscribes to a topic.
    pub subscribed: Option<&'a dyn Fn(Uuid) -> bool>,
    /// What the member says it has, if it says so.
    pub owned: Option<&'a Partitions>,
    /// Nobody has the partition, nor has it to give back.
    pub is_free: &'a dyn Fn(Uuid, i32) -> bool,
}

impl Goal<'_> {
    /// The member as it is to be now.
    pub fn step(&self, member: &Member) -> Member {
        match member.state {
            MemberState::Stable if member.epoch == self.epoch => self.subscribed_only(member),
            MemberState::UnrevokedPartitions if self.still_has(&member.revoking) => self.subscribed_only(member),
            // It has given back what it had to: that was one step.
            MemberState::UnrevokedPartitions => self.next(member, (member.epoch + 1).min(self.epoch.max(member.epoch))),
            MemberState::Stable | MemberState::UnreleasedPartitions => self.next(member, member.epoch),
        }
    }

    /// Partitions of topics it has left go at once; the epoch stays.
    fn subscribed_only(&self, member: &Member) -> Member {
        let Some(subscribed) = self.subscribed else { return member.clone() };
        let (assigned, left) = split(&member.assigned, |topic, _| subscribed(*topic));
        if left.is_empty() {
            return member.clone();
        }
        let mut revoking = member.revoking.clone();
        for (topic, partitions) in left {
            revoking.entry(topic).or_default().extend(partitions);
        }
        if self.still_has(&revoking) {
            return at(member, MemberState::UnrevokedPartitions, member.epoch, assigned, revoking);
        }
        Member { previous_epoch: member.epoch, assigned, ..member.clone() }
    }

    fn next(&self, member: &Member, epoch: i32) -> Member {
        let is_target =
            |topic: &Uuid, index: &i32| self.partitions.get(topic).is_some_and(|wanted| wanted.contains(index));
        let (mut assigned, revoking) = split(&member.assigned, is_target);
        if !revoking.is_empty() && self.still_has(&revoking) {
            return at(member, MemberState::UnrevokedPartitions, epoch, assigned, revoking);
        }
        let mut waits = false;
        for (topic, wanted) in self.partitions {
            for index in wanted {
                let has = assigned.get(topic).is_some_and(|held| held.contains_key(index));
                let is_free = (self.is_free)(*topic, *index) || gave_back(member, *topic, *index);
                if !has && is_free {
                    assigned.entry(*topic).or_default().insert(*index, self.epoch);
                }
                waits |= !has && !is_free;
            }
        }
        let state = if waits { MemberState::UnreleasedPartitions } else { MemberState::Stable };
        at(member, state, self.epoch, assigned, Held::new())
    }

    /// A member that does not say what it has may have it still.
    fn still_has(&self, revoking: &Held) -> bool {
        let Some(owned) = self.owned else { return true };
        revoking.iter().any(|(topic, partitions)| {
            owned.get(topic).is_some_and(|owned| partitions.keys().any(|index| owned.contains(index)))
        })
    }
}

/// What it was giving back and may have again: it is nobody else's.
fn gave_back(member: &Member, topic: Uuid, index: i32) -> bool {
    member.revoking.get(&topic).is_some_and(|partitions| partitions.contains_key(&index))
}

fn at(member: &Member, state: MemberState, epoch: i32, assigned: Held, revoking: Held) -> Member {
    Member { state, previous_epoch: member.epoch, epoch, assigned, revoking, ..member.clone() }
}

/// Those that stay, and those that go.
fn split(held: &Held, stays: impl Fn(&Uuid, &i32) -> bool) -> (Held, Held) {
    let (mut staying, mut going) = (Held::new(), Held::new());
    for (topic, partitions) in held {
        for (index, epoch) in partitions {
            let place = if stays(topic, index) { &mut staying } else { &mut going };
            place.entry(*topic).or_default().insert(*index, *epoch);
        }
    }
    (staying, going)
}

/// Partitions without their epochs.
pub(super) fn bare(held: &Held) -> Partitions {
    let keys = |partitions: &BTreeMap<i32, i32>| partitions.keys().copied().collect::<BTreeSet<_>>();
    held.iter().map(|(topic, partitions)| (*topic, keys(partitions))).collect()
}
