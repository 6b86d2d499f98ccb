//! Decoding and encoding of the two hot messages.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use odradek_protocol::api::ApiKey;
use odradek_protocol::codec::{Message, Reader, Writer};
use odradek_protocol::frame;
use odradek_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use odradek_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use odradek_protocol::messages::{FetchResponse, ProduceRequest};
use std::hint::black_box;

const VERSION: i16 = 12;

fn produce(records: usize) -> ProduceRequest {
    let partition_data =
        vec![PartitionProduceData { records: Some(Bytes::from(vec![7; records]).into()), ..Default::default() }];
    let topic_data = vec![TopicProduceData { name: "orders".into(), partition_data, ..Default::default() }];
    ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data, ..Default::default() }
}

fn decode_produce(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode produce");
    for size in [100, 16 << 10, 1 << 20] {
        let mut writer = Writer::new();
        produce(size).encode(&mut writer, VERSION).expect("a request this version can carry");
        let frame = writer.into_bytes();
        group.throughput(Throughput::Bytes(frame.len() as u64));
        group.bench_function(format!("{size} B"), |b| {
            b.iter(|| ProduceRequest::decode(&mut Reader::new(black_box(frame.clone())), VERSION));
        });
    }
    group.finish();
}

fn encode_fetch(c: &mut Criterion) {
    let partitions = (0..16).map(|partition_index| PartitionData {
        partition_index,
        high_watermark: 1_000,
        records: Some(Bytes::from(vec![7; 64 << 10]).into()),
        ..Default::default()
    });
    let topic =
        FetchableTopicResponse { topic: "orders".into(), partitions: partitions.collect(), ..Default::default() };
    let response = FetchResponse { responses: vec![topic], ..Default::default() };
    c.bench_function("encode fetch of 16 partitions, 1 MiB", |b| {
        b.iter(|| frame::response(ApiKey::Fetch, VERSION, 7, black_box(&response)));
    });
}

criterion_group!(codec, decode_produce, encode_fetch);
criterion_main!(codec);
