//! A member leaves: for good, or, if it is static, for a while, keeping its place.

use super::member::Held;
use super::{LEAVING_FOR_A_WHILE, Member, MemberState, Refusal};
use crate::coordinator::Turn;
use crate::group::machine::GroupMachine;
use crate::group::timer::Timer;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use odradek_protocol::primitives::Str;

impl GroupMachine {
    pub(super) fn consumer_leave(
        &mut self,
        turn: &mut Turn<'_, Self>,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let group_id = request.group_id.detached();
        let missing = || Refusal::new(ErrorCode::GroupIdNotFound, format!("Consumer group {group_id} not found."));
        let group = self.consumer(&group_id).ok_or_else(missing)?;
        let member = group.leaver(&request.member_id, request.instance_id.as_ref())?.clone();
        if request.member_epoch == LEAVING_FOR_A_WHILE {
            let epoch = LEAVING_FOR_A_WHILE;
            let away = Member {
                epoch,
                previous_epoch: member.epoch,
                revoking: Held::new(),
                state: MemberState::Stable,
                ..member.clone()
            };
            let record = group.current_record(&away);
            self.apply(turn, record);
            turn.cancel(&Timer::rebalance(&group_id, &member.id));
        } else {
            self.remove_consumer_member(turn, &group_id, &member.id);
        }
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(member.id),
            member_epoch: request.member_epoch,
            ..Default::default()
        })
    }

    /// Nothing of it stays, and the others are to share its work.
    pub(super) fn remove_consumer_member(&mut self, turn: &mut Turn<'_, Self>, group_id: &Str, id: &Str) {
        let Some(group) = self.consumer(group_id).filter(|group| group.members.contains_key(id)) else { return };
        let records = group.member_tombstones(id);
        for timer in [Timer::session(group_id, id), Timer::rebalance(group_id, id)] {
            turn.cancel(&timer);
        }
        records.into_iter().for_each(|record| self.apply(turn, record));
        self.advance_epoch(turn, group_id, true);
    }
}
