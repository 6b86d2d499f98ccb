//! JoinGroup, versions 0-9: the coordinator of the group decides. v4 asks new members to come back with an id, v5 static
//! members, v7 the protocol's name may be null, v9 a leader may leave the assignment as it is.

use super::answer::Call;
use super::context::Context;
use crate::group::{Reply, Request};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use std::rc::Rc;

/// First version whose answers may have no protocol name.
const NULL_PROTOCOL_SINCE: i16 = 7;

pub async fn handle(context: &Rc<Context>, call: &Call, request: JoinGroupRequest) -> JoinGroupResponse {
    let group = request.group_id.clone();
    let asked = Request::Join { version: call.version, client: call.asker(), request };
    let Reply::Join(mut response) = context.ask_group(&group, asked).await else {
        return JoinGroupResponse { error_code: ErrorCode::UnknownServerError.code(), ..Default::default() };
    };
    if call.version < NULL_PROTOCOL_SINCE {
        response.protocol_name.get_or_insert_default();
    }
    response
}
