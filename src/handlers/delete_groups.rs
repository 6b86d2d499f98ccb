//! DeleteGroups, versions 0-2: groups without members go, with their offsets.

use super::answer::Call;
use super::context::Context;
use super::group_answers::{self, Room};
use super::pace::Pace;
use crate::group::{Reply, Request};
use futures_util::StreamExt;
use futures_util::future::OptionFuture;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::delete_groups_response::DeletableGroupResult;
use odradek_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};
use odradek_protocol::primitives::Str;
use std::collections::HashSet;
use std::pin::pin;
use std::rc::Rc;

pub async fn handle(context: &Rc<Context>, _call: &Call, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let room = Room::default();
    let mut named = HashSet::new();
    let groups = request.groups_names.into_iter().filter(|group| named.insert(group.clone()));
    let ask = |group: Str| {
        let asked = room.is_open().then(|| context.ask_group(&group, Request::Delete { group: group.clone() }));
        async move { (group, OptionFuture::from(asked).await) }
    };
    let mut pace = Pace::default();
    let mut asked = pin!(group_answers::each(groups, ask));
    let mut results = Vec::new();
    while let Some((group_id, reply)) = asked.next().await {
        pace.step(1).await;
        let error = match reply {
            Some(Reply::Delete(error)) if room.take(size_of::<DeletableGroupResult>() + group_id.len()) => error,
            Some(Reply::Delete(ErrorCode::None)) => ErrorCode::None,
            _ if !room.refuse(&group_id) => break,
            _ => ErrorCode::CoordinatorNotAvailable,
        };
        results.push(DeletableGroupResult { group_id, error_code: error.code(), ..Default::default() });
    }
    DeleteGroupsResponse { results, ..Default::default() }
}
