//! OffsetDelete, version 0: offsets of topics the group does not consume go.

use super::answer::Call;
use super::context::Context;
use crate::group::{Reply, Request};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use odradek_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use odradek_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};
use odradek_shards::types::PartitionIndex;
use std::rc::Rc;

pub async fn handle(context: &Rc<Context>, _call: &Call, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let (known, unknown) = sort(context, &request);
    let group = request.group_id.clone();
    let asked = Request::DeleteOffsets(OffsetDeleteRequest { topics: known, ..request });
    let Reply::DeleteOffsets(mut response) = context.ask_group(&group, asked).await else {
        return OffsetDeleteResponse { error_code: ErrorCode::UnknownServerError.code(), ..Default::default() };
    };
    if response.error_code == 0 {
        merge(&mut response.topics, unknown);
    }
    response
}

/// Partitions that exist, and the answer for the others.
fn sort(
    context: &Context,
    request: &OffsetDeleteRequest,
) -> (Vec<OffsetDeleteRequestTopic>, Vec<OffsetDeleteResponseTopic>) {
    let image = context.look();
    let mut known = Vec::new();
    let mut unknown = Vec::new();
    for topic in &request.topics {
        let state = image.topics().by_name(&topic.name);
        let exists = |partition: &OffsetDeleteRequestPartition| {
            state.is_some_and(|state| state.partition(PartitionIndex(partition.partition_index)).is_some())
        };
        let (there, absent): (Vec<_>, Vec<_>) = topic.partitions.iter().cloned().partition(exists);
        if !there.is_empty() {
            known.push(OffsetDeleteRequestTopic { name: topic.name.clone(), partitions: there, ..Default::default() });
        }
        if !absent.is_empty() {
            let error_code = ErrorCode::UnknownTopicOrPartition.code();
            let told = |partition: OffsetDeleteRequestPartition| OffsetDeleteResponsePartition {
                partition_index: partition.partition_index,
                error_code,
                ..Default::default()
            };
            let partitions = absent.into_iter().map(told).collect();
            unknown.push(OffsetDeleteResponseTopic { name: topic.name.clone(), partitions, ..Default::default() });
        }
    }
    (known, unknown)
}

fn merge(topics: &mut Vec<OffsetDeleteResponseTopic>, others: Vec<OffsetDeleteResponseTopic>) {
    for other in others {
        match topics.iter_mut().find(|topic| topic.name == other.name) {
            Some(topic) => topic.partitions.extend(other.partitions),
            None => topics.push(other),
        }
    }
}
