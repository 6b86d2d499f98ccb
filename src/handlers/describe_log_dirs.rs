//! DescribeLogDirs, versions 1-5: what each log directory holds. v4 tells the size of its volume (KIP-827), v5 whether it
//! is cordoned (KIP-1066).

use super::answer::Call;
use super::context::Context;
use super::per_shard::PerShard;
use crate::log_dirs::LogDirRow;
use crate::metadata::image::Image;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use odradek_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use odradek_protocol::primitives::Str;
use odradek_shards::message::{Description, Reply, Request};
use odradek_shards::runtime::{self, Space};
use odradek_shards::types::{PartitionIndex, TopicPartition};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Size of a volume that cannot be told.
const UNKNOWN_BYTES: i64 = -1;

pub async fn handle(context: &Rc<Context>, _call: &Call, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let described = describe(context, &request).await;
    let mut results = Vec::new();
    for row in context.identity.log_dirs.rows().filter(|row| row.holds_topics) {
        let space = match row.is_online() {
            true => runtime::space(row.path.clone()).await.ok(),
            false => None,
        };
        results.push(match space {
            Some(space) => result(row, &described, space),
            None => offline(row),
        });
    }
    DescribeLogDirsResponse { results, ..Default::default() }
}

/// The partitions asked for, or all when none are named, as far as they are here.
async fn describe(context: &Context, request: &DescribeLogDirsRequest) -> Vec<Description> {
    let mut parts = PerShard::default();
    {
        let image = context.look();
        for partition in wanted(&image, request) {
            parts.add(context.shards.owner(partition), (), partition);
        }
    }
    let described = parts.ask_any(
        &context.shards,
        |parts| Request::Describe(Some(parts)),
        |reply| match reply {
            Reply::Describe(described) => Some(described),
            _ => None,
        },
    );
    described.await
}

fn wanted(image: &Image, request: &DescribeLogDirsRequest) -> Vec<TopicPartition> {
    let topics = image.topics();
    match &request.topics {
        None => topics
            .iter()
            .flat_map(|topic| topic.partitions().map(|(partition, _)| TopicPartition { topic: topic.id, partition }))
            .collect(),
        Some(asked) => asked
            .iter()
            .filter_map(|asked| Some((topics.by_name(&asked.topic)?, &asked.partitions)))
            .flat_map(|(topic, partitions)| {
                let known = partitions.iter().filter(|index| topic.partition(PartitionIndex(**index)).is_some());
                known.map(|index| TopicPartition { topic: topic.id, partition: PartitionIndex(*index) })
            })
            .collect(),
    }
}

fn result(row: &LogDirRow, described: &[Description], space: Space) -> DescribeLogDirsResult {
    let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for description in described {
        if let Some(future) = description.future.filter(|future| Some(future.log_dir) == row.index) {
            topics.entry(&description.topic).or_default().push(DescribeLogDirsPartition {
                partition_index: description.partition.partition.0,
                partition_size: signed(future.size),
                offset_lag: future.lag,
                is_future_key: true,
            });
        }
        if Some(description.log_dir) != row.index {
            continue;
        }
        topics.entry(&description.topic).or_default().push(DescribeLogDirsPartition {
            partition_index: description.partition.partition.0,
            partition_size: signed(description.size),
            ..Default::default()
        });
    }
    let topics = topics.into_iter().map(|(name, partitions)| DescribeLogDirsTopic {
        name: Str::from(name),
        partitions,
        ..Default::default()
    });
    DescribeLogDirsResult {
        log_dir: row.path.display().to_string().into(),
        topics: topics.collect(),
        total_bytes: signed(space.total_bytes),
        usable_bytes: signed(space.usable_bytes),
        is_cordoned: row.is_cordoned(),
        ..Default::default()
    }
}

fn offline(row: &LogDirRow) -> DescribeLogDirsResult {
    DescribeLogDirsResult {
        error_code: ErrorCode::KafkaStorageError.code(),
        log_dir: row.path.display().to_string().into(),
        total_bytes: UNKNOWN_BYTES,
        usable_bytes: UNKNOWN_BYTES,
        ..Default::default()
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
