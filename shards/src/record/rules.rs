//! What a partition asks of a produced batch: the part of its topic's settings that validation reads.

use super::attributes::{Codec, TimestampType};

/// `compression.type`: as the producer packed it, or repacked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Compression {
    #[default]
    Producer,
    Repacked {
        codec: Codec,
        /// `compression.{gzip,lz4,zstd}.level`; `None` = the codec's own.
        level: Option<i32>,
    },
}

/// Who made the batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Origin {
    #[default]
    Client,
    /// A coordinator in this cluster: may write control records.
    Coordinator,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// `max.message.bytes`: of the batch as it came, compressed.
    pub max_message_bytes: usize,
    /// `segment.bytes`.
    pub segment_bytes: usize,
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `cleanup.policy` has `compact`: every record needs a key.
    pub compacted: bool,
    pub compression: Compression,
    /// Bound on what one batch may inflate to while it is checked.
    pub inflated_bytes_max: usize,
    /// The request's version lets zstd through (Produce 7 and up).
    pub zstd_allowed: bool,
    pub origin: Origin,
}

impl Rules {
    /// A batch of this codec is stored by another one.
    pub fn repacks(&self, codec: Codec) -> bool {
        matches!(self.compression, Compression::Repacked { codec: stored, .. } if stored != codec)
    }
}

impl Default for Rules {
    /// Kafka's topic defaults.
    fn default() -> Self {
        Self {
            max_message_bytes: 1_048_588,
            segment_bytes: 1 << 30,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            compacted: false,
            compression: Compression::Producer,
            inflated_bytes_max: 128 << 20,
            zstd_allowed: true,
            origin: Origin::Client,
        }
    }
}
