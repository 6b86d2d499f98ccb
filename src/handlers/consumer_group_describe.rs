//! ConsumerGroupDescribe, versions 0-1 (KIP-848): what consumer groups are like. v1 tells the kind of a member.

use super::answer::Call;
use super::authorized_operations;
use super::context::Context;
use super::group_answers::{self, Room};
use super::pace::Pace;
use crate::group::{Reply, Request};
use futures_util::StreamExt;
use futures_util::future::OptionFuture;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::consumer_group_describe_response::{Assignment, DescribedGroup, Member};
use odradek_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};
use odradek_protocol::primitives::Str;
use std::pin::pin;
use std::rc::Rc;

pub async fn handle(
    context: &Rc<Context>,
    _call: &Call,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let room = Room::default();
    let ask = |id: &Str| {
        let question = Request::DescribeConsumer { group: id.clone() };
        let asked = (room.is_open() && !id.is_empty()).then(|| context.ask_group(id, question));
        let id = id.clone();
        async move { (id, OptionFuture::from(asked).await) }
    };
    let mut pace = Pace::default();
    let mut asked = pin!(group_answers::each(&request.group_ids, ask));
    let mut groups = Vec::new();
    while let Some((id, reply)) = asked.next().await {
        pace.step(1).await;
        match reply {
            Some(Reply::DescribeConsumer(described)) if room.take(size(&described)) => {
                let is_told = request.include_authorized_operations && described.error_code == 0;
                let authorized_operations = authorized_operations::of_group(is_told);
                groups.push(DescribedGroup { authorized_operations, ..described });
            }
            _ if !room.refuse(&id) => break,
            _ => groups.push(refused(id)),
        }
    }
    ConsumerGroupDescribeResponse { groups, ..Default::default() }
}

/// Bytes that it takes in the response, about.
fn size(group: &DescribedGroup) -> usize {
    let assigned = |assignment: &Assignment| {
        let topics = assignment.topic_partitions.iter();
        topics.map(|topic| 32 + topic.topic_name.len() + 4 * topic.partitions.len()).sum::<usize>()
    };
    let member = |member: &Member| {
        let texts = [&member.instance_id, &member.rack_id, &member.subscribed_topic_regex].into_iter().flatten();
        let texts = texts.chain([&member.member_id, &member.client_id, &member.client_host]);
        let texts: usize = texts.chain(&member.subscribed_topic_names).map(|text| 4 + text.len()).sum();
        64 + texts + assigned(&member.assignment) + assigned(&member.target_assignment)
    };
    128 + group.group_id.len() + group.members.iter().map(member).sum::<usize>()
}

fn refused(group_id: Str) -> DescribedGroup {
    let error = if group_id.is_empty() { ErrorCode::InvalidGroupId } else { ErrorCode::CoordinatorNotAvailable };
    DescribedGroup { group_id, error_code: error.code(), ..Default::default() }
}
