//! Produce: acknowledgements, refusals, idempotence, codecs.

use crate::batches::{PRODUCE, batch, batch_of, fetch, produce, produce_request, records};
use crate::harness::Broker;
use odradek_protocol::error::ErrorCode;
use odradek_shards::record::Codec;

#[test]
fn records_come_back_as_they_went_in_whatever_the_codec() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    let mut wire = broker.connect();
    let mut expected = Vec::new();
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let values: Vec<String> = (0..50).map(|n| format!("{codec:?} {n} {}", "x".repeat(n))).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let told = produce(&mut wire, "t", 0, batch(codec, &values));
        assert_eq!((told.error_code, told.base_offset), (0, expected.len() as i64));
        expected.extend(values.iter().map(ToString::to_string));
    }
    let mut found = Vec::new();
    while found.len() < expected.len() {
        found.extend(records(&fetch(&mut wire, "t", 0, found.len() as i64)));
    }
    let numbered: Vec<(i64, String)> = (0..).zip(expected).collect();
    assert_eq!(found, numbered);
}

#[test]
fn an_unacknowledged_record_has_no_answer_and_arrives() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    let mut wire = broker.connect();
    wire.send(PRODUCE, &produce_request("t", 0, 0, batch(Codec::None, &["quiet"])));
    let told = produce(&mut wire, "t", 0, batch(Codec::None, &["loud"]));
    assert_eq!(told.base_offset, 1);
    assert_eq!(records(&fetch(&mut wire, "t", 0, 0))[0], (0, "quiet".to_owned()));
}

#[test]
fn an_unacknowledged_failure_closes_the_connection() {
    let broker = Broker::start();
    let mut wire = broker.connect();
    wire.send(PRODUCE, &produce_request("unknown", 0, 0, batch(Codec::None, &["x"])));
    assert!(wire.is_closed());
}

#[test]
fn what_cannot_be_appended_is_refused_with_its_code() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    let mut wire = broker.connect();
    let good = || batch(Codec::None, &["x"]);
    let refused = |wire: &mut _, topic, partition, records| produce(wire, topic, partition, records).error_code;
    assert_eq!(refused(&mut wire, "unknown", 0, good()), ErrorCode::UnknownTopicOrPartition.code());
    assert_eq!(refused(&mut wire, "t", 1, good()), ErrorCode::UnknownTopicOrPartition.code());
    assert_eq!(refused(&mut wire, "__consumer_offsets", 0, good()), ErrorCode::UnknownTopicOrPartition.code());
    let mut corrupt = good().to_vec();
    *corrupt.last_mut().expect("a batch has bytes") ^= 1;
    assert_eq!(refused(&mut wire, "t", 0, corrupt.into()), ErrorCode::CorruptMessage.code());
    let twice = [good(), good()].concat().into();
    assert_eq!(refused(&mut wire, "t", 0, twice), ErrorCode::InvalidRecord.code());
    let response = wire.call(PRODUCE, &produce_request("t", 0, 2, good()));
    assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::InvalidRequiredAcks.code());
}

#[test]
fn a_repeated_batch_is_appended_once_even_after_a_restart() {
    let mut broker = Broker::start();
    broker.create_topic("t", 1);
    let mut wire = broker.connect();
    let first = batch_of(5, 0, &["a", "b"]);
    assert_eq!(produce(&mut wire, "t", 0, first.clone()).base_offset, 0);
    assert_eq!(produce(&mut wire, "t", 0, first.clone()).base_offset, 0);
    let gap = produce(&mut wire, "t", 0, batch_of(5, 7, &["later"]));
    assert_eq!(gap.error_code, ErrorCode::OutOfOrderSequenceNumber.code());
    broker.restart();
    let mut wire = broker.connect();
    assert_eq!(produce(&mut wire, "t", 0, first).base_offset, 0);
    assert_eq!(produce(&mut wire, "t", 0, batch_of(5, 2, &["c"])).base_offset, 2);
}
