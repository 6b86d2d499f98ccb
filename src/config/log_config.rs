//! What a partition's log is told of its topic's and its broker's configuration.

use super::broker::BrokerConfig;
use super::topic::{self, TopicConfig};
use odradek_shards::log::{CleanupPolicy, Durability, LogConfig};
use odradek_shards::message::CleanerSettings;
use odradek_shards::record::{Codec, Compression, TimestampType};
use odradek_shards::shard::ScrubSettings;
use std::path::Path;
use std::time::Duration;

pub(super) const EVERY_LOG_DIR: &str = "*";

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

impl BrokerConfig {
    /// One shard's part of what scrubbing may use.
    pub fn scrub_settings(&self) -> ScrubSettings {
        let bytes_per_second = self.engine.odradek_scrub_io_max_bytes_per_second as f64 / self.num_shards as f64;
        ScrubSettings { interval: Duration::from_millis(self.engine.odradek_scrub_interval_ms), bytes_per_second }
    }

    /// `cordoned.log.dirs` has it, or has `*` (KIP-1066).
    pub fn is_cordoned(&self, log_dir: &Path) -> bool {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let cordoned = &self.storage.cordoned_log_dirs;
        cordoned.iter().any(|name| name == EVERY_LOG_DIR || absolute(Path::new(name)) == absolute(log_dir))
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
    fn scrubbing_is_shared_by_the_shards_and_can_be_turned_off() {
        let broker = BrokerConfig::for_tests("num.shards=2\nodradek.scrub.io.max.bytes.per.second=2000");
        let settings = broker.scrub_settings();
        assert_eq!((settings.interval.as_secs(), settings.bytes_per_second), (14 * 24 * 3600, 1000.0));
        assert!(BrokerConfig::for_tests("odradek.scrub.interval.ms=0").scrub_settings().interval.is_zero());
    }

    #[test]
    fn a_log_directory_is_cordoned_by_its_path_or_with_all_others() {
        let some = BrokerConfig::for_tests("log.dirs=/a,/b\ncordoned.log.dirs=/a/");
        assert!(some.is_cordoned(Path::new("/a")) && !some.is_cordoned(Path::new("/b")));
        assert!(BrokerConfig::for_tests("log.dirs=/a,/b\ncordoned.log.dirs=*").is_cordoned(Path::new("/b")));
        assert!(!BrokerConfig::for_tests("log.dirs=/a,/b").is_cordoned(Path::new("/b")));
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
