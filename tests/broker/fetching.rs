//! Fetch and ListOffsets: waiting, limits, sessions, special offsets.

use crate::batches::{FETCH, batch, fetch, fetch_request, produce, produce_request, records};
use crate::harness::Broker;
use crate::wire::Wire;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use odradek_protocol::messages::{FetchRequest, FetchResponse, ListOffsetsRequest};
use odradek_shards::record::Codec;

fn shown(response: &FetchResponse) -> Vec<i32> {
    response.responses.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.partition_index).collect()
}

#[test]
fn a_fetch_waits_until_a_record_comes() {
    let broker = Broker::start();
    broker.create_topic("t", 4);
    let mut waiting = broker.connect();
    let everywhere: Vec<(i32, i64)> = (0..4).map(|partition| (partition, 0)).collect();
    waiting.send(FETCH, &fetch_request("t", &everywhere, 20_000));
    let mut wire = broker.connect();
    produce(&mut wire, "t", 2, batch(Codec::None, &["awaited"]));
    let (_, response) = waiting.receive::<FetchRequest>(FETCH);
    let data = response.responses[0].partitions.iter().find(|data| data.partition_index == 2).expect("all are shown");
    assert_eq!(records(data), [(0, "awaited".to_owned())]);
}

#[test]
fn a_fetch_with_nothing_to_bring_comes_back_empty() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    let response = broker.connect().call(FETCH, &fetch_request("t", &[(0, 0)], 50));
    assert_eq!((shown(&response), response.responses[0].partitions[0].error_code), (vec![0], 0));
}

#[test]
fn one_batch_comes_even_when_it_is_over_every_limit() {
    let broker = Broker::start();
    broker.create_topic("t", 2);
    let mut wire = broker.connect();
    let large = "x".repeat(5000);
    for partition in [0, 1] {
        produce(&mut wire, "t", partition, batch(Codec::None, &[&large]));
        produce(&mut wire, "t", partition, batch(Codec::None, &[&large]));
    }
    let mut request = fetch_request("t", &[(1, 0), (0, 0)], 1000);
    request.max_bytes = 1;
    let response = wire.call(FETCH, &request);
    let partitions = &response.responses[0].partitions;
    assert_eq!(shown(&response), [1, 0], "in the order of the request");
    assert_eq!(records(&partitions[0]).len(), 1);
    assert_eq!(records(&partitions[1]).len(), 0);
}

#[test]
fn an_offset_outside_of_the_log_is_an_error() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    let mut wire = broker.connect();
    assert_eq!(fetch(&mut wire, "t", 0, 5).error_code, ErrorCode::OffsetOutOfRange.code());
    assert_eq!(fetch(&mut wire, "t", 9, 0).error_code, ErrorCode::UnknownTopicOrPartition.code());
}

#[test]
fn a_session_tells_only_what_changed() {
    let broker = Broker::start();
    broker.create_topic("t", 3);
    let mut wire = broker.connect();
    let mut request = fetch_request("t", &[(0, 0), (1, 0), (2, 0)], 0);
    request.session_epoch = 0;
    let opened = wire.call(FETCH, &request);
    assert_eq!(shown(&opened), [0, 1, 2]);
    assert_ne!(opened.session_id, 0);
    let next = |epoch| FetchRequest {
        session_id: opened.session_id,
        session_epoch: epoch,
        topics: Vec::new(),
        ..fetch_request("t", &[], 0)
    };
    assert_eq!(shown(&wire.call(FETCH, &next(1))), [] as [i32; 0]);
    produce(&mut wire, "t", 1, batch(Codec::None, &["news"]));
    assert_eq!(shown(&wire.call(FETCH, &next(2))), [1]);
    let repeated = wire.call(FETCH, &next(2));
    assert_eq!(repeated.error_code, ErrorCode::InvalidFetchSessionEpoch.code());
    let unknown = FetchRequest { session_id: opened.session_id ^ 1, ..next(3) };
    assert_eq!(wire.call(FETCH, &unknown).error_code, ErrorCode::FetchSessionIdNotFound.code());
}

#[test]
fn a_parked_fetch_does_not_hold_up_other_connections_or_later_requests() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    let mut wire = broker.connect();
    wire.send(FETCH, &fetch_request("t", &[(0, 0)], 20_000));
    wire.send(12, &produce_request("t", 0, 1, batch(Codec::None, &["own"])));
    let (_, response) = wire.receive::<FetchRequest>(FETCH);
    assert_eq!(records(&response.responses[0].partitions[0]), [(0, "own".to_owned())]);
}

fn offset(wire: &mut Wire, timestamp: i64) -> (i16, i64) {
    let partition = ListOffsetsPartition { partition_index: 0, timestamp, ..Default::default() };
    let topic = ListOffsetsTopic { name: "t".into(), partitions: vec![partition] };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    let response = wire.call(11, &request);
    let told = &response.topics[0].partitions[0];
    (told.error_code, told.offset)
}

#[test]
fn special_offsets_are_those_of_the_log() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    let mut wire = broker.connect();
    for value in ["a", "b", "c"] {
        produce(&mut wire, "t", 0, batch(Codec::None, &[value]));
    }
    assert_eq!(offset(&mut wire, -1), (0, 3), "latest");
    assert_eq!(offset(&mut wire, -2), (0, 0), "earliest");
    assert_eq!(offset(&mut wire, -4), (0, 0), "earliest local");
    assert_eq!(offset(&mut wire, -5), (0, -1), "latest tiered");
    assert_eq!(offset(&mut wire, 0), (0, 0), "by time");
    assert_eq!(offset(&mut wire, i64::MAX), (0, -1), "later than all");
    assert_eq!(offset(&mut wire, -9), (ErrorCode::UnsupportedVersion.code(), -1));
}
