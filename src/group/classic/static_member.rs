//! A static member that comes back without its id: it takes the place it had, and whoever still claims it is fenced.

use super::complete_join::select_protocol;
use super::join::{Joining, SKIP_ASSIGNMENT_SINCE, refusal};
use super::{ClassicGroup, State};
use crate::coordinator::{Draft, Turn};
use crate::group::machine::GroupMachine;
use crate::group::record::GroupRecord;
use crate::group::request::Reply;
use crate::group::timer::Timer;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::JoinGroupResponse;
use odradek_protocol::primitives::Str;

impl ClassicGroup {
    /// `before`: the id it had.
    pub(super) fn replace(&mut self, turn: &mut Turn<'_, GroupMachine>, joining: &Joining<'_>, before: &Str, id: Str) {
        let led_by = self.leader.clone().unwrap_or_default();
        self.rename(turn, before, &id);
        self.update(turn, joining, &id);
        match self.state {
            State::Stable => match self.resumption(turn) {
                Some(record) => self.resume(turn, joining, &id, (led_by, record)),
                None => self.rebalance_or_complete_join(turn, joining.initial_delay),
            },
            State::CompletingRebalance => self.prepare_rebalance(turn, joining.initial_delay),
            State::PreparingRebalance => self.maybe_complete_join(turn),
            State::Empty => unreachable!("an empty group has no static members"),
        }
    }

    fn rename(&mut self, turn: &mut Turn<'_, GroupMachine>, before: &Str, id: &Str) {
        let mut member = self.members.remove(before).expect("static members are members");
        let size = member.size();
        if let Some(ticket) = member.joining.take() {
            turn.reply(ticket, refusal(before.clone(), ErrorCode::FencedInstanceId));
        }
        if let Some(ticket) = member.syncing.take() {
            turn.reply(ticket, super::sync::refusal(ErrorCode::FencedInstanceId));
        }
        turn.cancel(&Timer::Heartbeat { group: self.id.clone(), member: before.clone() });
        turn.schedule(Timer::Heartbeat { group: self.id.clone(), member: id.clone() }, member.session_timeout);
        if self.is_leader(before) {
            self.leader = Some(id.clone());
        }
        let instance = member.instance.clone().expect("a static member has an instance id");
        self.static_members.insert(instance, id.clone());
        if self.pending_syncs.remove(before) {
            self.pending_syncs.insert(id.clone());
        }
        member.id = id.clone();
        member.is_new = false;
        self.count(size, member.size());
        self.members.insert(id.clone(), member);
    }

    /// The group as it goes on without a rebalance. With a record that does not fit, all must join and be refused the
    /// assignment.
    fn resumption(&self, turn: &Turn<'_, GroupMachine>) -> Option<Draft<GroupRecord>> {
        if self.protocol.as_ref() != Some(&select_protocol(&self.members)) {
            return None;
        }
        let mut record = Draft::from(self.to_record());
        turn.fits([&mut record]).then_some(record)
    }

    /// No rebalance: nothing has changed but its id, which the record must have.
    fn resume(
        &mut self,
        turn: &mut Turn<'_, GroupMachine>,
        joining: &Joining<'_>,
        id: &Str,
        (led_by, record): (Str, Draft<GroupRecord>),
    ) {
        turn.keep(record);
        let member = self.members.get_mut(id).expect("it has just been put there");
        member.joining = None;
        let reply = if joining.version >= SKIP_ASSIGNMENT_SINCE {
            JoinGroupResponse { skip_assignment: self.is_leader(id), ..self.joined(id) }
        } else {
            // An old leader hears of the id it had, so that it takes itself for a follower and assigns nothing.
            JoinGroupResponse { leader: led_by, members: Vec::new(), ..self.joined(id) }
        };
        turn.reply(joining.ticket, Reply::Join(reply));
    }
}
