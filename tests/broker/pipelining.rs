//! Many requests of one connection on their way at once.

use crate::batches::{FETCH, PRODUCE, batch, fetch, fetch_request, produce_request, records};
use crate::harness::Broker;
use bytes::Buf;
use odradek_protocol::messages::{ApiVersionsRequest, MetadataRequest};
use odradek_shards::record::Codec;

#[test]
fn answers_leave_in_the_order_of_the_requests() {
    let broker = Broker::start();
    broker.create_topic("t", 4);
    let mut wire = broker.connect();
    let mut sent = Vec::new();
    for turn in 0..500 {
        sent.push(match turn % 4 {
            0 => wire.send(PRODUCE, &produce_request("t", turn % 4, -1, batch(Codec::None, &["x"]))),
            1 => wire.send(FETCH, &fetch_request("t", &[(0, 0), (1, 0)], 5)),
            2 => wire.send(9, &MetadataRequest { topics: None, ..Default::default() }),
            _ => wire.send(0, &ApiVersionsRequest::default()),
        });
    }
    let answered: Vec<i32> = sent.iter().map(|_| wire.receive_frame().expect("an answer").get_i32()).collect();
    assert_eq!(answered, sent);
}

#[test]
fn batches_of_one_connection_keep_their_order() {
    let broker = Broker::start();
    broker.create_topic("t", 1);
    let mut wire = broker.connect();
    for turn in 0..200 {
        wire.send(PRODUCE, &produce_request("t", 0, 1, batch(Codec::None, &[&turn.to_string()])));
    }
    for _ in 0..200 {
        wire.receive_frame().expect("an answer");
    }
    let mut found = Vec::new();
    while found.len() < 200 {
        found.extend(records(&fetch(&mut wire, "t", 0, found.len() as i64)));
    }
    let values: Vec<String> = found.into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, (0..200).map(|turn: i32| turn.to_string()).collect::<Vec<_>>());
}
