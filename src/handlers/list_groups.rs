//! ListGroups, versions 0-5: the groups of every coordinator here. v4 filters by state, v5 by type.

use super::answer::Call;
use super::context::Context;
use crate::group::{Reply, Request};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{ListGroupsRequest, ListGroupsResponse};
use std::rc::Rc;

pub async fn handle(context: &Rc<Context>, _call: &Call, request: ListGroupsRequest) -> ListGroupsResponse {
    let ListGroupsRequest { states_filter: states, types_filter: types } = request;
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
