//! Every API served here: key, versions, handler. ApiVersions is printed from it, so it never claims what does not work.

use super::answer::Call;
use super::context::Context;
use super::{
    alter_configs, alter_partition_reassignments, alter_replica_log_dirs, api_versions, consumer_group_describe,
    consumer_group_heartbeat, create_partitions, create_topics, delete_groups, delete_records, delete_topics,
    describe_cluster, describe_configs, describe_groups, describe_log_dirs, describe_topic_partitions, fetch,
    find_coordinator, heartbeat, incremental_alter_configs, init_producer_id, join_group, leave_group,
    list_config_resources, list_groups, list_offsets, list_partition_reassignments, metadata, offset_commit,
    offset_delete, offset_fetch, offset_for_leader_epoch, produce, sync_group,
};
use crate::exchange::{Answer, Closing, Serving};
use odradek_protocol::api::ApiKey;
use odradek_protocol::codec::{DecodeError, Message, Reader};
use odradek_shards::runtime;
use std::future::ready;
use std::ops::RangeInclusive;
use std::rc::Rc;

/// One API: the versions it works in and the versions it tells of.
pub struct Api {
    pub key: ApiKey,
    versions: RangeInclusive<i16>,
    /// Lowest version told to clients, where it differs from what works.
    advertised_min: Option<i16>,
    pub serve: fn(Rc<Context>, Call, Reader) -> Serving,
}

impl Api {
    pub fn serves(&self, version: i16) -> bool {
        self.versions.contains(&version)
    }

    pub fn advertised(&self) -> (i16, i16) {
        (self.advertised_min.unwrap_or(*self.versions.start()), *self.versions.end())
    }
}

/// An API whose handler takes a request and returns its response.
macro_rules! api {
    ($key:ident, $versions:expr, $handle:path) => {
        Api {
            key: ApiKey::$key,
            versions: $versions,
            advertised_min: None,
            serve: |context, call, body| {
                Box::pin(async move {
                    let is_large = body.remaining() > LARGE;
                    match parse_any(&call, body).await {
                        Ok(request) => {
                            let response = $handle(&context, &call, request).await;
                            if is_large { call.answer_apart(response).await } else { call.answer(&response) }
                        }
                        Err(closing) => Answer::Close(closing),
                    }
                })
            },
        }
    };
}

/// In order of their keys.
pub static APIS: [Api; 34] = [
    Api { key: ApiKey::Produce, versions: 3..=13, advertised_min: Some(PRODUCE_ADVERTISED_MIN), serve: produce::serve },
    Api { key: ApiKey::Fetch, versions: 4..=18, advertised_min: None, serve: fetch::serve },
    api!(ListOffsets, 1..=11, list_offsets::handle),
    api!(Metadata, 0..=13, metadata::handle),
    api!(OffsetCommit, 2..=10, offset_commit::handle),
    api!(OffsetFetch, 1..=10, offset_fetch::handle),
    api!(FindCoordinator, 0..=6, find_coordinator::handle),
    api!(JoinGroup, 0..=9, join_group::handle),
    Api { key: ApiKey::Heartbeat, versions: 0..=4, advertised_min: None, serve: heartbeat::serve },
    api!(LeaveGroup, 0..=5, leave_group::handle),
    api!(SyncGroup, 0..=5, sync_group::handle),
    api!(DescribeGroups, 0..=6, describe_groups::handle),
    api!(ListGroups, 0..=5, list_groups::handle),
    api!(ApiVersions, 0..=4, api_versions::handle),
    api!(CreateTopics, 2..=7, create_topics::handle),
    api!(DeleteTopics, 1..=6, delete_topics::handle),
    api!(DeleteRecords, 0..=2, delete_records::handle),
    api!(InitProducerId, 0..=5, init_producer_id::handle),
    api!(OffsetForLeaderEpoch, 2..=4, offset_for_leader_epoch::handle),
    api!(DescribeConfigs, 1..=4, describe_configs::handle),
    api!(AlterConfigs, 0..=2, alter_configs::handle),
    api!(AlterReplicaLogDirs, 1..=2, alter_replica_log_dirs::handle),
    api!(DescribeLogDirs, 1..=5, describe_log_dirs::handle),
    api!(CreatePartitions, 0..=3, create_partitions::handle),
    api!(DeleteGroups, 0..=2, delete_groups::handle),
    api!(IncrementalAlterConfigs, 0..=1, incremental_alter_configs::handle),
    api!(AlterPartitionReassignments, 0..=1, alter_partition_reassignments::handle),
    api!(ListPartitionReassignments, 0..=0, list_partition_reassignments::handle),
    api!(OffsetDelete, 0..=0, offset_delete::handle),
    api!(DescribeCluster, 0..=2, describe_cluster::handle),
    Api {
        key: ApiKey::ConsumerGroupHeartbeat,
        versions: 0..=1,
        advertised_min: None,
        serve: consumer_group_heartbeat::serve,
    },
    api!(ConsumerGroupDescribe, 0..=1, consumer_group_describe::handle),
    api!(ListConfigResources, 0..=1, list_config_resources::handle),
    api!(DescribeTopicPartitions, 0..=0, describe_topic_partitions::handle),
];

/// Versions 0-2 are refused, but librdkafka sends gzip, snappy and lz4 uncompressed to a broker that does not name them
/// (KAFKA-18659).
const PRODUCE_ADVERTISED_MIN: i16 = 0;

pub fn find(key: i16) -> Option<&'static Api> {
    APIS.binary_search_by_key(&key, |api| api.key as i16).ok().map(|index| &APIS[index])
}

/// Bytes of a request above which it, and its answer, take milliseconds of a core: they are given a thread of their own.
const LARGE: usize = 1 << 20;

/// For a handler that may know its answer without waiting.
pub fn serve_at_once<R: Message + Send + 'static>(
    context: Rc<Context>,
    call: Call,
    mut body: Reader,
    serve: fn(Rc<Context>, Call, R) -> Serving,
) -> Serving {
    if body.remaining() <= LARGE {
        return match parse(&call, &mut body) {
            Ok(request) => serve(context, call, request),
            Err(closing) => Box::pin(ready(Answer::Close(closing))),
        };
    }
    Box::pin(async move {
        match parse_any(&call, body).await {
            Ok(request) => serve(context, call, request).await,
            Err(closing) => Answer::Close(closing),
        }
    })
}

/// As [`parse`]; a large one off the shard's thread.
async fn parse_any<R: Message + Send + 'static>(call: &Call, mut body: Reader) -> Result<R, Closing> {
    if body.remaining() <= LARGE {
        return parse(call, &mut body);
    }
    let (api, version) = (call.api, call.version);
    runtime::blocking(move || parse_as(api, version, &mut body)).await
}

/// The request's body in its version.
///
/// # Errors
/// The connection has to close: nothing after such a request can be trusted.
pub fn parse<R: Message>(call: &Call, body: &mut Reader) -> Result<R, Closing> {
    parse_as(call.api, call.version, body)
}

fn parse_as<R: Message>(api: ApiKey, version: i16, body: &mut Reader) -> Result<R, Closing> {
    let closing = |error: DecodeError| Closing::Unparsable { api: api.name(), version, reason: error.to_string() };
    R::decode(body, version).map_err(closing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_by_key() {
        assert!(APIS.is_sorted_by_key(|api| api.key as i16));
    }

    #[test]
    fn every_version_served_is_one_the_codec_knows() {
        for api in &APIS {
            let valid = api.key.valid_versions();
            assert!(valid.contains(api.versions.start()) && valid.contains(api.versions.end()), "{}", api.key.name());
        }
    }

    #[test]
    fn produce_is_told_from_version_zero_and_served_from_three() {
        let produce = find(0).expect("Produce is served");
        assert_eq!(produce.advertised(), (0, 13));
        assert!(!produce.serves(2));
    }
}
