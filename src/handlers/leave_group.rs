//! LeaveGroup, versions 0-5: members go. v3 several at once, static ones by their instance.

use super::answer::Call;
use super::context::Context;
use super::group_answers::Room;
use super::pace::Pace;
use crate::group::{Reply, Request};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::leave_group_request::MemberIdentity;
use odradek_protocol::messages::leave_group_response::MemberResponse;
use odradek_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};
use odradek_protocol::primitives::Str;
use std::rc::Rc;

/// Members that a group is asked about in one turn.
const LEAVING_AT_ONCE: usize = 1000;
/// First version with several members.
const BATCHED_SINCE: i16 = 3;

pub async fn handle(context: &Rc<Context>, call: &Call, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let LeaveGroupRequest { group_id: group, member_id, members } = request;
    let is_batched = call.version >= BATCHED_SINCE;
    let members = if is_batched { members } else { vec![MemberIdentity { member_id, ..Default::default() }] };
    let mut response = leave(context, group, members).await;
    if !is_batched && response.error_code == 0 {
        response.error_code = response.members.first().map_or(0, |member| member.error_code);
    }
    if !is_batched {
        response.members.clear();
    }
    response
}

/// Some members at a time: a group is not asked about more in one turn.
async fn leave(context: &Context, group: Str, members: Vec<MemberIdentity>) -> LeaveGroupResponse {
    let room = Room::default();
    let mut response = LeaveGroupResponse::default();
    let mut left = members.into_iter();
    loop {
        let members: Vec<_> = left.by_ref().take(LEAVING_AT_ONCE).collect();
        let asked = context.ask_group(&group, Request::Leave { group: group.clone(), members });
        match asked.await {
            Reply::Leave(told) if told.error_code == 0 => response.members.extend(told.members),
            Reply::Leave(told) => return told,
            _ => {
                return LeaveGroupResponse { error_code: ErrorCode::UnknownServerError.code(), ..Default::default() };
            }
        }
        if left.len() == 0 || !room.take(LEAVING_AT_ONCE * size_of::<MemberResponse>()) {
            break;
        }
    }
    let mut pace = Pace::default();
    for identity in left {
        pace.step(1).await;
        if !room.refuse(&identity.member_id) {
            break;
        }
        response.members.push(refused(identity));
    }
    response
}

fn refused(identity: MemberIdentity) -> MemberResponse {
    MemberResponse {
        member_id: identity.member_id,
        group_instance_id: identity.group_instance_id,
        error_code: ErrorCode::CoordinatorNotAvailable.code(),
        ..Default::default()
    }
}
