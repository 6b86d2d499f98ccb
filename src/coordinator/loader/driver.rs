//! Reads a partition from its start to its high watermark into a machine.

use super::{LoadError, Loaded, Unread};
use crate::coordinator::machine::{Machine, Scene};
use odradek_shards::Shards;
use odradek_shards::message::{Isolation, ListOffsetsPart, OffsetQuery, ReadPart, ReadRequest, Reply, Request};
use odradek_shards::runtime::yield_now;
use odradek_shards::types::{Offset, TopicPartition};
use tracing::warn;

/// What one batch may inflate to.
const INFLATED_BYTES_MAX: usize = 128 << 20;

/// Everything the partition holds now; this shard owns it.
pub async fn load<M: Machine>(
    shards: &Shards,
    partition: TopicPartition,
    scene: &Scene,
) -> Result<Loaded<M>, LoadError> {
    let start = start_offset(shards, partition).await?;
    let mut loaded = Loaded { machine: M::new(scene), position: start.0, records: 0 };
    let mut unread = Unread::default();
    let bytes_max = scene.config.groups.offsets_load_buffer_size;
    loop {
        let read = ReadPart {
            partition,
            from: loaded.next(),
            max_bytes: bytes_max,
            current_leader_epoch: None,
            last_fetched_epoch: None,
            isolation: Isolation::ReadUncommitted,
        };
        let request = ReadRequest { parts: vec![read], max_bytes: bytes_max, min_one: true };
        let read = match shards.call(shards.me(), Request::Read(request)).await {
            Reply::Read(mut results) => results.pop().ok_or(LoadError::Closed)??,
            _ => return Err(LoadError::Closed),
        };
        let before = loaded.position;
        loaded.take(&read.records.pieces().concat().into(), INFLATED_BYTES_MAX, &mut unread)?;
        if loaded.next() >= read.high_watermark || loaded.position == before {
            break;
        }
        yield_now().await;
    }
    if let Some(first) = unread.first {
        warn!("{}-{}: {} records cannot be read: {first}", M::TOPIC, partition.partition, unread.count);
    }
    Ok(loaded)
}

async fn start_offset(shards: &Shards, partition: TopicPartition) -> Result<Offset, LoadError> {
    let part = ListOffsetsPart {
        partition,
        query: OffsetQuery::Earliest,
        current_leader_epoch: None,
        isolation: Isolation::ReadUncommitted,
    };
    match shards.call(shards.me(), Request::ListOffsets(vec![part])).await {
        Reply::ListOffsets(mut listed) => {
            let listed = listed.pop().ok_or(LoadError::Closed)?.map_err(odradek_shards::error::ReadError::from)?;
            Ok(listed.offset.unwrap_or(Offset::ZERO))
        }
        _ => Err(LoadError::Closed),
    }
}
