//! A consumer group all of whose members speak the classic protocol, as a classic group; and what that needs to know.

use super::complete_join::select_protocol;
use super::{CONSUMER, ClassicGroup, Member, Protocol, State};
use crate::coordinator::Turn;
use crate::group::consumer::classic::ClassicMember;
use crate::group::consumer::{self, ConsumerGroup};
use crate::group::embedded;
use crate::group::machine::GroupMachine;
use crate::group::settings::milliseconds;
use crate::group::timer::Timer;
use crate::metadata::Image;
use bytes::Bytes;
use odradek_protocol::primitives::Str;
use odradek_shards::types::Timestamp;

impl ClassicGroup {
    /// Stable, each member with its target. Before a rebalance that is told of only: what is recorded, and goes back into
    /// a consumer group, is what a member may still have, so that nobody else gets it.
    pub fn from_consumer(
        group: &ConsumerGroup,
        (generation, rebalances): (i32, bool),
        now: Timestamp,
        image: &Image,
    ) -> Self {
        let mut downgraded = Self::new(group.id().clone(), now, group.total());
        for (member, classic) in group.classic_members() {
            downgraded.add(heir(member, classic), &CONSUMER.into());
        }
        downgraded.state = State::Stable;
        downgraded.previous = State::Stable;
        downgraded.generation = generation;
        let protocol = select_protocol(&downgraded.members);
        downgraded.reassign(|member| {
            let encode = |given| embedded::encode(&given, &member.metadata(&protocol), image);
            let target = encode(group.target_or_nothing(&member.id));
            if rebalances { (encode(group.held_by(&member.id)), Some(target)) } else { (target, None) }
        });
        downgraded.protocol = Some(protocol);
        downgraded.subscribed_topics = downgraded.read_subscriptions();
        downgraded
    }

    pub fn expect_heartbeats(&self, turn: &mut Turn<'_, GroupMachine>) {
        for member in self.members.values() {
            let timer = Timer::Heartbeat { group: self.id.clone(), member: member.id.clone() };
            turn.schedule(timer, member.session_timeout);
        }
    }

    pub fn cancel_timers(&self, turn: &mut Turn<'_, GroupMachine>) {
        for id in self.members.keys().chain(&self.pending_members) {
            turn.cancel(&Timer::Heartbeat { group: self.id.clone(), member: id.clone() });
        }
        turn.cancel(&Timer::Join { group: self.id.clone() });
        turn.cancel(&Timer::Sync { group: self.id.clone() });
    }

    /// What all members offer: of the last generation, or, before there was one, the one they like best.
    pub fn shared_protocol(&self) -> Option<Str> {
        let chosen = || (!self.members.is_empty()).then(|| select_protocol(&self.members));
        self.protocol.clone().or_else(chosen)
    }
}

fn heir(member: &consumer::Member, classic: &ClassicMember) -> Member {
    let protocols: Vec<Protocol> = classic.protocols.clone();
    Member {
        id: member.id.clone(),
        instance: member.instance.clone(),
        client: member.client.clone(),
        rebalance_timeout: member.rebalance_timeout(),
        session_timeout: milliseconds(classic.session_timeout_ms),
        protocols,
        assignment: Bytes::new(),
        target: None,
        joining: None,
        syncing: None,
        is_new: false,
    }
}
