//! ConsumerGroupDescribe, versions 0-1 (KIP-848): what consumer groups are like. v1 tells the kind of a member.

use super::answer::Call;
use super::authorized_operations;
use super::context::Context;
use crate::group::{Reply, Request};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::consumer_group_describe_response::DescribedGroup;
use odradek_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};
use odradek_protocol::primitives::Str;
use std::rc::Rc;

pub async fn handle(
    context: &Rc<Context>,
    _call: &Call,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let ask = |group: &Str| context.ask_group(group, Request::DescribeConsumer { group: group.clone() });
    let asked: Vec<_> = request.group_ids.iter().map(|group| (!group.is_empty()).then(|| ask(group))).collect();
    let mut groups = Vec::with_capacity(asked.len());
    for reply in asked {
        let Some(reply) = reply else {
            groups.push(nameless());
            continue;
        };
        if let Reply::DescribeConsumer(described) = reply.await {
            let is_told = request.include_authorized_operations && described.error_code == 0;
            let authorized_operations = authorized_operations::of_group(is_told);
            groups.push(DescribedGroup { authorized_operations, ..described });
        }
    }
    ConsumerGroupDescribeResponse { groups, ..Default::default() }
}

fn nameless() -> DescribedGroup {
    DescribedGroup { error_code: ErrorCode::InvalidGroupId.code(), ..Default::default() }
}
