//! Heartbeat of a classic member: it hears that there is something for it to give back or to get.

use super::super::{ConsumerGroup, Member, MemberState};
use crate::coordinator::Turn;
use crate::group::machine::GroupMachine;
use crate::group::timer::Timer;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::HeartbeatRequest;
use odradek_protocol::primitives::Str;

impl GroupMachine {
    pub(in crate::group) fn classic_member_beat(
        &self,
        turn: &mut Turn<'_, Self>,
        request: &HeartbeatRequest,
    ) -> Result<(), ErrorCode> {
        let group = self.consumer(&request.group_id).ok_or(ErrorCode::UnknownMemberId)?;
        let (member, classic) = group.classic_member(&request.member_id, request.group_instance_id.as_ref())?;
        if request.generation_id != member.epoch {
            return Err(ErrorCode::IllegalGeneration);
        }
        turn.schedule(Timer::session(&group.id, &member.id), classic.session_timeout());
        if group.must_join(member) {
            expect_join(turn, &group.id, member);
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }
}

impl ConsumerGroup {
    fn must_join(&self, member: &Member) -> bool {
        let is_behind = member.epoch < self.assignment_epoch;
        is_behind
            || match member.state {
                MemberState::Stable => false,
                MemberState::UnrevokedPartitions => true,
                MemberState::UnreleasedPartitions => !self.waits_for_others(member),
            }
    }

    /// Something it is to have is still with somebody.
    fn waits_for_others(&self, member: &Member) -> bool {
        let target = self.target_or_nothing(&member.id);
        target.iter().any(|(topic, wanted)| {
            let has = |index: &i32| member.assigned.get(topic).is_some_and(|held| held.contains_key(index));
            wanted.iter().any(|index| !has(index) && self.owners.contains_key(&(*topic, *index)))
        })
    }
}

/// It has its rebalance timeout to come back, from when it was first told.
pub(super) fn expect_join(turn: &mut Turn<'_, GroupMachine>, group: &Str, member: &Member) {
    let timer = Timer::member_join(group, &member.id);
    if !turn.is_scheduled(&timer) {
        turn.schedule(timer, member.rebalance_timeout());
    }
}
