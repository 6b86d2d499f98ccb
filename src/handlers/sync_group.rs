//! SyncGroup, versions 0-5: a member hands in or fetches the assignment. v5 says which protocol it is for.

use super::answer::Call;
use super::context::Context;
use crate::group::{Reply, Request};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use std::rc::Rc;

/// First version that must name the protocol.
const NAMED_PROTOCOL_SINCE: i16 = 5;

pub async fn handle(context: &Rc<Context>, call: &Call, request: SyncGroupRequest) -> SyncGroupResponse {
    let is_named = request.protocol_type.is_some() && request.protocol_name.is_some();
    if call.version >= NAMED_PROTOCOL_SINCE && !is_named {
        return refuse(ErrorCode::InconsistentGroupProtocol);
    }
    let group = request.group_id.clone();
    match context.ask_group(&group, Request::Sync(request)).await {
        Reply::Sync(response) => response,
        _ => refuse(ErrorCode::UnknownServerError),
    }
}

fn refuse(error: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code: error.code(), ..Default::default() }
}
