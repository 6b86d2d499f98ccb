//! SyncGroup of a classic member: its assignment as Kafka's consumer protocol writes it.

use super::super::reconcile::bare;
use super::super::{ConsumerGroup, Member, MemberState};
use super::ClassicMember;
use super::heartbeat::expect_join;
use crate::coordinator::Turn;
use crate::group::classic::CONSUMER;
use crate::group::embedded;
use crate::group::machine::GroupMachine;
use crate::group::timer::Timer;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

impl GroupMachine {
    pub(in crate::group) fn classic_member_sync(
        &self,
        turn: &mut Turn<'_, Self>,
        request: &SyncGroupRequest,
    ) -> Result<SyncGroupResponse, ErrorCode> {
        let group = self.consumer(&request.group_id).ok_or(ErrorCode::UnknownMemberId)?;
        let (member, classic) = group.classic_member(&request.member_id, request.group_instance_id.as_ref())?;
        check(request, member, classic)?;
        if group.must_join_before_sync(member) {
            expect_join(turn, &group.id, member);
            return Err(ErrorCode::RebalanceInProgress);
        }
        turn.cancel(&Timer::member_sync(&group.id, &member.id));
        turn.schedule(Timer::session(&group.id, &member.id), classic.session_timeout());
        Ok(SyncGroupResponse {
            protocol_type: request.protocol_type.clone(),
            protocol_name: request.protocol_name.clone(),
            assignment: embedded::encode(&bare(&member.assigned), &classic.first().metadata, &self.scene().image),
            ..Default::default()
        })
    }
}

impl ConsumerGroup {
    /// One that is giving back gets what it keeps first.
    fn must_join_before_sync(&self, member: &Member) -> bool {
        self.assignment_epoch > member.epoch && member.state != MemberState::UnrevokedPartitions
    }
}

fn check(request: &SyncGroupRequest, member: &Member, classic: &ClassicMember) -> Result<(), ErrorCode> {
    if request.generation_id != member.epoch {
        return Err(ErrorCode::IllegalGeneration);
    }
    let is_other_type = request.protocol_type.as_ref().is_some_and(|told| told.as_str() != CONSUMER);
    let is_other_name = request.protocol_name.as_ref().is_some_and(|told| *told != classic.first().name);
    if is_other_type || is_other_name { Err(ErrorCode::InconsistentGroupProtocol) } else { Ok(()) }
}
