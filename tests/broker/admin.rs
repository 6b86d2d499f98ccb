//! Topics and their settings: made, described, changed, deleted.

use crate::batches::{batch, fetch, produce, records};
use crate::harness::Broker;
use crate::wire::Wire;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use odradek_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use odradek_protocol::messages::delete_topics_request::DeleteTopicState;
use odradek_protocol::messages::describe_configs_request::DescribeConfigsResource;
use odradek_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use odradek_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use odradek_protocol::messages::metadata_request::MetadataRequestTopic;
use odradek_protocol::messages::{
    CreatePartitionsRequest, DeleteRecordsRequest, DeleteTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest,
    DescribeTopicPartitionsRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest, MetadataRequest,
    MetadataResponse,
};
use odradek_shards::record::Codec;
use std::collections::HashSet;

fn metadata(wire: &mut Wire, names: Option<&[&str]>, create: bool) -> MetadataResponse {
    let topic = |name: &&str| MetadataRequestTopic { name: Some((*name).into()), ..Default::default() };
    let topics = names.map(|names| names.iter().map(topic).collect());
    wire.call(12, &MetadataRequest { topics, allow_auto_topic_creation: create, ..Default::default() })
}

#[test]
fn a_topic_asked_for_is_created_when_the_client_allows_it() {
    let broker = Broker::start_with(&["num.partitions=3"]);
    let mut wire = broker.connect();
    let refused = metadata(&mut wire, Some(&["orders"]), false);
    assert_eq!(refused.topics[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
    let created = metadata(&mut wire, Some(&["orders"]), true);
    assert_eq!(created.topics[0].error_code, 0);
    assert_eq!(created.topics[0].partitions.len(), 3);
}

#[test]
fn null_asks_for_all_topics_and_an_empty_list_for_none() {
    let broker = Broker::start();
    broker.create_topic("a", 1);
    broker.create_topic("b", 1);
    let mut wire = broker.connect();
    assert_eq!(metadata(&mut wire, None, false).topics.len(), 2);
    assert_eq!(metadata(&mut wire, Some(&[]), false).topics.len(), 0);
    let oldest = wire.call(0, &MetadataRequest { topics: Some(Vec::new()), ..Default::default() });
    assert_eq!(oldest.topics.len(), 2);
}

#[test]
fn a_topic_is_found_by_its_id() {
    let broker = Broker::start();
    broker.create_topic("a", 1);
    let mut wire = broker.connect();
    let id = metadata(&mut wire, Some(&["a"]), false).topics[0].topic_id;
    let by_id = |topic_id| {
        let topic = MetadataRequestTopic { topic_id, name: None };
        MetadataRequest { topics: Some(vec![topic]), ..Default::default() }
    };
    assert_eq!(wire.call(12, &by_id(id)).topics[0].name.as_deref(), Some("a"));
    let unknown = wire.call(12, &by_id(uuid::Uuid::from_u128(77)));
    assert_eq!(unknown.topics[0].error_code, ErrorCode::UnknownTopicId.code());
}

#[test]
fn an_illegal_name_is_told_apart_from_an_unknown_one() {
    let broker = Broker::start();
    let response = metadata(&mut broker.connect(), Some(&["no/slash"]), true);
    assert_eq!(response.topics[0].error_code, ErrorCode::InvalidTopicException.code());
}

#[test]
fn authorized_operations_are_told_only_to_those_who_ask() {
    let broker = Broker::start();
    broker.create_topic("a", 1);
    let mut wire = broker.connect();
    let mut request = MetadataRequest { topics: None, ..Default::default() };
    assert_eq!(wire.call(8, &request).topics[0].topic_authorized_operations, i32::MIN);
    request.include_topic_authorized_operations = true;
    request.include_cluster_authorized_operations = true;
    let response = wire.call(8, &request);
    assert_eq!((response.topics[0].topic_authorized_operations, response.cluster_authorized_operations), (3576, 8096));
}

#[test]
fn a_deleted_topic_is_gone_and_its_name_is_free() {
    let broker = Broker::start();
    broker.create_topic("a", 2);
    let mut wire = broker.connect();
    produce(&mut wire, "a", 0, batch(Codec::None, &["old"]));
    let topic = DeleteTopicState { name: Some("a".into()), ..Default::default() };
    let response = wire.call(6, &DeleteTopicsRequest { topics: vec![topic], timeout_ms: 5000, ..Default::default() });
    assert_eq!(response.responses[0].error_code, 0);
    let gone = produce(&mut wire, "a", 0, batch(Codec::None, &["late"]));
    assert_eq!(gone.error_code, ErrorCode::UnknownTopicOrPartition.code());
    broker.create_topic("a", 1);
    assert_eq!(produce(&mut wire, "a", 0, batch(Codec::None, &["new"])).base_offset, 0);
    assert_eq!(records(&fetch(&mut wire, "a", 0, 0)), [(0, "new".to_owned())]);
}

#[test]
fn partitions_added_to_a_topic_take_records() {
    let broker = Broker::start();
    broker.create_topic("a", 1);
    let mut wire = broker.connect();
    let topic = CreatePartitionsTopic { name: "a".into(), count: 4, assignments: None, ..Default::default() };
    let response =
        wire.call(3, &CreatePartitionsRequest { topics: vec![topic], timeout_ms: 5000, ..Default::default() });
    assert_eq!(response.results[0].error_code, 0);
    assert_eq!(produce(&mut wire, "a", 3, batch(Codec::None, &["x"])).error_code, 0);
}

#[test]
fn a_changed_setting_is_told_and_obeyed() {
    let broker = Broker::start();
    broker.create_topic("a", 1);
    let mut wire = broker.connect();
    let config = AlterableConfig { name: "max.message.bytes".into(), config_operation: 0, value: Some("100".into()) };
    let resource = AlterConfigsResource { resource_type: 2, resource_name: "a".into(), configs: vec![config] };
    let altered = wire.call(1, &IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false });
    assert_eq!(altered.responses[0].error_code, 0);
    let keys = Some(vec!["max.message.bytes".into()]);
    let resource = DescribeConfigsResource { resource_type: 2, resource_name: "a".into(), configuration_keys: keys };
    let described = wire.call(4, &DescribeConfigsRequest { resources: vec![resource], ..Default::default() });
    let entry = &described.results[0].configs[0];
    assert_eq!((entry.value.as_deref(), entry.config_source), (Some("100"), 1));
    let refused = produce(&mut wire, "a", 0, batch(Codec::None, &["x".repeat(200).as_str()]));
    assert_eq!(refused.error_code, ErrorCode::MessageTooLarge.code());
}

#[test]
fn deleted_records_are_out_of_range() {
    let broker = Broker::start();
    broker.create_topic("a", 1);
    let mut wire = broker.connect();
    for value in ["0", "1", "2"] {
        produce(&mut wire, "a", 0, batch(Codec::None, &[value]));
    }
    let partition = DeleteRecordsPartition { partition_index: 0, offset: 2 };
    let topic = DeleteRecordsTopic { name: "a".into(), partitions: vec![partition] };
    let deleted = wire.call(2, &DeleteRecordsRequest { topics: vec![topic], timeout_ms: 5000 });
    assert_eq!(deleted.topics[0].partitions[0].low_watermark, 2);
    assert_eq!(fetch(&mut wire, "a", 0, 1).error_code, ErrorCode::OffsetOutOfRange.code());
    assert_eq!(records(&fetch(&mut wire, "a", 0, 2)), [(2, "2".to_owned())]);
}

#[test]
fn topics_are_described_a_page_at_a_time() {
    let broker = Broker::start();
    broker.create_topic("a", 3);
    broker.create_topic("b", 3);
    let mut wire = broker.connect();
    let topics = ["b", "a"].map(|name| TopicRequest { name: name.into() }).to_vec();
    let mut request = DescribeTopicPartitionsRequest { topics, response_partition_limit: 4, cursor: None };
    let page = wire.call(0, &request);
    let shown = |response: &odradek_protocol::messages::DescribeTopicPartitionsResponse| -> Vec<(String, usize)> {
        let topics = response.topics.iter();
        topics.map(|topic| (topic.name.as_deref().unwrap_or_default().to_owned(), topic.partitions.len())).collect()
    };
    assert_eq!(shown(&page), [("a".to_owned(), 3), ("b".to_owned(), 1)]);
    let next = page.next_cursor.expect("more to come");
    request.cursor = Some(Cursor { topic_name: next.topic_name, partition_index: next.partition_index });
    let rest = wire.call(0, &request);
    assert_eq!(shown(&rest), [("b".to_owned(), 2)]);
    assert!(rest.next_cursor.is_none());
}

#[test]
fn the_cluster_is_this_broker() {
    let broker = Broker::start();
    let cluster = broker.connect().call(2, &DescribeClusterRequest { endpoint_type: 1, ..Default::default() });
    assert_eq!((cluster.brokers.len(), cluster.controller_id), (1, 1));
    assert_eq!(i32::from(broker.address().port()), cluster.brokers[0].port);
}

#[test]
fn every_producer_gets_an_id_of_its_own() {
    let broker = Broker::start();
    let mut wires = [broker.connect(), broker.connect(), broker.connect()];
    let request = InitProducerIdRequest { producer_id: -1, producer_epoch: -1, ..no_transaction() };
    let mut seen = HashSet::new();
    for turn in 0..1500 {
        let response = wires[turn % wires.len()].call(4, &request);
        assert_eq!((response.error_code, response.producer_epoch), (0, 0));
        assert!(seen.insert(response.producer_id));
    }
}

fn no_transaction() -> InitProducerIdRequest {
    InitProducerIdRequest { transactional_id: None, transaction_timeout_ms: 1000, ..Default::default() }
}
