//! What a partition's log is told of its topic's and its broker's configuration.

use super::broker::BrokerConfig;
use super::topic::{self, TopicConfig};
use odradek_shards::log::{CleanupPolicy, Durability, LogConfig};
use odradek_shards::message::CleanerSettings;
use odradek_shards::record::{Codec, Compression, TimestampType};
use std::time::Duration;

impl TopicConfig {
    /// The engine's view; with `broker` for what is the same for all topics.
    pub fn log_config(&self, broker: &BrokerConfig) -> LogConfig {
        LogConfig {
            segment_bytes: self.segment_bytes(),
            segment_ms: self.segment_ms,
            segment_jitter_ms: self.segment_jitter_ms,
            index_interval_bytes: self.index_interval_bytes,
            segment_index_bytes: self.segment_index_bytes,
            max_message_bytes: self.max_message_bytes,
            retention_ms: self.retention_ms,
            retention_bytes: self.retention_bytes,
            cleanup_policy: CleanupPolicy { delete: self.cleanup_policy.delete, compact: self.cleanup_policy.compact },
            timestamp_type: self.message_timestamp_type.into(),
            timestamp_before_max_ms: self.message_timestamp_before_max_ms,
            timestamp_after_max_ms: self.message_timestamp_after_max_ms,
            compression: self.compression().into(),
            flush_messages: self.flush_messages,
            flush_ms: self.flush_ms,
            file_delete_delay_ms: u64::try_from(self.file_delete_delay_ms).unwrap_or(0),
            preallocate: self.preallocate,
            min_cleanable_dirty_ratio: self.min_cleanable_dirty_ratio,
            delete_retention_ms: self.delete_retention_ms,
            min_compaction_lag_ms: self.min_compaction_lag_ms,
            max_compaction_lag_ms: self.max_compaction_lag_ms,
            durability: self.odradek_durability.into(),
            producer_id_expiration_ms: broker.storage.producer_id_expiration_ms,
        }
    }
}

impl BrokerConfig {
    /// One shard's part of what the cleaners of all may use.
    pub fn cleaner_settings(&self) -> CleanerSettings {
        let config = &self.cleaner;
        let shards = self.num_shards;
        CleanerSettings {
            enabled: config.log_cleaner_enable,
            backoff: Duration::from_millis(u64::try_from(config.log_cleaner_backoff_ms).unwrap_or(0)),
            map_bytes: usize::try_from(config.log_cleaner_dedupe_buffer_size).unwrap_or(usize::MAX) / shards,
            load_factor: config.log_cleaner_io_buffer_load_factor,
            bytes_per_second: config.log_cleaner_io_max_bytes_per_second / shards as f64,
        }
    }
}

impl From<topic::TimestampType> for TimestampType {
    fn from(kind: topic::TimestampType) -> Self {
        match kind {
            topic::TimestampType::CreateTime => Self::CreateTime,
            topic::TimestampType::LogAppendTime => Self::LogAppendTime,
        }
    }
}

impl From<topic::Durability> for Durability {
    fn from(durability: topic::Durability) -> Self {
        match durability {
            topic::Durability::Synced => Self::Synced,
            topic::Durability::Written => Self::Written,
        }
    }
}

impl From<topic::Compression> for Compression {
    fn from(compression: topic::Compression) -> Self {
        let repacked = |codec, level| Self::Repacked { codec, level };
        match compression {
            topic::Compression::Producer => Self::Producer,
            topic::Compression::Uncompressed => repacked(Codec::None, None),
            topic::Compression::Gzip(level) => {
                repacked(Codec::Gzip, Some(level).filter(|level| *level != GZIP_DEFAULT))
            }
            topic::Compression::Snappy => repacked(Codec::Snappy, None),
            topic::Compression::Lz4(level) => repacked(Codec::Lz4, Some(level)),
            topic::Compression::Zstd(level) => repacked(Codec::Zstd, Some(level)),
        }
    }
}

/// Stands for whatever level the codec takes by itself.
const GZIP_DEFAULT: i32 = -1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_defaults_are_the_engines() {
        let broker = BrokerConfig::for_tests("");
        let engines = LogConfig { durability: Durability::Synced, ..LogConfig::default() };
        assert_eq!(broker.topic_defaults.log_config(&broker), engines);
    }

    #[test]
    fn shards_share_what_the_cleaners_may_use() {
        let broker = BrokerConfig::for_tests("num.shards=4\nlog.cleaner.io.max.bytes.per.second=1000");
        let settings = broker.cleaner_settings();
        assert_eq!((settings.map_bytes, settings.bytes_per_second), (32 << 20, 250.0));
        let alone = BrokerConfig::for_tests("num.shards=1").cleaner_settings();
        assert_eq!(alone, CleanerSettings::default());
    }

    #[test]
    fn a_codec_takes_its_level_along() {
        assert_eq!(
            Compression::from(topic::Compression::Gzip(-1)),
            Compression::Repacked { codec: Codec::Gzip, level: None }
        );
        assert_eq!(
            Compression::from(topic::Compression::Zstd(7)),
            Compression::Repacked { codec: Codec::Zstd, level: Some(7) }
        );
    }
}
