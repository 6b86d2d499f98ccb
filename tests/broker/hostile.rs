//! Bytes nobody should send: they end their own connection and touch nothing else.

use crate::batches::{FETCH, batch, fetch_request, produce};
use crate::harness::Broker;
use odradek_shards::record::Codec;

/// What the process may grow by under attack.
const GROWTH_MAX: usize = 64 << 20;

fn frame(body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len()).expect("test frames are small").to_be_bytes();
    [&size, body].concat()
}

/// A request header in the flexible form, then `body`.
fn request(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let header = [key.to_be_bytes().as_slice(), &version.to_be_bytes(), b"\0\0\0\x01\xff\xff\0"].concat();
    frame(&[&header, body].concat())
}

#[test]
fn hostile_frames_close_only_their_own_connection() {
    let mut broker = Broker::start();
    broker.create_topic("t", 1);
    let mut bystander = broker.connect();
    let before = broker.resident_bytes();
    let huge_count = request(3, 12, b"\xff\xff\xff\xff\x0f");
    let corpus: Vec<(&str, Vec<u8>)> = vec![
        ("a metadata request for three billion topics", request(3, 12, b"\x03\x3c\x0c\x00\xb6")),
        ("the largest count there is", huge_count),
        ("an unknown api", request(999, 0, b"")),
        ("a version from the past", request(0, 2, b"")),
        ("a version from the future", request(3, 99, b"")),
        ("a negative size", b"\xff\xff\xff\xff".to_vec()),
        ("a size over the limit", b"\x7f\xff\xff\xff".to_vec()),
        ("no header", frame(b"\0")),
        ("an empty frame", frame(b"")),
        ("a truncated body", request(0, 9, b"\0\0\0")),
    ];
    for (name, bytes) in &corpus {
        let mut wire = broker.connect();
        wire.send_until_closed(bytes);
        assert!(wire.is_closed(), "{name}");
    }
    assert_eq!(produce(&mut bystander, "t", 0, batch(Codec::None, &["x"])).error_code, 0);
    assert!(broker.is_alive());
    let grown = broker.resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "grown by {grown}");
    assert!(broker.log().contains("closing a connection"), "the operator is told");
}

#[test]
fn the_header_of_a_large_frame_costs_nothing() {
    let mut broker = Broker::start();
    let before = broker.resident_bytes();
    let mut wires: Vec<_> = (0..100).map(|_| broker.connect()).collect();
    for wire in &mut wires {
        wire.send_bytes(&(100u32 << 20).to_be_bytes());
    }
    assert_eq!(broker.connect().call(0, &odradek_protocol::messages::ApiVersionsRequest::default()).error_code, 0);
    let grown = broker.resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "grown by {grown}");
    assert!(broker.is_alive());
}

#[test]
fn twenty_million_tags_are_refused() {
    let mut broker = Broker::start();
    let before = broker.resident_bytes();
    // An empty list of topics, three flags, then tags without end: each of a byte's number and no bytes.
    let mut body = b"\x01\0\0\0".to_vec();
    body.extend_from_slice(b"\x80\xda\xc4\x09");
    body.extend(std::iter::repeat_n([1u8, 0u8], 20_000_000).flatten());
    let mut wire = broker.connect();
    wire.send_until_closed(&request(3, 9, &body));
    assert!(wire.is_closed());
    assert!(broker.is_alive());
    let grown = broker.resident_bytes().saturating_sub(before);
    assert!(grown < 2 * GROWTH_MAX, "grown by {grown}: the frame itself is 40 MB");
}

#[test]
fn an_idle_connection_is_closed() {
    let broker = Broker::start_with(&["connections.max.idle.ms=300"]);
    let mut wire = broker.connect();
    assert!(wire.is_closed());
}

#[test]
fn an_address_may_hold_only_so_many_connections() {
    let broker = Broker::start_with(&["max.connections.per.ip=2"]);
    let request = odradek_protocol::messages::ApiVersionsRequest::default();
    let (mut first, mut second) = (broker.connect(), broker.connect());
    assert_eq!((first.call(0, &request).error_code, second.call(0, &request).error_code), (0, 0));
    assert!(broker.connect().is_closed());
    assert_eq!(first.call(0, &request).error_code, 0);
}

#[test]
fn consumers_that_take_nothing_hold_little_and_stop_no_producer() {
    let broker = Broker::start_with(&[
        "socket.request.max.bytes=2097152",
        "odradek.request.memory.bytes=16777216",
        "odradek.tail.cache.bytes=1048576",
    ]);
    broker.create_topic("t", 1);
    let mut bystander = broker.connect();
    let value = "x".repeat(1_000_000);
    for _ in 0..64 {
        assert_eq!(produce(&mut bystander, "t", 0, batch(Codec::None, &[&value])).error_code, 0);
    }
    let before = broker.resident_bytes();
    let mut idle: Vec<_> = (0..60).map(|_| broker.connect()).collect();
    for wire in &mut idle {
        for _ in 0..20 {
            let mut request = fetch_request("t", &[(0, 0)], 1000);
            request.topics[0].partitions[0].partition_max_bytes = 50 << 20;
            wire.send(FETCH, &request);
        }
    }
    for _ in 0..20 {
        assert_eq!(produce(&mut bystander, "t", 0, batch(Codec::None, &["y"])).error_code, 0);
    }
    let grown = broker.resident_bytes().saturating_sub(before);
    assert!(grown < 2 * GROWTH_MAX, "grown by {grown}");
}
