//! A consumer group (KIP-848): the coordinator assigns, members follow at their own pace.
//!
//! ```text
//! subscriptions, topics --> group epoch --> target assignment (its epoch follows) --> each member's current assignment
//! ```
//!
//! A member first gives back what it is to lose, then reaches the target's epoch, then gets what others have given back.

mod admission;
pub mod classic;
mod describe;
mod expiry;
mod heartbeat;
#[cfg(test)]
mod invariants;
mod leave;
mod member;
mod members;
mod offsets;
mod reconcile;
mod records;
mod refusal;
mod regex;
mod replay;
mod subscription;
mod target;
mod topic_names;
mod upgrade;
pub mod validate;

use super::assignor::Partitions;
use super::machine::GroupMachine;
use super::timer::Timer;
use super::weight::{ENTRY_BYTES, PARTITION_BYTES, Total, Weight};
use crate::coordinator::Turn;
#[cfg(test)]
pub use invariants::Epochs;
pub use member::{Member, MemberState};
use odradek_protocol::primitives::Str;
pub use refusal::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Group epoch of a group that nobody has joined.
const FIRST_EPOCH: i32 = 1;

/// `member_epoch` of who joins, who leaves, and who leaves for a while.
pub const JOINING: i32 = 0;
pub const LEAVING: i32 = -1;
pub const LEAVING_FOR_A_WHILE: i32 = -2;

/// Kafka's names, as ConsumerGroupDescribe and ListGroups tell them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Empty,
    Assigning,
    Reconciling,
    Stable,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

/// Topics that a regular expression matched, and when that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub topics: BTreeSet<Str>,
    pub version: i64,
    pub timestamp: i64,
}

impl Resolved {
    fn bytes(&self, expression: &str) -> usize {
        ENTRY_BYTES + expression.len() + self.topics.iter().map(|topic| ENTRY_BYTES + topic.len()).sum::<usize>()
    }
}

#[derive(Debug)]
pub struct ConsumerGroup {
    id: Str,
    epoch: i32,
    /// Of the topics that the group epoch reckons with.
    metadata_hash: i64,
    /// The group epoch that the target assignment is made for.
    assignment_epoch: i32,
    /// When it was made, in milliseconds.
    assigned_ms: i64,
    members: BTreeMap<Str, Member>,
    static_members: BTreeMap<Str, Str>,
    target: BTreeMap<Str, Partitions>,
    /// Who has a partition, or has yet to give it back.
    owners: BTreeMap<(Uuid, i32), Str>,
    regexes: BTreeMap<Str, Resolved>,
    /// How many members name a topic.
    subscribers: BTreeMap<Str, usize>,
    /// The metadata that the hash was last compared with; none right after loading.
    seen_metadata: Option<u64>,
    /// The metadata that all expressions have been matched with, and whose hash is known.
    matched_metadata: Option<u64>,
    /// The group epoch whose target no record can hold.
    unfit_epoch: Option<i32>,
    weight: Weight,
}

impl ConsumerGroup {
    pub fn new(id: Str, total: &Total) -> Self {
        Self {
            weight: Weight::new(total, &id),
            id,
            epoch: FIRST_EPOCH,
            metadata_hash: 0,
            assignment_epoch: 0,
            assigned_ms: 0,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            target: BTreeMap::new(),
            owners: BTreeMap::new(),
            regexes: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            seen_metadata: None,
            matched_metadata: None,
            unfit_epoch: None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn state(&self) -> State {
        if self.members.is_empty() {
            State::Empty
        } else if self.epoch > self.assignment_epoch {
            State::Assigning
        } else if self.members.values().all(|member| member.is_reconciled_to(self.assignment_epoch)) {
            State::Stable
        } else {
            State::Reconciling
        }
    }
}

/// Nothing is expected of the member any more.
pub(super) fn cancel_timers(turn: &mut Turn<'_, GroupMachine>, group: &Str, member: &Str) {
    let timers = [
        Timer::session(group, member),
        Timer::rebalance(group, member),
        Timer::member_join(group, member),
        Timer::member_sync(group, member),
    ];
    timers.iter().for_each(|timer| turn.cancel(timer));
}

impl ConsumerGroup {
    pub fn id(&self) -> &Str {
        &self.id
    }

    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    pub fn total(&self) -> &Total {
        self.weight.total()
    }

    /// What a member and what it is to have take, in bytes.
    fn bytes_of(&self, member: &str) -> usize {
        self.members.get(member).map_or(0, Member::bytes) + self.target.get(member).map_or(0, target_bytes)
    }

    pub fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.values()
    }
}

fn target_bytes(target: &Partitions) -> usize {
    ENTRY_BYTES + target.values().map(|partitions| ENTRY_BYTES + partitions.len() * PARTITION_BYTES).sum::<usize>()
}
