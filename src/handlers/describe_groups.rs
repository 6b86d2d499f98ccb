//! DescribeGroups, versions 0-6: what classic groups are like. v3 authorised operations, v6 tells an unknown group.

use super::answer::Call;
use super::authorized_operations;
use super::context::Context;
use super::group_answers::{self, Room};
use super::pace::Pace;
use crate::group::{Reply, Request};
use futures_util::StreamExt;
use futures_util::future::OptionFuture;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use odradek_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};
use odradek_protocol::primitives::Str;
use std::pin::pin;
use std::rc::Rc;

pub async fn handle(context: &Rc<Context>, call: &Call, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let version = call.version;
    let room = Room::default();
    let ask = |id: &Str| {
        let question = Request::DescribeClassic { version, group: id.clone() };
        let asked = room.is_open().then(|| context.ask_group(id, question));
        let id = id.clone();
        async move { (id, OptionFuture::from(asked).await) }
    };
    let mut pace = Pace::default();
    let mut asked = pin!(group_answers::each(&request.groups, ask));
    let mut groups = Vec::new();
    while let Some((group_id, reply)) = asked.next().await {
        pace.step(1).await;
        match reply {
            Some(Reply::DescribeClassic(described)) if room.take(size(&described)) => {
                let is_told = request.include_authorized_operations && described.error_code == 0;
                let authorized_operations = authorized_operations::of_group(is_told);
                groups.push(DescribedGroup { authorized_operations, ..described });
            }
            _ if !room.refuse(&group_id) => break,
            _ => {
                let error_code = ErrorCode::CoordinatorNotAvailable.code();
                groups.push(DescribedGroup { group_id, error_code, ..Default::default() });
            }
        }
    }
    DescribeGroupsResponse { groups, ..Default::default() }
}

/// Bytes that it takes in the response, about.
fn size(group: &DescribedGroup) -> usize {
    let member = |member: &DescribedGroupMember| {
        let texts = [&member.member_id, &member.client_id, &member.client_host].into_iter();
        let texts: usize = texts.chain(&member.group_instance_id).map(|text| text.len()).sum();
        32 + texts + member.member_metadata.len() + member.member_assignment.len()
    };
    128 + group.group_id.len() + group.members.iter().map(member).sum::<usize>()
}
