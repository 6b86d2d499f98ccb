//! LeaveGroup in a consumer group: members of either protocol go, static ones by their instance too.

use super::super::ConsumerGroup;
use crate::coordinator::Turn;
use crate::group::classic::leave::told;
use crate::group::machine::GroupMachine;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::LeaveGroupResponse;
use odradek_protocol::messages::leave_group_request::MemberIdentity;
use odradek_protocol::primitives::Str;
use std::collections::BTreeSet;

impl GroupMachine {
    pub(in crate::group) fn leave_consumer_group(
        &mut self,
        turn: &mut Turn<'_, Self>,
        group_id: &Str,
        leaving: &[MemberIdentity],
    ) -> LeaveGroupResponse {
        let Some(group) = self.consumer(group_id) else { return LeaveGroupResponse::default() };
        let mut gone = BTreeSet::new();
        let members = leaving.iter().map(|identity| {
            let found = group.leaver_of(identity);
            let error = found.as_ref().err().copied().unwrap_or(ErrorCode::None);
            gone.extend(found);
            told(identity, error)
        });
        let members = members.collect();
        self.remove_consumer_members(turn, &group_id.detached(), &gone);
        LeaveGroupResponse { members, ..Default::default() }
    }
}

impl ConsumerGroup {
    fn leaver_of(&self, identity: &MemberIdentity) -> Result<Str, ErrorCode> {
        match &identity.group_instance_id {
            Some(instance) if identity.member_id.is_empty() => {
                self.static_members.get(instance).cloned().ok_or(ErrorCode::UnknownMemberId)
            }
            instance => self.named(&identity.member_id, instance.as_ref()).map(|member| member.id.clone()),
        }
    }
}
