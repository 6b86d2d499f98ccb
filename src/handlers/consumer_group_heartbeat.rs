//! ConsumerGroupHeartbeat, versions 0-1 (KIP-848): a member of a consumer group says what it wants and has. v1 regular
//! expressions, members make their ids.

use super::answer::Call;
use super::context::Context;
use super::table;
use crate::exchange::{Answer, Serving};
use crate::group::{Reply, Request, validate_heartbeat};
use odradek_protocol::codec::Reader;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use std::future::ready;
use std::rc::Rc;

/// The protocol's name in `group.coordinator.rebalance.protocols`.
const PROTOCOL: &str = "consumer";

pub fn serve(context: Rc<Context>, call: Call, body: Reader) -> Serving {
    table::serve_at_once(context, call, body, ask)
}

fn ask(context: Rc<Context>, call: Call, request: ConsumerGroupHeartbeatRequest) -> Serving {
    if let Err(refusal) = check(&context, &call, &request) {
        return Box::pin(ready(answer(&call, &refusal)));
    }
    let group = request.group_id.clone();
    let request = Request::ConsumerHeartbeat { client: call.asker(), request };
    if let Some(reply) = context.ask_group_at_once(&group, &request) {
        return Box::pin(ready(answer(&call, &told(reply))));
    }
    Box::pin(async move { answer(&call, &told(context.ask_group(&group, request).await)) })
}

/// What can be said of it without its group.
fn check(
    context: &Context,
    call: &Call,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<(), ConsumerGroupHeartbeatResponse> {
    let config = context.config();
    if !config.groups.group_coordinator_rebalance_protocols.iter().any(|protocol| protocol == PROTOCOL) {
        return Err(refuse(ErrorCode::UnsupportedVersion, None));
    }
    validate_heartbeat(call.version, request, &config).map_err(|refusal| refuse(refusal.error, Some(refusal.message)))
}

fn told(reply: Reply) -> ConsumerGroupHeartbeatResponse {
    match reply {
        Reply::ConsumerHeartbeat(response) => response,
        _ => refuse(ErrorCode::UnknownServerError, None),
    }
}

/// A member that hears of an assignment, or of an error, goes on to follow it.
fn answer(call: &Call, response: &ConsumerGroupHeartbeatResponse) -> Answer {
    let answer = call.answer(response);
    let is_calm = response.error_code == 0 && response.assignment.is_none();
    if is_calm { answer } else { answer.stirring() }
}

fn refuse(error: ErrorCode, message: Option<String>) -> ConsumerGroupHeartbeatResponse {
    let error_message = message.map(Into::into);
    ConsumerGroupHeartbeatResponse { error_code: error.code(), error_message, ..Default::default() }
}
