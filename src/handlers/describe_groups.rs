//! DescribeGroups, versions 0-6: what classic groups are like. v3 authorised operations, v6 tells an unknown group.

use super::answer::Call;
use super::authorized_operations;
use super::context::Context;
use crate::group::{Reply, Request};
use odradek_protocol::messages::describe_groups_response::DescribedGroup;
use odradek_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};
use std::rc::Rc;

pub async fn handle(context: &Rc<Context>, call: &Call, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let version = call.version;
    let ask = |group: &odradek_protocol::primitives::Str| {
        context.ask_group(group, Request::DescribeClassic { version, group: group.clone() })
    };
    let asked: Vec<_> = request.groups.iter().map(ask).collect();
    let mut groups = Vec::with_capacity(asked.len());
    for reply in asked {
        if let Reply::DescribeClassic(described) = reply.await {
            let is_told = request.include_authorized_operations && described.error_code == 0;
            let authorized_operations = authorized_operations::of_group(is_told);
            groups.push(DescribedGroup { authorized_operations, ..described });
        }
    }
    DescribeGroupsResponse { groups, ..Default::default() }
}
