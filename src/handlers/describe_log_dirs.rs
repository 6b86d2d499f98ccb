//! DescribeLogDirs, versions 1-4: what each log directory holds. v4 tells the size of its
//! volume (KIP-827).

use super::answer::Call;
use super::context::Context;
use super::per_shard::PerShard;
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
use std::path::Path;
use std::rc::Rc;

/// Size of a volume that cannot be told.
const UNKNOWN_BYTES: i64 = -1;

pub async fn handle(context: &Rc<Context>, _call: &Call, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let described = describe(context, &request).await;
    let dirs = context.config().log_dirs.clone();
    let mut results = Vec::with_capacity(dirs.len());
    for (index, dir) in dirs.iter().enumerate() {
        let here = described.iter().filter(|description| usize::from(description.log_dir.0) == index);
        let space = runtime::space(dir.clone()).await.ok();
        results.push(result(dir, here, space));
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

fn result<'a>(dir: &Path, here: impl Iterator<Item = &'a Description>, space: Option<Space>) -> DescribeLogDirsResult {
    let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    let mut offline = false;
    for description in here {
        offline |= description.offline;
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
        error_code: if offline { ErrorCode::KafkaStorageError.code() } else { 0 },
        log_dir: absolute(dir).into(),
        topics: topics.collect(),
        total_bytes: space.map_or(UNKNOWN_BYTES, |space| signed(space.total_bytes)),
        usable_bytes: space.map_or(UNKNOWN_BYTES, |space| signed(space.usable_bytes)),
        ..Default::default()
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn absolute(dir: &Path) -> String {
    std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf()).display().to_string()
}
