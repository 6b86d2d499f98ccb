//! The topic settings a log reads, with Kafka's defaults. Knows no property file.

use crate::record::{Compression, TimestampType};

/// How safe a batch is when its append is answered (`odradek.durability`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Durability {
    /// On stable storage: survives a power cut.
    Synced,
    /// Handed to the device: survives a crash of the process or the kernel.
    #[default]
    Written,
}

/// `cleanup.policy`; neither keeps everything.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CleanupPolicy {
    pub delete: bool,
    pub compact: bool,
}

impl CleanupPolicy {
    pub const DELETE: Self = Self { delete: true, compact: false };
    pub const COMPACT: Self = Self { delete: false, compact: true };
}

/// Settings of one log; times in milliseconds, sizes in bytes, -1 where Kafka means "no limit".
#[derive(Clone, PartialEq, Debug)]
pub struct LogConfig {
    pub segment_bytes: u32,
    pub segment_ms: i64,
    pub segment_jitter_ms: i64,
    /// Bytes of a segment between two entries of its offset index.
    pub index_interval_bytes: u32,
    /// Bytes an index file may grow to; a full index rolls the segment.
    pub segment_index_bytes: u32,
    pub max_message_bytes: u32,
    pub retention_ms: i64,
    pub retention_bytes: i64,
    pub cleanup_policy: CleanupPolicy,
    pub timestamp_type: TimestampType,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    pub compression: Compression,
    pub flush_messages: i64,
    pub flush_ms: i64,
    pub file_delete_delay_ms: u64,
    /// Give a new segment all its blocks at once instead of in growing steps.
    pub preallocate: bool,
    pub min_cleanable_dirty_ratio: f64,
    pub delete_retention_ms: i64,
    pub min_compaction_lag_ms: i64,
    pub max_compaction_lag_ms: i64,
    pub durability: Durability,
    /// `producer.id.expiration.ms`: how long an idle producer's sequence is remembered.
    pub producer_id_expiration_ms: i64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 604_800_000,
            segment_jitter_ms: 0,
            index_interval_bytes: 4096,
            segment_index_bytes: 10 << 20,
            max_message_bytes: 1_048_588,
            retention_ms: 604_800_000,
            retention_bytes: -1,
            cleanup_policy: CleanupPolicy::DELETE,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            compression: Compression::Producer,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            file_delete_delay_ms: 60_000,
            preallocate: false,
            min_cleanable_dirty_ratio: 0.5,
            delete_retention_ms: 86_400_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            durability: Durability::default(),
            producer_id_expiration_ms: 86_400_000,
        }
    }
}

impl LogConfig {
    /// The age at which a segment is rolled: a compacted log must not keep records from the cleaner longer than it promises.
    pub fn roll_ms(&self) -> i64 {
        if self.cleanup_policy.compact { self.segment_ms.min(self.max_compaction_lag_ms) } else { self.segment_ms }
    }
}
