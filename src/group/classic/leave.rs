//! LeaveGroup: members go of their own will, or an admin sends static ones away.

use super::ClassicGroup;
use crate::coordinator::Turn;
use crate::group::machine::GroupMachine;
use crate::group::timer::Timer;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::LeaveGroupResponse;
use odradek_protocol::messages::leave_group_request::MemberIdentity;
use odradek_protocol::messages::leave_group_response::MemberResponse;
use odradek_protocol::primitives::Str;

impl ClassicGroup {
    pub fn leave(&mut self, turn: &mut Turn<'_, GroupMachine>, leaving: &[MemberIdentity]) -> LeaveGroupResponse {
        let mut has_lost = false;
        let mut members = Vec::with_capacity(leaving.len());
        for identity in leaving {
            let left = self.leave_one(turn, identity);
            has_lost |= left.is_ok();
            members.push(told(identity, left.err().unwrap_or(ErrorCode::None)));
        }
        if has_lost && matches!(self.state, super::State::PreparingRebalance) {
            self.maybe_complete_join(turn);
        } else if has_lost {
            self.after_loss(turn);
        }
        LeaveGroupResponse { members, ..Default::default() }
    }

    fn leave_one(&mut self, turn: &mut Turn<'_, GroupMachine>, identity: &MemberIdentity) -> Result<(), ErrorCode> {
        let (id, instance) = (&identity.member_id, &identity.group_instance_id);
        let id: Str = if id.is_empty() {
            let known = instance.as_ref().and_then(|instance| self.static_members.get(instance));
            known.cloned().ok_or(ErrorCode::UnknownMemberId)?
        } else if self.pending_members.contains(id) {
            id.clone()
        } else {
            self.check_member(id, instance.as_deref())?;
            id.clone()
        };
        turn.cancel(&Timer::Heartbeat { group: self.id.clone(), member: id.clone() });
        if !self.remove_pending(&id) {
            self.expel(turn, &id);
        }
        Ok(())
    }
}

/// The same for every member.
pub fn refuse_all(leaving: &[MemberIdentity], error: ErrorCode) -> LeaveGroupResponse {
    let members = leaving.iter().map(|identity| told(identity, error)).collect();
    LeaveGroupResponse { members, ..Default::default() }
}

pub fn told(identity: &MemberIdentity, error: ErrorCode) -> MemberResponse {
    MemberResponse {
        member_id: identity.member_id.clone(),
        group_instance_id: identity.group_instance_id.clone(),
        error_code: error.code(),
        ..Default::default()
    }
}
