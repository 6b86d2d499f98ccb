//! One file per API: checks a request, asks a shard, the image or the controller, and translates the answer.
//!
//! [`table`] names every API served; [`dispatch`] finds a frame's place in it.

mod alter_configs;
mod answer;
mod api_versions;
mod authorized_operations;
mod context;
mod create_partitions;
mod create_topics;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_log_dirs;
mod describe_topic_partitions;
mod dispatch;
mod error_code;
mod fetch;
mod fetch_plan;
mod fetch_session;
mod incremental_alter_configs;
mod init_producer_id;
mod leader_hint;
mod list_config_resources;
mod list_offsets;
mod metadata;
mod offset_for_leader_epoch;
mod per_shard;
mod produce;
mod producer_ids;
mod repacker;
mod table;
mod topic_name;
mod topic_rules;

pub use context::{Context, Identity};
pub use dispatch::dispatch;

use odradek_shards::types::LeaderEpoch;

/// A leader epoch that a client may leave out as -1.
fn leader_epoch(wire: i32) -> Option<LeaderEpoch> {
    (wire >= 0).then_some(LeaderEpoch(wire))
}
