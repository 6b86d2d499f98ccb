//! DeleteGroups, versions 0-2: groups without members go, with their offsets.

use super::answer::Call;
use super::context::Context;
use super::group_answers;
use crate::group::{Reply, Request};
use futures_util::StreamExt;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::delete_groups_response::DeletableGroupResult;
use odradek_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};
use odradek_protocol::primitives::Str;
use std::collections::BTreeSet;
use std::pin::pin;
use std::rc::Rc;

pub async fn handle(context: &Rc<Context>, _call: &Call, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let groups: BTreeSet<_> = request.groups_names.into_iter().collect();
    let ask = |group: Str| {
        let asked = context.ask_group(&group, Request::Delete { group: group.clone() });
        async move { (group, asked.await) }
    };
    let mut asked = pin!(group_answers::each(groups, ask));
    let mut results = Vec::new();
    while let Some((group_id, reply)) = asked.next().await {
        let error = match reply {
            Reply::Delete(error) => error,
            _ => ErrorCode::UnknownServerError,
        };
        results.push(DeletableGroupResult { group_id, error_code: error.code(), ..Default::default() });
    }
    DeleteGroupsResponse { results, ..Default::default() }
}
