//! One file per API: checks a request, asks a shard, the image or the controller, and translates the answer.
//!
//! [`table`] names every API served; [`dispatch`] finds a frame's place in it.

mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod answer;
mod api_versions;
mod authorized_operations;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod context;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_topic_partitions;
mod dispatch;
mod error_code;
mod fetch;
mod fetch_plan;
mod fetch_session;
mod find_coordinator;
mod group_answers;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod internal_topics;
mod join_group;
mod leader_hint;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod pace;
mod per_shard;
mod produce;
mod producer_ids;
mod repacker;
mod sync_group;
mod table;
mod topic_name;
mod topic_rules;

pub use context::{Context, Identity, Ways};
pub use dispatch::{dispatch, may_wait};

use odradek_shards::types::LeaderEpoch;

/// A leader epoch that a client may leave out as -1.
fn leader_epoch(wire: i32) -> Option<LeaderEpoch> {
    (wire >= 0).then_some(LeaderEpoch(wire))
}
