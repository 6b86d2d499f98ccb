//! Well-known messages beside the bytes that Apache Kafka 4.3.1 makes of them.

use std::fmt::Debug;

use bytes::Bytes;
use odradek_protocol::codec::{Message, Reader, Writer};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse, FinalizedFeatureKey};
use odradek_protocol::messages::fetch_response::{
    FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use odradek_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use odradek_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use odradek_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use odradek_protocol::primitives::{Records, Uuid};
use odradek_protocol::records::group::ConsumerGroupMemberMetadataValue;
use odradek_protocol::records::metadata::PartitionRecord;
use odradek_protocol::records::transaction::TransactionLogValue;

/// `message` encodes to the bytes written in hexadecimal, and they decode to it.
fn same<M: Message + Debug>(message: &M, version: i16, hexadecimal: &str) {
    let mut w = Writer::new();
    message.encode(&mut w, version).unwrap();
    let bytes = w.into_bytes();
    let written: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(written, hexadecimal.replace(' ', ""), "{} v{version}", M::NAME);
    assert_eq!(M::decode(&mut Reader::new(bytes), version).unwrap(), *message);
}

fn uuid(high: u64, low: u64) -> Uuid {
    Uuid::from_u64_pair(high, low)
}

fn batch() -> Option<Records> {
    Some(Bytes::from_static(b"batch").into())
}

#[test]
fn api_versions() {
    let key = ApiVersion { api_key: 18, min_version: 0, max_version: 4 };
    let refusal = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: vec![key],
        ..Default::default()
    };
    same(&refusal, 0, "0023 00000001 0012 0000 0004");
    let feature = FinalizedFeatureKey { name: "metadata.version".into(), max_version_level: 29, min_version_level: 29 };
    let response =
        ApiVersionsResponse { finalized_features_epoch: 7, finalized_features: vec![feature], ..Default::default() };
    let tags = "02 01 08 0000000000000007 02 17 02 116d657461646174612e76657273696f6e 001d 001d 00";
    same(&response, 4, &format!("0000 01 00000000 {tags}"));
}

#[test]
fn metadata() {
    let all = MetadataRequest { topics: None, ..Default::default() };
    same(&all, 12, "00 01 00 00");
    let topic = MetadataRequestTopic { topic_id: uuid(1, 2), name: None };
    let by_id = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    same(&by_id, 12, "02 00000000000000010000000000000002 00 00 01 00 00");
}

#[test]
fn metadata_of_a_topic() {
    let partition = MetadataResponsePartition {
        leader_id: 1,
        leader_epoch: 5,
        replica_nodes: vec![1],
        isr_nodes: vec![1],
        ..Default::default()
    };
    let topic = MetadataResponseTopic {
        name: Some("t".into()),
        topic_id: uuid(3, 4),
        partitions: vec![partition],
        ..Default::default()
    };
    let broker = MetadataResponseBroker { node_id: 1, host: "h".into(), port: 9092, rack: None };
    let response = MetadataResponse {
        brokers: vec![broker],
        cluster_id: Some("c".into()),
        controller_id: 1,
        topics: vec![topic],
        ..Default::default()
    };
    same(
        &response,
        12,
        "00000000 02 00000001 0268 00002384 00 00 0263 00000001 \
         02 0000 0274 00000000000000030000000000000004 00 \
         02 0000 00000000 00000001 00000005 02 00000001 02 00000001 01 00 80000000 00 00",
    );
}

#[test]
fn produce() {
    let partition = PartitionProduceData { index: 2, records: batch() };
    let topic = TopicProduceData { name: "t".into(), partition_data: vec![partition], ..Default::default() };
    let request = ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() };
    let request = ProduceRequest { transactional_id: None, ..request };
    same(&request, 3, "ffff ffff 00007530 00000001 0001 74 00000001 00000002 00000005 6261746368");
    same(&request, 9, "00 ffff 00007530 02 0274 02 00000002 06 6261746368 00 00 00");
}

#[test]
fn fetch() {
    let partition = PartitionData {
        error_code: ErrorCode::NotLeaderOrFollower.code(),
        high_watermark: 10,
        last_stable_offset: 10,
        log_start_offset: 0,
        current_leader: LeaderIdAndEpoch { leader_id: 2, leader_epoch: 3 },
        aborted_transactions: None,
        records: batch(),
        ..Default::default()
    };
    let topic = FetchableTopicResponse { topic_id: uuid(3, 4), partitions: vec![partition], ..Default::default() };
    let response = FetchResponse {
        session_id: 9,
        responses: vec![topic],
        node_endpoints: vec![NodeEndpoint { node_id: 2, host: "h".into(), port: 1, rack: None }],
        ..Default::default()
    };
    same(
        &response,
        16,
        "00000000 0000 00000009 02 00000000000000030000000000000004 \
         02 00000000 0006 000000000000000a 000000000000000a 0000000000000000 00 ffffffff 06 6261746368 \
         01 01 09 00000002 00000003 00 00 \
         01 00 0d 02 00000002 0268 00000001 00 00",
    );
}

#[test]
fn a_partition_record() {
    let record = PartitionRecord {
        partition_id: 1,
        topic_id: uuid(3, 4),
        replicas: vec![1, 2],
        isr: vec![1],
        leader: 1,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: vec![uuid(0, 1), uuid(0, 2)],
        eligible_leader_replicas: Some(vec![2]),
        ..Default::default()
    };
    same(
        &record,
        2,
        "00000001 00000000000000030000000000000004 03 00000001 00000002 02 00000001 01 01 \
         00000001 00000000 00000000 03 00000000000000000000000000000001 00000000000000000000000000000002 \
         01 01 05 02 00000002",
    );
}

#[test]
fn a_transaction_and_its_tags_in_the_order_of_their_numbers() {
    let value = TransactionLogValue {
        producer_id: 5,
        producer_epoch: 1,
        transaction_timeout_ms: 60_000,
        transaction_status: 1,
        transaction_partitions: None,
        next_producer_epoch: 2,
        client_transaction_version: 2,
        ..Default::default()
    };
    let tags = "02 02 02 0002 03 02 0002";
    same(&value, 1, &format!("0000000000000005 0001 0000ea60 01 00 0000000000000000 0000000000000000 {tags}"));
}

/// A struct that is null in a tagged field is marked by 0, not by -1 as elsewhere.
#[test]
fn a_group_member_without_its_classic_half() {
    let value = ConsumerGroupMemberMetadataValue {
        instance_id: None,
        rack_id: Some("r".into()),
        classic_member_metadata: None,
        ..Default::default()
    };
    same(&value, 0, "00 0272 01 01 01 01 ffffffff 01 01 00 01 00");
}
