//! Record batches and the requests that carry them.

use crate::wire::Wire;
use bytes::Bytes;
use odradek_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use odradek_protocol::messages::fetch_response::PartitionData;
use odradek_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use odradek_protocol::messages::produce_response::PartitionProduceResponse;
use odradek_protocol::messages::{FetchRequest, ProduceRequest};
use odradek_shards::record::{BatchBuilder, Codec, NewRecord, batches};
use odradek_shards::types::{ProducerEpoch, ProducerId, Sequence, Timestamp};

/// The last version that names topics by name.
pub const PRODUCE: i16 = 12;
pub const FETCH: i16 = 12;

pub fn batch(codec: Codec, values: &[&str]) -> Bytes {
    build(BatchBuilder::new().codec(codec, None), values)
}

pub fn keyed(key: &str, value: &str) -> Bytes {
    let mut builder = BatchBuilder::new();
    let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
    builder.append(&NewRecord { timestamp: now(), key, value, headers: &[] });
    builder.build().bytes
}

/// Of an idempotent producer.
pub fn batch_of(producer: i64, base_sequence: i32, values: &[&str]) -> Bytes {
    build(BatchBuilder::new().producer(ProducerId(producer), ProducerEpoch(0), Sequence(base_sequence)), values)
}

fn build(mut builder: BatchBuilder, values: &[&str]) -> Bytes {
    for value in values {
        builder.append(&NewRecord { timestamp: now(), value: Some(value.as_bytes()), ..Default::default() });
    }
    builder.build().bytes
}

fn now() -> Timestamp {
    odradek_shards::runtime::wall_clock()
}

pub fn produce_request(topic: &str, partition: i32, acks: i16, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData { index: partition, records: Some(records.into()) };
    let topic = TopicProduceData { name: topic.into(), partition_data: vec![data], ..Default::default() };
    ProduceRequest { acks, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() }
}

pub fn produce(wire: &mut Wire, topic: &str, partition: i32, records: Bytes) -> PartitionProduceResponse {
    let response = wire.call(PRODUCE, &produce_request(topic, partition, -1, records));
    response.responses[0].partition_responses[0].clone()
}

/// Sessionless, waiting for a byte at most `max_wait_ms`.
pub fn fetch_request(topic: &str, partitions: &[(i32, i64)], max_wait_ms: i32) -> FetchRequest {
    let partitions = partitions.iter().map(|(partition, fetch_offset)| FetchPartition {
        partition: *partition,
        fetch_offset: *fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    });
    let topic = FetchTopic { topic: topic.into(), partitions: partitions.collect(), ..Default::default() };
    FetchRequest { max_wait_ms, min_bytes: 1, max_bytes: 50 << 20, topics: vec![topic], ..Default::default() }
}

pub fn fetch(wire: &mut Wire, topic: &str, partition: i32, offset: i64) -> PartitionData {
    let response = wire.call(FETCH, &fetch_request(topic, &[(partition, offset)], 1000));
    response.responses[0].partitions[0].clone()
}

/// Offsets and values of the records in a partition's data.
pub fn records(data: &PartitionData) -> Vec<(i64, String)> {
    let bytes = data.records.clone().expect("records are never null").into_bytes();
    let mut found = Vec::new();
    for batch in batches(&bytes) {
        let batch = batch.expect("a whole batch");
        for record in batch.records(1 << 30) {
            let record = record.expect("a whole record");
            let value = String::from_utf8(record.value.expect("a value").to_vec()).expect("text");
            found.push((record.offset.0, value));
        }
    }
    found
}
