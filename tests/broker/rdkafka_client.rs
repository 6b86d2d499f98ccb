//! A client from the field: librdkafka.

use crate::harness::Broker;
use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::time::Duration;

const RECORDS: usize = 2000;
const PARTITIONS: i32 = 4;

fn produce(broker: &Broker, codec: &str, idempotent: bool) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("compression.type", codec)
        .set("enable.idempotence", idempotent.to_string())
        .create()
        .expect("settings librdkafka knows");
    for number in 0..RECORDS {
        let value = number.to_string();
        let record = BaseRecord::<(), str>::to("t").partition(number as i32 % PARTITIONS).payload(&value);
        producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
    }
    producer.flush(Duration::from_secs(30)).expect("everything is delivered");
}

/// Of no group: it stores no offsets.
fn consume(broker: &Broker) -> Vec<usize> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .set("check.crcs", "true")
        .create()
        .expect("settings librdkafka knows");
    let mut wanted = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        wanted.add_partition_offset("t", partition, Offset::Beginning).expect("a partition");
    }
    consumer.assign(&wanted).expect("an assignment needs no group");
    let next = || consumer.poll(Duration::from_secs(20)).expect("a record").expect("no error");
    let number = |message: rdkafka::message::BorrowedMessage<'_>| {
        std::str::from_utf8(message.payload().expect("a value")).expect("text").parse().expect("a number")
    };
    (0..RECORDS).map(|_| number(next())).collect()
}

fn round_trip(codec: &str, idempotent: bool) {
    let broker = Broker::start();
    broker.create_topic("t", PARTITIONS);
    produce(&broker, codec, idempotent);
    let found: BTreeSet<usize> = consume(&broker).into_iter().collect();
    assert_eq!(found, (0..RECORDS).collect());
}

#[test]
fn an_uncompressed_round_trip() {
    round_trip("none", false);
}

#[test]
fn an_idempotent_round_trip() {
    round_trip("none", true);
}

#[test]
fn a_snappy_round_trip() {
    round_trip("snappy", true);
}

#[test]
fn an_lz4_round_trip() {
    round_trip("lz4", false);
}
