//! LeaveGroup, versions 0-5: members go. v3 several at once, static ones by their instance.

use super::answer::Call;
use super::context::Context;
use crate::group::{Reply, Request};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::leave_group_request::MemberIdentity;
use odradek_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};
use std::rc::Rc;

/// First version with several members.
const BATCHED_SINCE: i16 = 3;

pub async fn handle(context: &Rc<Context>, call: &Call, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let LeaveGroupRequest { group_id: group, member_id, members } = request;
    let is_batched = call.version >= BATCHED_SINCE;
    let members = if is_batched { members } else { vec![MemberIdentity { member_id, ..Default::default() }] };
    let Reply::Leave(mut response) = context.ask_group(&group.clone(), Request::Leave { group, members }).await else {
        return LeaveGroupResponse { error_code: ErrorCode::UnknownServerError.code(), ..Default::default() };
    };
    if !is_batched && response.error_code == 0 {
        response.error_code = response.members.first().map_or(0, |member| member.error_code);
    }
    if !is_batched {
        response.members.clear();
    }
    response
}
