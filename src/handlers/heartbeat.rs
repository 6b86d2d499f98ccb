//! Heartbeat, versions 0-4: a member of a classic group is alive. v3 static members.

use super::answer::Call;
use super::context::Context;
use super::table;
use crate::exchange::{Answer, Serving};
use crate::group::{Reply, Request};
use odradek_protocol::codec::Reader;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{HeartbeatRequest, HeartbeatResponse};
use std::future::ready;
use std::rc::Rc;

pub fn serve(context: Rc<Context>, call: Call, body: Reader) -> Serving {
    table::serve_at_once(context, call, body, ask)
}

fn ask(context: Rc<Context>, call: Call, request: HeartbeatRequest) -> Serving {
    let group = request.group_id.clone();
    let request = Request::Heartbeat(request);
    if let Some(reply) = context.ask_group_at_once(&group, &request) {
        return Box::pin(ready(answer(&call, reply)));
    }
    Box::pin(async move { answer(&call, context.ask_group(&group, request).await) })
}

/// A member that hears of an error goes on to join, or to find its coordinator.
fn answer(call: &Call, reply: Reply) -> Answer {
    let response = match reply {
        Reply::Heartbeat(response) => response,
        _ => HeartbeatResponse { error_code: ErrorCode::UnknownServerError.code(), ..Default::default() },
    };
    let answer = call.answer(&response);
    if response.error_code == 0 { answer } else { answer.stirring() }
}
