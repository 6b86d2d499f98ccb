//! A member leaves: for good, or, if it is static, for a while, keeping its place.

use super::member::Held;
use super::{LEAVING_FOR_A_WHILE, Member, MemberState, Refusal, cancel_timers};
use crate::coordinator::Turn;
use crate::group::machine::GroupMachine;
use crate::group::timer::Timer;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use odradek_protocol::primitives::Str;
use std::collections::BTreeSet;

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

    pub(super) fn remove_consumer_member(&mut self, turn: &mut Turn<'_, Self>, group_id: &Str, id: &Str) {
        self.remove_consumer_members(turn, group_id, &BTreeSet::from([id.clone()]));
    }

    /// Nothing of them stays, and the others are to share their work; as a classic group, if they all speak its protocol.
    pub(super) fn remove_consumer_members(&mut self, turn: &mut Turn<'_, Self>, group_id: &Str, ids: &BTreeSet<Str>) {
        let Some(group) = self.consumer(group_id) else { return };
        let (gone, left): (Vec<_>, Vec<_>) = group.members().partition(|member| ids.contains(&member.id));
        if gone.is_empty() {
            return;
        }
        let were_last =
            gone.iter().any(|member| member.classic.is_none()) && left.iter().all(|member| member.classic.is_some());
        let generation = group.epoch;
        let records: Vec<_> = gone.iter().map(|member| group.member_tombstones(&member.id)).collect();
        gone.iter().for_each(|member| cancel_timers(turn, group_id, &member.id));
        for tombstones in records {
            tombstones.into_iter().for_each(|record| self.apply(turn, record));
            turn.may_tear();
        }
        if were_last && self.may_downgrade(turn, group_id) {
            self.downgrade(turn, group_id, generation, true);
        } else {
            self.advance_epoch(turn, group_id, true);
        }
    }
}
