//! ListGroups, versions 0-5: the groups of every coordinator here. v4 filters by state, v5 by type.

use super::answer::Call;
use super::context::Context;
use super::pace::Pace;
use crate::group::{Reply, Request};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{ListGroupsRequest, ListGroupsResponse};
use odradek_protocol::primitives::Str;
use std::rc::Rc;

/// What groups can be, whatever a filter asks for.
const STATES: [&str; 7] =
    ["Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Assigning", "Reconciling", "Dead"];
const TYPES: [&str; 2] = ["classic", "consumer"];

pub async fn handle(context: &Rc<Context>, _call: &Call, request: ListGroupsRequest) -> ListGroupsResponse {
    let states = distinct(&request.states_filter, &STATES).await;
    let types = distinct(&request.types_filter, &TYPES).await;
    let asked = context.groups.ask_all(&context.look(), &Request::List { states, types });
    let mut groups = Vec::new();
    for reply in asked.await {
        match reply {
            Reply::List(Ok(listed)) => groups.extend(listed),
            // Another broker lists those.
            Reply::List(Err(ErrorCode::NotCoordinator)) => {}
            Reply::List(Err(error)) => {
                return ListGroupsResponse { error_code: error.code(), ..Default::default() };
            }
            _ => return ListGroupsResponse { error_code: ErrorCode::UnknownServerError.code(), ..Default::default() },
        }
    }
    ListGroupsResponse { groups, ..Default::default() }
}

/// The filter as short as can be: what is no name, or comes again, makes no difference, unless there is nothing else.
async fn distinct(filter: &[Str], names: &[&'static str]) -> Vec<Str> {
    let (mut kept, mut pace) = (Vec::new(), Pace::default());
    for wanted in filter {
        pace.step(1).await;
        let name = names.iter().find(|name| wanted.trim().eq_ignore_ascii_case(name));
        kept.extend(name.map(|name| Str::from_static(name)).filter(|name| !kept.contains(name)));
    }
    if kept.is_empty() {
        kept.extend(filter.first().cloned());
    }
    kept
}
