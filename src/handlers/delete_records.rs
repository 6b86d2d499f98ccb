//! DeleteRecords, versions 0-2: moves the start of partitions' logs forward.

use super::answer::Call;
use super::context::Context;
use super::error_code::KafkaCode;
use super::per_shard::PerShard;
use super::topic_name;
use crate::metadata::image::Image;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::delete_records_request::DeleteRecordsPartition;
use odradek_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use odradek_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use odradek_shards::message::{DeleteRecordsPart, DeleteRecordsResult, Reply, Request};
use odradek_shards::types::Offset;
use std::rc::Rc;

/// `offset` of a partition whose records all go, up to the high watermark.
const HIGH_WATERMARK: i64 = -1;

pub async fn handle(context: &Rc<Context>, _call: &Call, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let (mut topics, parts) = plan(context, &request);
    let results = parts.ask(&context.shards, Request::DeleteRecords, |reply| match reply {
        Reply::DeleteRecords(results) => Some(results),
        _ => None,
    });
    for ((topic, partition), result) in results.await {
        tell(&mut topics[topic].partitions[partition], result);
    }
    DeleteRecordsResponse { topics, ..Default::default() }
}

/// The response with a place for every partition, and what has to be done to fill it.
fn plan(
    context: &Context,
    request: &DeleteRecordsRequest,
) -> (Vec<DeleteRecordsTopicResult>, PerShard<(usize, usize), DeleteRecordsPart>) {
    let image = context.look();
    let mut parts = PerShard::default();
    let mut topics = Vec::with_capacity(request.topics.len());
    for (t, topic) in request.topics.iter().enumerate() {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for (p, asked) in topic.partitions.iter().enumerate() {
            let mut told = DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark: -1,
                ..Default::default()
            };
            match part(context, &image, &topic.name, asked) {
                Ok(part) => parts.add(context.shards.owner(part.partition), (t, p), part),
                Err(error) => told.error_code = error.code(),
            }
            partitions.push(told);
        }
        topics.push(DeleteRecordsTopicResult { name: topic.name.clone(), partitions, ..Default::default() });
    }
    (topics, parts)
}

fn part(
    context: &Context,
    image: &Image,
    topic: &str,
    asked: &DeleteRecordsPartition,
) -> Result<DeleteRecordsPart, ErrorCode> {
    let topic = image.topics().by_name(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if topic_name::is_internal(&topic.name) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let (partition, _) = context.led(topic, asked.partition_index)?;
    let policy = context.topic_rules.config(image, &context.config(), topic).cleanup_policy;
    if policy.compact && !policy.delete {
        return Err(ErrorCode::PolicyViolation);
    }
    let before = match asked.offset {
        HIGH_WATERMARK => None,
        offset @ 0.. => Some(Offset(offset)),
        _ => return Err(ErrorCode::OffsetOutOfRange),
    };
    Ok(DeleteRecordsPart { partition, before })
}

fn tell(told: &mut DeleteRecordsPartitionResult, result: Option<DeleteRecordsResult>) {
    match result {
        Some(Ok(low_watermark)) => told.low_watermark = low_watermark.0,
        Some(Err(error)) => told.error_code = error.code().code(),
        None => told.error_code = ErrorCode::NotLeaderOrFollower.code(),
    }
}
