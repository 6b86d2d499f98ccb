//! A classic group: who is in it, which generation it is at, and what it is waiting for.
//!
//! ```text
//!            join                 all joined or time up               leader's assignment
//!  Empty ----------> PreparingRebalance ----------> CompletingRebalance ----------> Stable
//!    ^                  |    ^    ^                         |                         |
//!    +------------------+    |    +-------------------------+                         |
//!      nobody is left        +--------------------------------------------------------+
//!                                     a member joins, leaves, changes, is silent
//! ```

mod complete_join;
mod describe;
mod downgrade;
mod expire;
mod heartbeat;
pub mod join;
pub mod leave;
mod load;
mod member;
mod offsets;
mod rebalance;
mod static_member;
mod subscription;
pub mod sync;

use super::weight::{ENTRY_BYTES, Total, Weight};
use crate::coordinator::Ticket;
use bytes::Bytes;
pub use load::as_millis;
pub use member::{Member, Protocol, Size, protocols};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use odradek_protocol::primitives::Str;
use odradek_shards::types::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
pub use subscription::CONSUMER;

/// Kafka's names, as DescribeGroups and ListGroups tell them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }

    fn may_follow(self, before: Self) -> bool {
        use State::{CompletingRebalance, Empty, PreparingRebalance, Stable};
        match self {
            Empty => before == PreparingRebalance,
            PreparingRebalance => matches!(before, Stable | CompletingRebalance | Empty),
            CompletingRebalance => before == PreparingRebalance,
            Stable => before == CompletingRebalance,
        }
    }
}

#[derive(Debug)]
pub struct ClassicGroup {
    id: Str,
    state: State,
    previous: State,
    since: Timestamp,
    generation: i32,
    /// None for one that only commits offsets.
    protocol_type: Option<Str>,
    protocol: Option<Str>,
    leader: Option<Str>,
    members: BTreeMap<Str, Member>,
    /// Member ids by instance id.
    static_members: BTreeMap<Str, Str>,
    /// Ids given out whose members have not come back with them.
    pending_members: BTreeSet<Str>,
    /// Members of this generation that have not asked for their assignment.
    pending_syncs: BTreeSet<Str>,
    /// Topics of all members, where their subscriptions can be read.
    subscribed_topics: Option<BTreeSet<Str>>,
    /// During the first rebalance of an empty group.
    initial_delay: Option<InitialDelay>,
    weight: Weight,
    /// What its members take in a record, at most, but for their assignments.
    recorded_bytes: usize,
}

/// `group.initial.rebalance.delay.ms`: begun again when somebody new joins, up to the rebalance timeout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct InitialDelay {
    delay: Duration,
    remaining: Duration,
    member_added: bool,
}

impl ClassicGroup {
    pub fn new(id: Str, now: Timestamp, total: &Total) -> Self {
        Self {
            weight: Weight::new(total, &id),
            recorded_bytes: 0,
            id,
            state: State::Empty,
            previous: State::Empty,
            since: now,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_members: BTreeSet::new(),
            pending_syncs: BTreeSet::new(),
            subscribed_topics: None,
            initial_delay: None,
        }
    }

    pub fn id(&self) -> &Str {
        &self.id
    }

    pub fn total(&self) -> &Total {
        self.weight.total()
    }

    pub fn generation(&self) -> i32 {
        self.generation
    }

    pub fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.values()
    }

    fn is_leader(&self, member: &str) -> bool {
        self.leader.as_deref() == Some(member)
    }

    pub fn has_pending_members(&self) -> bool {
        !self.pending_members.is_empty()
    }

    /// The longest time any member takes to rejoin.
    fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    fn has_all_joined(&self) -> bool {
        self.pending_members.is_empty() && self.members.values().all(|member| member.joining.is_some())
    }

    fn move_to(&mut self, state: State, now: Timestamp) {
        assert!(state.may_follow(self.state), "{:?} does not follow {:?}", state, self.state);
        self.previous = self.state;
        self.state = state;
        self.since = now;
    }

    /// The member that a request means.
    fn check_member(&self, member: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.static_members.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(known) if known.as_str() != member => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// Whether who offers these protocols can be one of the group: all must share one.
    fn supports(&self, protocol_type: &str, offered: &[JoinGroupRequestProtocol]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !offered.is_empty();
        }
        let is_common =
            |protocol: &JoinGroupRequestProtocol| self.members.values().all(|member| member.offers(&protocol.name));
        self.protocol_type.as_deref() == Some(protocol_type) && offered.iter().any(is_common)
    }

    fn add(&mut self, member: Member, protocol_type: &Str) {
        if let Some(instance) = &member.instance {
            let before = self.static_members.insert(instance.clone(), member.id.clone());
            assert!(before.is_none(), "an instance is one member");
        }
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.detached());
        }
        self.leader.get_or_insert_with(|| member.id.clone());
        self.remove_pending(&member.id);
        self.count(Size::default(), member.size());
        self.members.insert(member.id.clone(), member);
    }

    fn add_pending(&mut self, id: Str) {
        self.weight.change(0, pending_bytes(&id));
        self.pending_members.insert(id);
    }

    /// Whether it was one.
    fn remove_pending(&mut self, id: &str) -> bool {
        let was_pending = self.pending_members.remove(id);
        if was_pending {
            self.weight.change(pending_bytes(id), 0);
        }
        was_pending
    }

    /// A member that took `before` takes `after`.
    fn count(&mut self, before: Size, after: Size) {
        self.weight.change(before.held, after.held);
        self.recorded_bytes = self.recorded_bytes + after.recorded - before.recorded;
    }

    /// Gives members other assignments and targets, and counts what they take then.
    fn reassign(&mut self, mut assignment: impl FnMut(&Member) -> (Bytes, Option<Bytes>)) {
        let (mut before, mut after) = (0, 0);
        for member in self.members.values_mut() {
            before += member.assigned_bytes();
            (member.assignment, member.target) = assignment(member);
            after += member.assigned_bytes();
        }
        self.weight.change(before, after);
    }

    /// Takes out a member or a pending one; another becomes the leader if it was.
    fn remove(&mut self, id: &str) -> Option<Member> {
        let removed = self.members.remove(id);
        self.count(removed.as_ref().map(Member::size).unwrap_or_default(), Size::default());
        if let Some(instance) = removed.as_ref().and_then(|member| member.instance.as_ref()) {
            self.static_members.remove(instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.remove_pending(id);
        self.pending_syncs.remove(id);
        removed
    }

    /// Requests that wait for this group.
    pub fn take_waiting(&mut self) -> (Vec<(Str, Ticket)>, Vec<Ticket>) {
        let mut joins = Vec::new();
        let mut syncs = Vec::new();
        for member in self.members.values_mut() {
            joins.extend(member.joining.take().map(|ticket| (member.id.clone(), ticket)));
            syncs.extend(member.syncing.take());
        }
        (joins, syncs)
    }
}

fn pending_bytes(id: &str) -> usize {
    ENTRY_BYTES + id.len()
}

#[cfg(test)]
impl ClassicGroup {
    /// What must hold after every turn.
    pub fn check(&self) {
        assert_eq!(self.state == State::Empty, self.members.is_empty() && self.state != State::PreparingRebalance);
        assert_eq!(self.leader.is_some(), !self.members.is_empty(), "a group with members has a leader");
        assert!(self.leader.as_ref().is_none_or(|leader| self.members.contains_key(leader)), "the leader is a member");
        let is_member = |id: &Str| self.members.contains_key(id);
        assert!(self.static_members.values().all(is_member) && self.pending_syncs.iter().all(is_member));
        assert!(!self.pending_members.iter().any(is_member), "a pending member is none yet");
        assert!(self.members.values().all(|member| member.joining.is_none() || member.syncing.is_none()));
        let recorded: usize = self.members.values().map(|member| member.size().recorded).sum();
        assert_eq!(self.recorded_bytes, recorded, "what members take is counted as it changes");
    }

    /// Counted and, the second, reckoned anew.
    pub fn weights(&self) -> (usize, usize) {
        let members: usize = self.members.values().map(|member| member.size().held).sum();
        let pending: usize = self.pending_members.iter().map(|id| pending_bytes(id)).sum();
        (self.weight.bytes(), super::weight::GROUP_BYTES + self.id.len() + members + pending)
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn leader(&self) -> Option<&Str> {
        self.leader.as_ref()
    }
}
