//! The configuration of one topic: its own settings over the broker's over the defaults.

use super::broker::BrokerConfig;
use super::definition;
use super::error::InvalidConfig;
use super::groups::{FromValue, Source, groups, read};
use super::settings::Settings;
use super::value::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A topic's own settings as they were given, by key.
pub type Overrides = BTreeMap<String, String>;

groups! {
    /// Every setting of a topic; see `compression()` and `segment_bytes()` for the two that are made of several.
    TopicConfig {
        cleanup_policy: CleanupPolicy,
        compression_type: String,
        compression_gzip_level: i32,
        compression_lz4_level: i32,
        compression_zstd_level: i32,
        delete_retention_ms: i64,
        file_delete_delay_ms: i64,
        flush_messages: i64,
        flush_ms: i64,
        follower_replication_throttled_replicas: Vec<String>,
        index_interval_bytes: u32,
        internal_segment_bytes: Option<u32>,
        leader_replication_throttled_replicas: Vec<String>,
        local_retention_bytes: i64,
        local_retention_ms: i64,
        max_compaction_lag_ms: i64,
        max_message_bytes: u32,
        message_timestamp_after_max_ms: i64,
        message_timestamp_before_max_ms: i64,
        message_timestamp_type: TimestampType,
        min_cleanable_dirty_ratio: f64,
        min_compaction_lag_ms: i64,
        min_insync_replicas: u32,
        odradek_durability: Durability,
        preallocate: bool,
        remote_log_copy_disable: bool,
        remote_log_delete_on_disable: bool,
        remote_storage_enable: bool,
        /// Negative keeps everything.
        retention_bytes: i64,
        /// Negative keeps everything.
        retention_ms: i64,
        segment_bytes: u32,
        segment_index_bytes: u32,
        segment_jitter_ms: i64,
        segment_ms: i64,
        unclean_leader_election_enable: bool,
    }
}

/// How old data goes; neither keeps it for ever.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CleanupPolicy {
    pub compact: bool,
    pub delete: bool,
}

/// Codec that batches are stored in, with its level.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Compression {
    /// As they came.
    Producer,
    Uncompressed,
    Gzip(i32),
    Snappy,
    Lz4(i32),
    Zstd(i32),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

/// What an acknowledged record has reached.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Durability {
    /// Stable storage.
    Synced,
    /// The kernel or the device's cache: a crash of the process does not lose it, a loss of power may.
    Written,
}

impl TopicConfig {
    /// The configuration in force. A value no topic may have is passed over: it came from a log, where `validate` should have stopped it.
    pub fn resolve(overrides: &Overrides, broker: &BrokerConfig) -> Arc<Self> {
        if overrides.is_empty() {
            return broker.topic_defaults.clone();
        }
        Arc::new(Self::read(&Layered { overrides, settings: broker.settings() }))
    }

    pub(super) fn of_broker(settings: &Settings) -> Self {
        Self::read(&Layered { overrides: &Overrides::new(), settings })
    }

    /// What Kafka checks before a topic may have `overrides`.
    pub fn validate(overrides: &Overrides, broker: &BrokerConfig) -> Result<(), InvalidConfig> {
        for (key, value) in overrides {
            let Some(definition) = definition::topic().get(key.as_str()) else {
                return Err(InvalidConfig::UnknownTopicKey(key.clone()));
            };
            let invalid = |refusal| InvalidConfig::Value { key: key.clone(), value: value.clone(), refusal };
            definition.read(value).map_err(invalid)?;
        }
        Self::resolve(overrides, broker).check_together(broker)
    }

    fn check_together(&self, broker: &BrokerConfig) -> Result<(), InvalidConfig> {
        let (min, max) = (self.min_compaction_lag_ms, self.max_compaction_lag_ms);
        if min > max {
            return Err(InvalidConfig::CompactionLagConflict { min, max });
        }
        if self.remote_storage_enable && !read::<bool>(broker.settings(), "remote.log.storage.system.enable") {
            return Err(InvalidConfig::TieredStorageDisabled);
        }
        Ok(())
    }

    pub fn compression(&self) -> Compression {
        match self.compression_type.as_str() {
            "uncompressed" => Compression::Uncompressed,
            "gzip" => Compression::Gzip(self.compression_gzip_level),
            "snappy" => Compression::Snappy,
            "lz4" => Compression::Lz4(self.compression_lz4_level),
            "zstd" => Compression::Zstd(self.compression_zstd_level),
            _ => Compression::Producer,
        }
    }

    /// Size at which a segment rolls; the internal setting wins, so that tests may roll early.
    pub fn segment_bytes(&self) -> u32 {
        self.internal_segment_bytes.unwrap_or(self.segment_bytes)
    }
}

/// The broker key that holds the default of a topic's key, as DescribeConfigs names it.
pub fn broker_key(topic_key: &str) -> Option<&'static str> {
    BROKER_KEYS.iter().find(|(topic, _)| *topic == topic_key).map(|(_, broker)| *broker)
}

const BROKER_KEYS: &[(&str, &str)] = &[
    ("cleanup.policy", "log.cleanup.policy"),
    ("compression.gzip.level", "compression.gzip.level"),
    ("compression.lz4.level", "compression.lz4.level"),
    ("compression.type", "compression.type"),
    ("compression.zstd.level", "compression.zstd.level"),
    ("delete.retention.ms", "log.cleaner.delete.retention.ms"),
    ("file.delete.delay.ms", "log.segment.delete.delay.ms"),
    ("flush.messages", "log.flush.interval.messages"),
    ("flush.ms", "log.flush.interval.ms"),
    ("index.interval.bytes", "log.index.interval.bytes"),
    ("local.retention.bytes", "log.local.retention.bytes"),
    ("local.retention.ms", "log.local.retention.ms"),
    ("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"),
    ("max.message.bytes", "message.max.bytes"),
    ("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms"),
    ("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms"),
    ("message.timestamp.type", "log.message.timestamp.type"),
    ("min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio"),
    ("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms"),
    ("min.insync.replicas", "min.insync.replicas"),
    ("odradek.durability", "odradek.durability"),
    ("preallocate", "log.preallocate"),
    ("retention.bytes", "log.retention.bytes"),
    ("retention.ms", "log.retention.ms"),
    ("segment.bytes", "log.segment.bytes"),
    ("segment.index.bytes", "log.index.size.max.bytes"),
    ("segment.jitter.ms", "log.roll.jitter.ms"),
    ("segment.ms", "log.roll.ms"),
    ("unclean.leader.election.enable", "unclean.leader.election.enable"),
];

/// A number and the key that gave it, where several keys in different units mean one thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chosen {
    pub key: &'static str,
    pub value: i64,
}

const MINUTE_MS: i64 = 60 * 1000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Milliseconds win over minutes, minutes over hours; negative is unlimited.
pub(super) fn retention_ms(settings: &Settings) -> Chosen {
    let units = [("log.retention.ms", 1), ("log.retention.minutes", MINUTE_MS), ("log.retention.hours", HOUR_MS)];
    let Chosen { key, value } = first_given(settings, &units);
    Chosen { key, value: value.max(-1) }
}

pub(super) fn segment_ms(settings: &Settings) -> Chosen {
    first_given(settings, &[("log.roll.ms", 1), ("log.roll.hours", HOUR_MS)])
}

fn segment_jitter_ms(settings: &Settings) -> Chosen {
    first_given(settings, &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR_MS)])
}

fn flush_ms(settings: &Settings) -> Chosen {
    first_given(settings, &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)])
}

/// The first of `keys` that has a value, in milliseconds. The last of them always has a default.
fn first_given(settings: &Settings, keys: &[(&'static str, i64)]) -> Chosen {
    let given = keys.iter().find_map(|(key, unit_ms)| {
        let value = read::<Option<i64>>(settings, key)?;
        Some(Chosen { key, value: value.saturating_mul(*unit_ms) })
    });
    given.expect("the last of the keys has a default that is not null")
}

/// The broker's value of a topic's key; none when the broker has no word in it.
pub(super) fn broker_value(settings: &Settings, topic_key: &str) -> Option<Value> {
    let milliseconds = match topic_key {
        "retention.ms" => Some(retention_ms(settings)),
        "segment.ms" => Some(segment_ms(settings)),
        "segment.jitter.ms" => Some(segment_jitter_ms(settings)),
        "flush.ms" => Some(flush_ms(settings)),
        _ => None,
    };
    match milliseconds {
        Some(chosen) => Some(Value::Integer(chosen.value)),
        None => broker_key(topic_key).map(|key| settings.value(key)),
    }
}

struct Layered<'a> {
    overrides: &'a Overrides,
    settings: &'a Settings,
}

impl Source for Layered<'_> {
    fn value(&self, key: &str) -> Value {
        let definition = definition::topic().get(key).expect("a key the program asks for stands in its table");
        let given = self.overrides.get(key).and_then(|text| definition.read(text).ok());
        given.or_else(|| broker_value(self.settings, key)).unwrap_or_else(|| definition.default.clone())
    }
}

impl FromValue for CleanupPolicy {
    fn from_value(value: &Value) -> Option<Self> {
        let Value::List(items) = value else { return None };
        let has = |word: &str| items.iter().any(|item| item == word);
        Some(Self { compact: has("compact"), delete: has("delete") })
    }
}

impl FromValue for TimestampType {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) if text == "CreateTime" => Some(Self::CreateTime),
            Value::Text(text) if text == "LogAppendTime" => Some(Self::LogAppendTime),
            _ => None,
        }
    }
}

impl FromValue for Durability {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) if text == "synced" => Some(Self::Synced),
            Value::Text(text) if text == "written" => Some(Self::Written),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(pairs: &[(&str, &str)]) -> Overrides {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    fn refusal(pairs: &[(&str, &str)]) -> String {
        match TopicConfig::validate(&overrides(pairs), &BrokerConfig::for_tests("")) {
            Ok(()) => "fine".into(),
            Err(invalid) => invalid.to_string(),
        }
    }

    #[test]
    fn a_topic_without_settings_shares_the_brokers_defaults() {
        let broker = BrokerConfig::for_tests("");
        let config = TopicConfig::resolve(&Overrides::new(), &broker);
        assert!(Arc::ptr_eq(&config, &broker.topic_defaults));
        assert_eq!(config.retention_ms, 604_800_000);
        assert_eq!(config.segment_bytes(), 1 << 30);
        assert_eq!(config.cleanup_policy, CleanupPolicy { compact: false, delete: true });
        assert_eq!(config.flush_ms, i64::MAX);
        assert_eq!(config.compression(), Compression::Producer);
        assert_eq!(config.odradek_durability, Durability::Synced);
    }

    #[test]
    fn the_finest_unit_of_the_broker_wins() {
        let broker = BrokerConfig::for_tests("log.retention.hours=1\nlog.retention.minutes=2\nlog.roll.hours=2");
        assert_eq!(broker.topic_defaults.retention_ms, 120_000);
        assert_eq!(broker.topic_defaults.segment_ms, 7_200_000);
        let broker = BrokerConfig::for_tests("log.retention.minutes=2\nlog.retention.ms=-5");
        assert_eq!(broker.topic_defaults.retention_ms, -1);
    }

    #[test]
    fn a_topics_own_setting_wins_over_the_brokers() {
        let broker = BrokerConfig::for_tests("compression.type=gzip\nmessage.max.bytes=5");
        let own = overrides(&[("compression.type", "zstd"), ("internal.segment.bytes", "100")]);
        let config = TopicConfig::resolve(&own, &broker);
        assert_eq!(config.compression(), Compression::Zstd(3));
        assert_eq!(config.max_message_bytes, 5);
        assert_eq!(config.segment_bytes(), 100);
    }

    #[test]
    fn a_stored_value_no_topic_may_have_is_passed_over() {
        let broker = BrokerConfig::for_tests("");
        let config = TopicConfig::resolve(&overrides(&[("segment.bytes", "x"), ("nonsense", "1")]), &broker);
        assert_eq!(*config, *broker.topic_defaults);
    }

    #[test]
    fn a_refusal_is_in_kafkas_words() {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (
                &[("segment.bytes", "-1")],
                "Invalid value -1 for configuration segment.bytes: Value must be at least 1048576",
            ),
            (
                &[("segment.bytes", "abc")],
                "Invalid value abc for configuration segment.bytes: Not a number of type INT",
            ),
            (
                &[("cleanup.policy", "foo")],
                "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete",
            ),
            (&[("cleanup.policy", "delete,")], "Configuration 'cleanup.policy' values must not be empty."),
            (
                &[("preallocate", "maybe")],
                "Invalid value maybe for configuration preallocate: Expected value to be either true or false",
            ),
            (
                &[("compression.gzip.level", "0")],
                "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1",
            ),
            (
                &[("leader.replication.throttled.replicas", "x")],
                "Invalid value [x] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas \
                 must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
            ),
            (&[("foo.bar", "1")], "Unknown topic config name: foo.bar"),
            (
                &[("max.compaction.lag.ms", "5"), ("min.compaction.lag.ms", "10")],
                "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)",
            ),
            (
                &[("remote.storage.enable", "true")],
                "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.",
            ),
        ];
        for (pairs, message) in cases {
            assert_eq!(refusal(pairs), *message);
        }
    }

    #[test]
    fn what_kafka_accepts_is_accepted() {
        for pair in [
            ("retention.bytes", "-5"),
            ("cleanup.policy", ""),
            ("cleanup.policy", "delete, compact"),
            ("preallocate", "TRUE"),
        ] {
            assert_eq!(refusal(&[pair]), "fine", "{pair:?}");
        }
    }
}
