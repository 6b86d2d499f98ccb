//! AlterReplicaLogDirs, versions 1-2: moves partitions to other log directories of this broker (KIP-113).

use super::answer::Call;
use super::context::Context;
use super::per_shard::PerShard;
use crate::log_dirs::LogDirTable;
use crate::metadata::image::Image;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use odradek_protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};
use odradek_protocol::primitives::Str;
use odradek_shards::error::MoveError;
use odradek_shards::message::{MovePart, Reply, Request};
use odradek_shards::types::{PartitionIndex, TopicPartition};
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

pub async fn handle(
    context: &Rc<Context>,
    _call: &Call,
    request: AlterReplicaLogDirsRequest,
) -> AlterReplicaLogDirsResponse {
    let mut results: Vec<AlterReplicaLogDirTopicResult> = Vec::new();
    let mut places = HashMap::new();
    let mut parts = PerShard::default();
    for (path, topic, index) in named(&request) {
        let partition = PartitionIndex(index);
        let part = match context.config().is_cordoned(Path::new(path.as_str())) {
            true => Err(ErrorCode::InvalidReplicaAssignment),
            false => part(&context.look(), &context.identity.log_dirs, path, topic, partition),
        };
        let error_code = part.as_ref().err().map_or(0, |error| error.code());
        let at = *places.entry(topic).or_insert_with(|| {
            results.push(AlterReplicaLogDirTopicResult { topic_name: topic.clone(), ..Default::default() });
            results.len() - 1
        });
        let told = &mut results[at].partitions;
        told.push(AlterReplicaLogDirPartitionResult { partition_index: index, error_code });
        if let Ok(part) = part {
            parts.add(context.shards.owner(part.partition), (at, told.len() - 1), part);
        }
    }
    let moved = parts.ask(&context.shards, Request::Move, |reply| match reply {
        Reply::Move(results) => Some(results),
        _ => None,
    });
    for ((topic, partition), result) in moved.await {
        let error = result.unwrap_or(Err(MoveError::NotAvailable)).err().map_or(ErrorCode::None, code);
        results[topic].partitions[partition].error_code = error.code();
    }
    AlterReplicaLogDirsResponse { results, ..Default::default() }
}

/// Every path, topic and partition of the request.
fn named(request: &AlterReplicaLogDirsRequest) -> impl Iterator<Item = (&Str, &Str, i32)> {
    let topics = request.dirs.iter().flat_map(|dir| dir.topics.iter().map(move |topic| (&dir.path, topic)));
    topics.flat_map(|(path, topic)| topic.partitions.iter().map(move |index| (path, &topic.name, *index)))
}

/// Kafka looks at the directory first.
fn part(
    image: &Image,
    log_dirs: &LogDirTable,
    path: &str,
    topic: &str,
    partition: PartitionIndex,
) -> Result<MovePart, ErrorCode> {
    let row = log_dirs.by_path(path).ok_or(ErrorCode::LogDirNotFound)?;
    if !image.features().records_directories() {
        // A move ends with the controller's word, which there would be none.
        return Err(ErrorCode::UnsupportedVersion);
    }
    let to = row.index.filter(|_| row.is_online()).ok_or(ErrorCode::KafkaStorageError)?;
    let topic = image.topics().by_name(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    topic.partition(partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition = TopicPartition { topic: topic.id, partition };
    Ok(MovePart { partition, to, may_begin: !log_dirs.any_offline() })
}

fn code(error: MoveError) -> ErrorCode {
    match error {
        MoveError::NotAvailable => ErrorCode::ReplicaNotAvailable,
        MoveError::Storage => ErrorCode::KafkaStorageError,
        MoveError::NameTooLong => ErrorCode::InvalidTopicException,
    }
}
