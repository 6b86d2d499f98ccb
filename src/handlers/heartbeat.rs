//! Heartbeat, versions 0-4: a member of a classic group is alive. v3 static members.

use super::answer::Call;
use super::context::Context;
use crate::group::{Reply, Request};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{HeartbeatRequest, HeartbeatResponse};
use std::rc::Rc;

pub async fn handle(context: &Rc<Context>, _call: &Call, request: HeartbeatRequest) -> HeartbeatResponse {
    let group = request.group_id.clone();
    match context.ask_group(&group, Request::Heartbeat(request)).await {
        Reply::Heartbeat(response) => response,
        _ => HeartbeatResponse { error_code: ErrorCode::UnknownServerError.code(), ..Default::default() },
    }
}
