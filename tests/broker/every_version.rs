//! Every API in every version it is told in: an answer that parses to its last byte.

use crate::batches::{batch, fetch_request, produce_request};
use crate::harness::Broker;
use crate::wire::Wire;
use odradek_protocol::api::Request;
use odradek_protocol::messages as m;
use odradek_shards::record::Codec;
use std::collections::BTreeMap;

/// Asks in every version of `told`, with what `request` makes for it.
fn ask<R: Request>(wire: &mut Wire, told: &BTreeMap<i16, (i16, i16)>, request: impl Fn(i16) -> R) -> usize {
    let (first, last) = told[&(R::KEY as i16)];
    for version in first..=last {
        wire.call(version, &request(version));
    }
    1
}

#[test]
fn every_version_told_is_served() {
    let broker = Broker::start();
    broker.create_topic("t", 2);
    let mut wire = broker.connect();
    let response = wire.call(0, &m::ApiVersionsRequest::default());
    let mut told: BTreeMap<i16, (i16, i16)> =
        response.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect();
    // Told from 0 for the sake of old clients, served from 3.
    told.insert(0, (3, told[&0].1));
    let w = &mut wire;
    let named = |version: i16| if version >= 13 { "" } else { "t" };
    let asked = ask(w, &told, |version| produce_request(named(version), 0, 1, batch(Codec::None, &["x"])))
        + ask(w, &told, |version| m::FetchRequest { session_epoch: -1, ..fetch_request(named(version), &[(0, 0)], 0) })
        + ask(w, &told, list_offsets)
        + ask(w, &told, |_| m::MetadataRequest { topics: Some(Vec::new()), ..Default::default() })
        + ask(w, &told, |_| m::ApiVersionsRequest::default())
        + ask(w, &told, |version| create_topics(&format!("new-{version}")))
        + ask(w, &told, delete_topics)
        + ask(w, &told, |_| m::DeleteRecordsRequest::default())
        + ask(w, &told, |_| m::InitProducerIdRequest { transactional_id: None, ..Default::default() })
        + ask(w, &told, |_| m::OffsetForLeaderEpochRequest::default())
        + ask(w, &told, describe_configs)
        + ask(w, &told, |_| m::AlterConfigsRequest::default())
        + ask(w, &told, |_| m::DescribeLogDirsRequest { topics: None })
        + ask(w, &told, |_| m::AlterReplicaLogDirsRequest::default())
        + ask(w, &told, |_| m::AlterPartitionReassignmentsRequest::default())
        + ask(w, &told, |_| m::ListPartitionReassignmentsRequest::default())
        + ask(w, &told, |_| m::CreatePartitionsRequest::default())
        + ask(w, &told, |_| m::IncrementalAlterConfigsRequest::default())
        + ask(w, &told, |_| m::DescribeClusterRequest::default())
        + ask(w, &told, |_| m::ListConfigResourcesRequest::default())
        + ask(w, &told, |_| m::DescribeTopicPartitionsRequest::default())
        + ask_groups(w, &told);
    assert_eq!(asked, told.len(), "an API was told that this test does not ask");
}

fn ask_groups(w: &mut Wire, told: &BTreeMap<i16, (i16, i16)>) -> usize {
    let group = || "g".into();
    ask(w, told, find_coordinator)
        + ask(w, told, |_| m::OffsetCommitRequest { group_id: group(), ..Default::default() })
        + ask(w, told, offset_fetch)
        + ask(w, told, |_| m::JoinGroupRequest { group_id: group(), ..Default::default() })
        + ask(w, told, |_| m::HeartbeatRequest { group_id: group(), ..Default::default() })
        + ask(w, told, |_| m::LeaveGroupRequest { group_id: group(), ..Default::default() })
        + ask(w, told, |_| m::SyncGroupRequest { group_id: group(), ..Default::default() })
        + ask(w, told, |_| m::DescribeGroupsRequest { groups: vec![group()], ..Default::default() })
        + ask(w, told, |_| m::ListGroupsRequest::default())
        + ask(w, told, |_| m::DeleteGroupsRequest { groups_names: vec![group()] })
        + ask(w, told, |_| m::ConsumerGroupHeartbeatRequest { group_id: group(), ..Default::default() })
        + ask(w, told, |_| m::ConsumerGroupDescribeRequest { group_ids: vec![group()], ..Default::default() })
        + ask(w, told, |_| m::OffsetDeleteRequest { group_id: group(), ..Default::default() })
}

fn offset_fetch(version: i16) -> m::OffsetFetchRequest {
    use m::offset_fetch_request::OffsetFetchRequestGroup;
    if version < 8 {
        return m::OffsetFetchRequest { group_id: "g".into(), ..Default::default() };
    }
    let group = OffsetFetchRequestGroup { group_id: "g".into(), topics: None, ..Default::default() };
    m::OffsetFetchRequest { groups: vec![group], ..Default::default() }
}

fn find_coordinator(version: i16) -> m::FindCoordinatorRequest {
    if version < 4 {
        return m::FindCoordinatorRequest { key: "g".into(), ..Default::default() };
    }
    m::FindCoordinatorRequest { coordinator_keys: vec!["g".into(), "h".into()], ..Default::default() }
}

fn list_offsets(_version: i16) -> m::ListOffsetsRequest {
    use m::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
    let partitions = [(0, -1), (1, 0)].map(|(partition_index, timestamp)| ListOffsetsPartition {
        partition_index,
        timestamp,
        ..Default::default()
    });
    let topic = ListOffsetsTopic { name: "t".into(), partitions: partitions.to_vec() };
    m::ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() }
}

fn create_topics(name: &str) -> m::CreateTopicsRequest {
    use m::create_topics_request::CreatableTopic;
    let topic = CreatableTopic { name: name.into(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    m::CreateTopicsRequest { topics: vec![topic], timeout_ms: 5000, ..Default::default() }
}

fn delete_topics(version: i16) -> m::DeleteTopicsRequest {
    use m::delete_topics_request::DeleteTopicState;
    let named = DeleteTopicState { name: Some("unknown".into()), ..Default::default() };
    if version >= 6 {
        m::DeleteTopicsRequest { topics: vec![named], ..Default::default() }
    } else {
        m::DeleteTopicsRequest { topic_names: vec!["unknown".into()], ..Default::default() }
    }
}

fn describe_configs(_version: i16) -> m::DescribeConfigsRequest {
    use m::describe_configs_request::DescribeConfigsResource;
    let resource = |resource_type, name: &str| DescribeConfigsResource {
        resource_type,
        resource_name: name.into(),
        configuration_keys: None,
    };
    let resources = vec![resource(2, "t"), resource(4, "1"), resource(4, ""), resource(2, "unknown"), resource(99, "")];
    m::DescribeConfigsRequest { resources, include_synonyms: true, ..Default::default() }
}
