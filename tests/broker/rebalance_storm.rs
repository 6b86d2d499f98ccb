//! Members that join, leave and crash at random: nobody has what another has, every record is read, and the group comes
//! to rest. `STORM_SECONDS` and `STORM_MEMBERS` make it longer and larger.

use crate::batches::{batch, produce};
use crate::harness::Broker;
use crate::ledger::Ledger;
use crate::member::{self, Kind, Orders};
use odradek_shards::record::Codec;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

const PARTITIONS: i32 = 60;
/// How long a group may take to come to rest after the last change.
const REST_MAX: Duration = Duration::from_secs(10);
/// How long the records that are left may take to be read.
const READ_MAX: Duration = Duration::from_secs(60);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn broker() -> Broker {
    let broker = Broker::start_with(&[
        "group.initial.rebalance.delay.ms=0",
        "offsets.topic.num.partitions=5",
        "group.min.session.timeout.ms=500",
        "group.consumer.min.session.timeout.ms=500",
        "group.consumer.session.timeout.ms=3000",
        "group.consumer.min.heartbeat.interval.ms=100",
        "group.consumer.heartbeat.interval.ms=100",
        "group.consumer.assignment.interval.ms=100",
    ]);
    broker.create_topic(member::TOPIC, PARTITIONS);
    member::find_coordinator(&mut broker.connect());
    broker
}

fn storm(kinds: &[Kind]) {
    let broker = broker();
    let ledger = Arc::new(Ledger::new(kinds.len() == 1));
    let orders = Arc::new(Orders::default());
    let members = setting("STORM_MEMBERS", 10);
    let handles: Vec<_> = (0..members)
        .map(|place| {
            let (ledger, orders, address) = (ledger.clone(), orders.clone(), broker.address());
            let kind = kinds[place as usize % kinds.len()];
            thread::spawn(move || member::live(address, place, kind, &orders, &ledger))
        })
        .collect();
    let sent = send(&broker, Duration::from_secs(setting("STORM_SECONDS", 3)));
    orders.is_calm.store(true, Ordering::Relaxed);
    let rested = wait(REST_MAX, || ledger.owned() == PARTITIONS as usize && ledger.is_quiet(Duration::from_secs(1)));
    let read = wait(READ_MAX, || ledger.records() == sent);
    orders.is_over.store(true, Ordering::Relaxed);
    handles.into_iter().for_each(|handle| handle.join().expect("members do not panic"));
    println!("{kinds:?}: {members} members, {sent} records, {}, at rest after {rested:?}", ledger.summary());
    assert_eq!(ledger.faults(), Vec::<String>::new());
    assert!(rested.is_some(), "{} of {PARTITIONS} are owned: {}", ledger.owned(), ledger.summary());
    assert!(read.is_some(), "{} of {sent} records were read", ledger.records());
}

/// Records go out while the storm lasts; how many.
fn send(broker: &Broker, duration: Duration) -> usize {
    let mut wire = broker.connect();
    let since = Instant::now();
    let mut sent = 0;
    while since.elapsed() < duration {
        let partition = i32::try_from(sent % PARTITIONS as usize).expect("a small number");
        assert_eq!(produce(&mut wire, member::TOPIC, partition, batch(Codec::None, &["x"])).error_code, 0);
        sent += 1;
        thread::sleep(Duration::from_millis(5));
    }
    sent
}

/// How long it took to become true, if it did in time.
fn wait(max: Duration, is_true: impl Fn() -> bool) -> Option<Duration> {
    let since = Instant::now();
    while !is_true() {
        if since.elapsed() > max {
            return None;
        }
        thread::sleep(Duration::from_millis(20));
    }
    Some(since.elapsed())
}

#[test]
fn classic_members_come_and_go() {
    storm(&[Kind::Classic]);
}

#[test]
fn consumers_come_and_go() {
    storm(&[Kind::Consumer]);
}

#[test]
fn members_of_both_protocols_come_and_go() {
    storm(&[Kind::Classic, Kind::Consumer]);
}
