//! kill -9 under librdkafka's consumers of both protocols: nothing acknowledged is lost or read again once committed, and
//! the group is at work again soon, with the members it had. `ODRADEK_KILL_ROUNDS` has the broker killed more often.

use crate::book::{Book, Place};
use crate::harness::Broker;
use crate::member::find_coordinator;
use crate::reader::{COOPERATIVE, EAGER, QUICK, Reader, SERVER_RANGE, UNIFORM, Way, config};
use odradek_protocol::messages as m;
use odradek_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext, Message};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const PARTITIONS: i32 = 6;
const GROUP: &str = "g";
/// How long a group may take to come to rest after a restart.
const REST_MAX: Duration = Duration::from_secs(10);
/// How long what is left may take to be read at the end.
const READ_MAX: Duration = Duration::from_secs(20);
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn rounds() -> usize {
    std::env::var("ODRADEK_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(4)
}

/// Where acknowledged records lie.
#[derive(Clone, Default)]
struct Acknowledged(Arc<Mutex<BTreeSet<(i32, i64)>>>);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Ok(message) = result {
            self.0.lock().unwrap().insert((message.partition(), message.offset()));
        }
    }
}

/// Produces until it is told to end; then everything is delivered.
fn produce(broker: &Broker, acknowledged: &Acknowledged, is_over: &Arc<AtomicBool>) -> thread::JoinHandle<()> {
    let producer: ThreadedProducer<Acknowledged> = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("enable.idempotence", "true")
        .set("linger.ms", "1")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200")
        .set("retry.backoff.max.ms", "200")
        .create_with_context(acknowledged.clone())
        .expect("settings librdkafka knows");
    let is_over = is_over.clone();
    thread::spawn(move || {
        for number in 0.. {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            let record = BaseRecord::<(), str>::to("t").partition(number % PARTITIONS).payload("x");
            producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
            thread::sleep(Duration::from_millis(1));
        }
        producer.flush(Duration::from_secs(30)).expect("everything is delivered");
    })
}

/// State, and of each member its epoch, where the protocol has one; none while the coordinator cannot tell.
fn look(broker: &Broker, way: Way) -> Option<(String, BTreeMap<String, i32>)> {
    let mut wire = broker.connect();
    if way.is_classic {
        let request = m::DescribeGroupsRequest { groups: vec![GROUP.into()], ..Default::default() };
        let group = wire.call(6, &request).groups.remove(0);
        let members = group.members.iter().map(|member| (member.member_id.to_string(), 0)).collect();
        (group.error_code == 0).then(|| (group.group_state.to_string(), members))
    } else {
        let request = m::ConsumerGroupDescribeRequest { group_ids: vec![GROUP.into()], ..Default::default() };
        let group = wire.call(1, &request).groups.remove(0);
        let members = group.members.iter().map(|member| (member.member_id.to_string(), member.member_epoch)).collect();
        (group.error_code == 0).then(|| (group.group_state.to_string(), members))
    }
}

fn committed(broker: &Broker) -> Option<BTreeMap<Place, i64>> {
    let group = OffsetFetchRequestGroup { group_id: GROUP.into(), topics: None, ..Default::default() };
    let request = m::OffsetFetchRequest { groups: vec![group], ..Default::default() };
    let group = broker.connect().call(8, &request).groups.remove(0);
    let topics = group.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |one| (topic, one)));
    let offsets = topics.map(|(topic, one)| ((topic.name.to_string(), one.partition_index), one.committed_offset));
    (group.error_code == 0).then(|| offsets.collect())
}

/// Stable, everything given out, and all partitions go on being read and committed.
fn rest(broker: &Broker, way: Way, book: &Book, names: &[&str]) -> (Duration, BTreeMap<String, i32>) {
    let since = Instant::now();
    let before = book.commits();
    loop {
        let told = look(broker, way).filter(|(state, members)| state == "Stable" && members.len() == names.len());
        let commits = book.commits();
        let goes_on = commits.iter().filter(|(place, offset)| before.get(*place).is_none_or(|old| old < *offset));
        let is_at_work = goes_on.count() == PARTITIONS as usize && book.is_shared(PARTITIONS as usize, names);
        match told {
            Some((_, members)) if is_at_work => return (since.elapsed(), members),
            told => assert!(
                since.elapsed() < REST_MAX,
                "not at rest: {told:?}, commits {before:?} to {:?}, {:?}",
                book.commits(),
                book.refusals()
            ),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// What was acknowledged before is there, and no more than what was read.
fn check_committed(broker: &Broker, before: &BTreeMap<Place, i64>, book: &Book) {
    let found = loop {
        match committed(broker) {
            Some(found) => break found,
            None => thread::sleep(Duration::from_millis(1)),
        }
    };
    for (place, acknowledged) in before {
        let found = found.get(place).copied().unwrap_or(-1);
        assert!(found >= *acknowledged, "{place:?} was committed at {acknowledged}, {found} is left");
        assert!(book.has_read(place, found - 1), "{place:?} is committed at {found}, which nobody has read up to");
    }
}

fn kill_under(way: Way) {
    let mut broker = Broker::start_with(&QUICK);
    broker.create_topic("t", PARTITIONS);
    find_coordinator(&mut broker.connect());
    let book = Arc::new(Book::default());
    let config = config(broker.address(), GROUP, way);
    let (acknowledged, is_over) = (Acknowledged::default(), Arc::new(AtomicBool::new(false)));
    let producing = produce(&broker, &acknowledged, &is_over);
    let start = |name: &str| Reader::start(name, &config, &["t"], &book);
    let mut readers: Vec<_> = NAMES[..2].iter().map(|name| start(name)).collect();
    let (_, mut members) = rest(&broker, way, &book, &NAMES[..2]);
    let mut took = Vec::new();
    for round in 0..rounds() {
        thread::sleep(Duration::from_millis(300 + 97 * round as u64 % 400));
        // Every other time somebody comes while the broker goes, as long as there are names.
        let is_joined = round % 2 == 1 && readers.len() < NAMES.len();
        if is_joined {
            readers.push(start(NAMES[readers.len()]));
            thread::sleep(Duration::from_millis(20 * round as u64 % 150));
        }
        let (assigned, commits) = (book.all_assigned(), book.commits());
        broker.kill();
        if round % 4 == 2 {
            broker.restart();
            thread::sleep(Duration::from_millis(30));
            broker.kill();
        }
        broker.restart();
        check_committed(&broker, &commits, &book);
        let (time, now) = rest(&broker, way, &book, &NAMES[..readers.len()]);
        took.push(time.as_millis());
        let stays = |(id, epoch): (&String, &i32)| now.get(id).is_some_and(|now| now >= epoch);
        assert!(members.iter().all(stays), "round {round}: {members:?} became {now:?}");
        if !is_joined {
            assert_eq!(now, members, "round {round}: nobody came or went");
            assert_eq!(book.all_assigned(), assigned, "round {round}: nothing changed hands");
        }
        members = now;
    }
    is_over.store(true, Ordering::Relaxed);
    producing.join().expect("the producer does not panic");
    finish(&book, &acknowledged, readers);
    println!("{way:?}: at rest after {took:?} ms, {:?} records read", book.reads());
}

/// Everything acknowledged is read, and committed when all have gone.
fn finish(book: &Book, acknowledged: &Acknowledged, readers: Vec<Reader>) {
    let since = Instant::now();
    let unread = || {
        let acknowledged = acknowledged.0.lock().unwrap();
        acknowledged.iter().filter(|(partition, offset)| !book.has_read(&("t".into(), *partition), *offset)).count()
    };
    while unread() > 0 && since.elapsed() < READ_MAX {
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(unread(), 0, "of {} acknowledged records", acknowledged.0.lock().unwrap().len());
    readers.into_iter().for_each(Reader::go);
    book.check();
    let committed: i64 = book.commits().values().sum();
    assert_eq!(committed, book.reads().0 as i64, "{:?}", book.refusals());
}

#[test]
fn eager_members_outlive_a_killed_broker() {
    kill_under(EAGER);
}

#[test]
fn cooperative_members_outlive_a_killed_broker() {
    kill_under(COOPERATIVE);
}

#[test]
fn uniform_consumers_outlive_a_killed_broker() {
    kill_under(UNIFORM);
}

#[test]
fn range_consumers_outlive_a_killed_broker() {
    kill_under(SERVER_RANGE);
}
