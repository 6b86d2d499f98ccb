//! Typed views of the settings, a struct per subject. A field is its key with the points written as underscores.

use super::settings::Settings;
use super::value::Value;

/// Conversion out of a checked value.
pub trait FromValue: Sized {
    /// None when the table and the struct disagree about the key's type; a test reads them all.
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! integers {
    ($($kind:ty),*) => {
        $(impl FromValue for $kind {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::Integer(number) => Self::try_from(*number).ok(),
                    _ => None,
                }
            }
        })*
    };
}
integers!(i16, i32, i64, u16, u32, u64, usize);

impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Boolean(value) = value { Some(*value) } else { None }
    }
}

impl FromValue for f64 {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Double(value) = value { Some(*value) } else { None }
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(value) = value { Some(value.clone()) } else { None }
    }
}

impl FromValue for Vec<String> {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::List(items) = value { Some(items.clone()) } else { None }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        if *value == Value::Null { Some(None) } else { T::from_value(value).map(Some) }
    }
}

/// Whatever knows the value of each key of its table.
pub(super) trait Source {
    fn value(&self, key: &str) -> Value;
}

impl Source for Settings {
    fn value(&self, key: &str) -> Value {
        Settings::value(self, key)
    }
}

/// The value of `key` in the type the program wants.
pub(super) fn read<T: FromValue>(source: &impl Source, key: &str) -> T {
    T::from_value(&source.value(key)).unwrap_or_else(|| panic!("the table gives {key} another type"))
}

macro_rules! groups {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq)]
            pub struct $name { $($(#[$field_doc])* pub $field: $kind,)* }

            impl $name {
                pub(super) fn read(source: &impl $crate::config::groups::Source) -> Self {
                    Self { $($field: $crate::config::groups::read(source, &stringify!($field).replace('_', ".")),)* }
                }
            }
        )*
    };
}
pub(super) use groups;

groups! {
    /// How the shards run; per shard where a size is meant.
    EngineConfig {
        odradek_shards_pinned: bool,
        odradek_spin_us: u32,
        odradek_tail_cache_bytes: u64,
        odradek_request_memory_bytes: u64,
        odradek_group_memory_bytes: u64,
        odradek_journal_bytes: u64,
        odradek_scrub_interval_ms: u64,
        odradek_scrub_io_max_bytes_per_second: u64,
    }
    /// Sockets and connections. A buffer of -1 leaves the kernel's own size.
    NetworkConfig {
        socket_request_max_bytes: usize,
        socket_receive_buffer_bytes: i32,
        socket_send_buffer_bytes: i32,
        socket_listen_backlog_size: u32,
        max_connections: usize,
        max_connections_per_ip: usize,
        max_connection_creation_rate: u32,
        connections_max_idle_ms: i64,
        queued_max_request_bytes: i64,
        max_request_partition_size_limit: usize,
        request_timeout_ms: i32,
    }
    /// Topics: what may be made and how, beside the settings each topic has of its own.
    TopicsConfig {
        num_partitions: i32,
        default_replication_factor: i32,
        auto_create_topics_enable: bool,
        delete_topic_enable: bool,
    }
    /// Logs and their directories.
    StorageConfig {
        num_recovery_threads_per_data_dir: usize,
        log_retention_check_interval_ms: i64,
        log_initial_task_delay_ms: i64,
        log_flush_offset_checkpoint_interval_ms: i64,
        log_flush_start_offset_checkpoint_interval_ms: i64,
        replica_high_watermark_checkpoint_interval_ms: i64,
        log_dir_failure_timeout_ms: i64,
        cordoned_log_dirs: Vec<String>,
        producer_id_expiration_ms: i64,
        producer_id_expiration_check_interval_ms: i64,
    }
    /// Compaction, of all shards together.
    CleanerConfig {
        log_cleaner_enable: bool,
        log_cleaner_backoff_ms: i64,
        log_cleaner_dedupe_buffer_size: u64,
        log_cleaner_io_buffer_load_factor: f64,
        log_cleaner_io_max_bytes_per_second: f64,
    }
    /// What a fetch may ask for.
    FetchConfig {
        fetch_max_bytes: usize,
        max_incremental_fetch_session_cache_slots: usize,
    }
    /// Following another broker's replicas.
    ReplicationConfig {
        num_replica_fetchers: usize,
        replica_lag_time_max_ms: i64,
        replica_fetch_max_bytes: usize,
        replica_fetch_min_bytes: i32,
        replica_fetch_response_max_bytes: usize,
        replica_fetch_wait_max_ms: i32,
        replica_fetch_backoff_ms: i32,
        replica_socket_timeout_ms: i32,
        replica_socket_receive_buffer_bytes: i32,
        unclean_leader_election_enable: bool,
    }
    /// Membership of brokers, the controllers' quorum and its log.
    QuorumConfig {
        broker_session_timeout_ms: i32,
        broker_heartbeat_interval_ms: i32,
        initial_broker_registration_timeout_ms: i32,
        controlled_shutdown_enable: bool,
        controller_quorum_election_timeout_ms: i32,
        controller_quorum_election_backoff_max_ms: i32,
        controller_quorum_fetch_timeout_ms: i32,
        controller_quorum_request_timeout_ms: i32,
        controller_quorum_retry_backoff_ms: i32,
        controller_quorum_append_linger_ms: i32,
        controller_quorum_fetch_max_bytes: usize,
        controller_quorum_fetch_snapshot_max_bytes: usize,
        metadata_max_idle_interval_ms: i32,
        metadata_log_max_record_bytes_between_snapshots: i64,
        metadata_log_max_snapshot_interval_ms: i64,
        metadata_log_segment_bytes: u32,
        metadata_log_segment_ms: i64,
        metadata_max_retention_bytes: i64,
        metadata_max_retention_ms: i64,
    }
    /// Consumer groups and the topic of their offsets.
    GroupsConfig {
        offsets_topic_num_partitions: i32,
        offsets_topic_replication_factor: i16,
        offsets_topic_segment_bytes: i32,
        offsets_topic_compression_codec: i32,
        offsets_load_buffer_size: usize,
        offsets_commit_timeout_ms: i32,
        offsets_retention_minutes: i32,
        offsets_retention_check_interval_ms: i64,
        offset_metadata_max_bytes: usize,
        group_initial_rebalance_delay_ms: i32,
        group_min_session_timeout_ms: i32,
        group_max_session_timeout_ms: i32,
        group_max_size: usize,
        group_coordinator_rebalance_protocols: Vec<String>,
        group_consumer_assignors: Vec<String>,
        group_consumer_heartbeat_interval_ms: i32,
        group_consumer_min_heartbeat_interval_ms: i32,
        group_consumer_max_heartbeat_interval_ms: i32,
        group_consumer_session_timeout_ms: i32,
        group_consumer_min_session_timeout_ms: i32,
        group_consumer_max_session_timeout_ms: i32,
        group_consumer_max_size: usize,
        group_consumer_migration_policy: String,
        group_consumer_assignment_interval_ms: i32,
    }
    /// Transactions and the topic of their states.
    TransactionsConfig {
        transaction_state_log_num_partitions: i32,
        transaction_state_log_replication_factor: i16,
        transaction_state_log_min_isr: i32,
        transaction_state_log_segment_bytes: i32,
        transaction_state_log_load_buffer_size: usize,
        transaction_max_timeout_ms: i32,
        transaction_partition_verification_enable: bool,
        transaction_abort_timed_out_transaction_cleanup_interval_ms: i32,
        transaction_remove_expired_transaction_cleanup_interval_ms: i32,
        transactional_id_expiration_ms: i32,
    }
}
