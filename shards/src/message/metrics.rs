//! What a shard tells of its state to whoever watches the broker: one message, all of it counted or looked up already.

use super::LogDirIndex;
use crate::log::Durability;
use crate::types::{Offset, TopicPartition};
use std::sync::Arc;
use std::time::Duration;

/// A shard, at one moment.
#[derive(Clone, Debug, Default)]
pub struct ShardMetrics {
    pub partitions: Vec<PartitionMetrics>,
    pub cleaner: CleanerCounts,
    pub scrub: ScrubCounts,
    /// One per log directory.
    pub journals: Vec<JournalMetrics>,
    /// Bytes of batches in memory, for consumers that keep up.
    pub tail_bytes: u64,
    /// Bytes of batches that are in no segment yet.
    pub unwritten_bytes: u64,
}

#[derive(Clone, Debug)]
pub struct PartitionMetrics {
    pub partition: TopicPartition,
    pub topic: Arc<str>,
    pub log_dir: LogDirIndex,
    /// Bytes of all batches.
    pub size: u64,
    pub segments: usize,
    pub log_start_offset: Offset,
    pub last_stable_offset: Offset,
    pub high_watermark: Offset,
    pub log_end_offset: Offset,
    /// What its acknowledgements promise.
    pub durability: Durability,
    /// Batches that the last look at its closed segments found damaged, and places they cannot be read from.
    pub damages: u64,
    pub quarantine: Option<Box<Quarantined>>,
}

/// A log that could not be compacted, and is tried again later.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quarantined {
    pub reason: String,
    /// Zero when its turn has come.
    pub retry_in: Duration,
    /// That wait to be compacted.
    pub dirty_bytes: u64,
}

/// What a shard has compacted since it started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CleanerCounts {
    pub logs: u64,
    pub bytes_before: u64,
    pub bytes_after: u64,
    /// Attempts that ended in quarantine.
    pub failures: u64,
    /// Since it last looked for logs to compact; None before the first look.
    pub since_last_run: Option<Duration>,
}

/// What a shard has scrubbed since it started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ScrubCounts {
    pub rounds: u64,
    pub segments: u64,
    pub bytes: u64,
    /// Batches that are not what was written, and places from which a segment cannot be read.
    pub damages: u64,
}

/// A journal, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct JournalMetrics {
    /// It may grow to.
    pub limit: u64,
    /// Of its files.
    pub size: u64,
    /// Of those files that hold what no segment has on stable storage, and of the current one.
    pub held: u64,
}
