//! Members that have fallen silent, or have not given back in time, are out.

use super::MemberState;
use super::classic::ClassicMember;
use crate::coordinator::Turn;
use crate::group::machine::GroupMachine;
use crate::group::timer::Timer;
use odradek_protocol::primitives::Str;

impl GroupMachine {
    /// A classic member has a timeout of its own.
    pub(in crate::group) fn expect_heartbeat(&self, turn: &mut Turn<'_, Self>, group_id: &Str, id: &Str) {
        let member = self.consumer(group_id).and_then(|group| group.members.get(id));
        let own = member.and_then(|member| member.classic.as_ref()).map(ClassicMember::session_timeout);
        turn.schedule(Timer::session(group_id, id), own.unwrap_or_else(|| self.session_timeout(group_id)));
    }

    pub(in crate::group) fn consumer_session_expired(&mut self, turn: &mut Turn<'_, Self>, group_id: &Str, id: &Str) {
        self.remove_consumer_member(turn, group_id, id);
    }

    pub(in crate::group) fn consumer_rebalance_expired(&mut self, turn: &mut Turn<'_, Self>, group_id: &Str, id: &Str) {
        let member = self.consumer(group_id).and_then(|group| group.members.get(id));
        if member.is_some_and(|member| member.state == MemberState::UnrevokedPartitions) {
            self.remove_consumer_member(turn, group_id, id);
        }
    }

    /// The partition has been read: everybody's time begins anew.
    pub(in crate::group) fn consumer_group_loaded(&self, turn: &mut Turn<'_, Self>, group_id: &Str) {
        let Some(group) = self.consumer(group_id) else { return };
        for member in group.members.values() {
            self.expect_heartbeat(turn, group_id, &member.id);
            if member.state == MemberState::UnrevokedPartitions && member.classic.is_none() {
                turn.schedule(Timer::rebalance(group_id, &member.id), member.rebalance_timeout());
            }
        }
    }
}
