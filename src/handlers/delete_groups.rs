//! DeleteGroups, versions 0-2: groups without members go, with their offsets.

use super::answer::Call;
use super::context::Context;
use crate::group::{Reply, Request};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::delete_groups_response::DeletableGroupResult;
use odradek_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};
use std::collections::BTreeSet;
use std::rc::Rc;

pub async fn handle(context: &Rc<Context>, _call: &Call, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let groups: BTreeSet<_> = request.groups_names.into_iter().collect();
    let asked: Vec<_> = groups
        .into_iter()
        .map(|group| (group.clone(), context.ask_group(&group.clone(), Request::Delete { group })))
        .collect();
    let mut results = Vec::with_capacity(asked.len());
    for (group_id, reply) in asked {
        let error = match reply.await {
            Reply::Delete(error) => error,
            _ => ErrorCode::UnknownServerError,
        };
        results.push(DeletableGroupResult { group_id, error_code: error.code(), ..Default::default() });
    }
    DeleteGroupsResponse { results, ..Default::default() }
}
