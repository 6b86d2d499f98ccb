//! kill -9 under load: what was acknowledged is there after the restart, once, and in order.

use crate::harness::Broker;
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PARTITIONS: i32 = 4;

/// Rounds by default; `ODRADEK_KILL_ROUNDS=20` for the long run.
fn rounds() -> u32 {
    std::env::var("ODRADEK_KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3)
}

#[test]
fn every_acked_record_survives_kill_nine_under_load_and_none_is_there_twice() {
    let mut broker = Broker::start();
    broker.create_topic("ledger", PARTITIONS);
    let ledger = Ledger::default();
    let producer = producer(&broker, ledger.clone());
    let mut next = 0u64;
    for round in 0..rounds() {
        let until = Instant::now() + Duration::from_millis(1500);
        while Instant::now() < until {
            next = send_some(&producer, next);
        }
        let acked = ledger.acked();
        broker.kill();
        let recovery = broker.restart();
        println!("round {round}: {acked} acked so far, serving again after {} ms", recovery.as_millis());
    }
    producer.flush(Duration::from_secs(60)).expect("the producer drains once the broker is back");
    check(&broker, &ledger, next);
}

fn send_some(producer: &ThreadedProducer<Ledger>, next: u64) -> u64 {
    let value = format!("{next:020}");
    let partition = (next % PARTITIONS as u64) as i32;
    match producer.send(BaseRecord::<(), str>::to("ledger").partition(partition).payload(&value)) {
        Ok(()) => next + 1,
        Err(_full) => {
            std::thread::sleep(Duration::from_millis(5));
            next
        }
    }
}

/// Which records were acknowledged, as the delivery reports say.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<HashSet<u64>>>);

impl Ledger {
    fn acked(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl ClientContext for Ledger {}

impl ProducerContext for Ledger {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Ok(message) = result {
            self.0.lock().unwrap().insert(number(message.payload().unwrap()));
        }
    }
}

fn number(payload: &[u8]) -> u64 {
    std::str::from_utf8(payload).unwrap().parse().unwrap()
}

fn producer(broker: &Broker, ledger: Ledger) -> ThreadedProducer<Ledger> {
    ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "1")
        .set("message.timeout.ms", "120000")
        .set("reconnect.backoff.max.ms", "200")
        .set("retry.backoff.max.ms", "200")
        .create_with_context(ledger)
        .unwrap()
}

/// Of no group: it stores no offsets.
fn consumer(broker: &Broker) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap()
}

/// Reads every partition to its end: values rise within a partition, so none is lost in the middle, twice, or out of order.
fn check(broker: &Broker, ledger: &Ledger, sent: u64) {
    let mut seen = HashSet::new();
    for partition in 0..PARTITIONS {
        let consumer = consumer(broker);
        let (_, end) = consumer.fetch_watermarks("ledger", partition, Duration::from_secs(10)).unwrap();
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition_offset("ledger", partition, Offset::Beginning).unwrap();
        consumer.assign(&wanted).unwrap();
        let mut last = None;
        let mut at = 0;
        while at < end {
            let message = consumer.poll(Duration::from_secs(10));
            let message =
                message.unwrap_or_else(|| panic!("partition {partition}: nothing at {at}, the end is {end}")).unwrap();
            let value = number(message.payload().unwrap());
            assert!(last < Some(value), "partition {partition}: {value} after {last:?}");
            assert_eq!(message.offset(), at, "offsets have no gaps");
            last = Some(value);
            at += 1;
            seen.insert(value);
        }
    }
    let acked = ledger.0.lock().unwrap();
    let lost = acked.difference(&seen).count();
    assert_eq!(lost, 0, "{lost} of {} acked records are gone", acked.len());
    println!("{sent} sent, {} acked, {} found", acked.len(), seen.len());
}
