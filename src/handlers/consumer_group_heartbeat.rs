//! ConsumerGroupHeartbeat, versions 0-1 (KIP-848): a member of a consumer group says what it wants and has. v1 regular
//! expressions, members make their ids.

use super::answer::Call;
use super::context::Context;
use crate::group::{Reply, Request, validate_heartbeat};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use std::rc::Rc;

/// The protocol's name in `group.coordinator.rebalance.protocols`.
const PROTOCOL: &str = "consumer";

pub async fn handle(
    context: &Rc<Context>,
    call: &Call,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let config = context.config();
    if !config.groups.group_coordinator_rebalance_protocols.iter().any(|protocol| protocol == PROTOCOL) {
        return refuse(ErrorCode::UnsupportedVersion, None);
    }
    if let Err(refusal) = validate_heartbeat(call.version, &request, &config) {
        return refuse(refusal.error, Some(refusal.message));
    }
    let group = request.group_id.clone();
    let asked = Request::ConsumerHeartbeat { client: call.asker(), request };
    match context.ask_group(&group, asked).await {
        Reply::ConsumerHeartbeat(response) => response,
        _ => refuse(ErrorCode::UnknownServerError, None),
    }
}

fn refuse(error: ErrorCode, message: Option<String>) -> ConsumerGroupHeartbeatResponse {
    let error_message = message.map(Into::into);
    ConsumerGroupHeartbeatResponse { error_code: error.code(), error_message, ..Default::default() }
}
