//! The end of the join phase: who has not come is out, the next generation begins, and all hear of it.

use super::member::Member;
use super::{ClassicGroup, State};
use crate::coordinator::Turn;
use crate::group::limits::JOIN_AGAIN_MIN;
use crate::group::machine::GroupMachine;
use crate::group::request::Reply;
use crate::group::timer::Timer;
use odradek_protocol::primitives::Str;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

impl ClassicGroup {
    pub(super) fn complete_join(&mut self, turn: &mut Turn<'_, GroupMachine>) {
        turn.cancel(&Timer::Join { group: self.id.clone() });
        self.remove_absent(turn);
        if !self.members.is_empty() && !self.elect_leader() {
            // Only static members are left, and none has come: they have their time again.
            turn.schedule(Timer::Join { group: self.id.clone() }, self.rebalance_timeout().max(JOIN_AGAIN_MIN));
            return;
        }
        self.begin_generation(turn);
        if self.state == State::Empty {
            turn.keep(self.to_record());
        } else {
            self.tell_generation(turn);
        }
    }

    /// Static members may be late: their session decides.
    fn remove_absent(&mut self, turn: &mut Turn<'_, GroupMachine>) {
        let is_absent = |member: &&Member| member.joining.is_none() && member.instance.is_none();
        let absent: Vec<Str> = self.members.values().filter(is_absent).map(|member| member.id.clone()).collect();
        for id in absent {
            turn.cancel(&Timer::Heartbeat { group: self.id.clone(), member: id.clone() });
            self.remove(&id);
        }
    }

    /// The leader is one who has joined; false when nobody has.
    fn elect_leader(&mut self) -> bool {
        let has_joined = |id: &Str| self.members[id].joining.is_some();
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let joined = self.members.values().find(|member| member.joining.is_some()).map(|member| member.id.clone());
        let found = joined.is_some();
        self.leader = joined.or(self.leader.take());
        found
    }

    fn begin_generation(&mut self, turn: &mut Turn<'_, GroupMachine>) {
        self.generation = self.generation.wrapping_add(1).max(0);
        self.initial_delay = None;
        self.pending_syncs.clear();
        self.protocol = (!self.members.is_empty()).then(|| select_protocol(&self.members));
        self.subscribed_topics = self.read_subscriptions();
        let state = if self.members.is_empty() { State::Empty } else { State::CompletingRebalance };
        self.move_to(state, turn.moment.wall);
    }

    fn tell_generation(&mut self, turn: &mut Turn<'_, GroupMachine>) {
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        for id in ids {
            let response = self.joined(&id);
            let member = self.members.get_mut(&id).expect("its id is a key");
            if let Some(ticket) = member.joining.take() {
                turn.reply(ticket, Reply::Join(response));
            }
            member.is_new = false;
            let timer = Timer::Heartbeat { group: self.id.clone(), member: id.clone() };
            turn.schedule(timer, member.session_timeout);
            self.pending_syncs.insert(id);
        }
        turn.schedule(Timer::Sync { group: self.id.clone() }, self.rebalance_timeout());
    }
}

/// What all offer and most like best.
pub(super) fn select_protocol(members: &BTreeMap<Str, Member>) -> Str {
    let first = members.values().next().expect("only members select a protocol");
    let is_common = |name: &&Str| members.values().all(|member| member.offers(name));
    let candidates: BTreeSet<Str> =
        first.protocols.iter().map(|protocol| &protocol.name).filter(is_common).cloned().collect();
    let mut votes: BTreeMap<&Str, usize> = BTreeMap::new();
    members.values().for_each(|member| *votes.entry(member.vote(&candidates)).or_default() += 1);
    let most = votes.into_iter().min_by_key(|(_, count)| Reverse(*count));
    most.expect("members of a group share a protocol").0.clone()
}
