//! Groups of librdkafka's consumers, with each of its ways of sharing partitions, KIP-848's among them.

use crate::batches::{batch, produce};
use crate::book::Book;
use crate::harness::Broker;
use crate::member::find_coordinator;
use crate::reader::{COOPERATIVE, EAGER, QUICK, Reader, SERVER_RANGE, UNIFORM, Way, config, leave};
use odradek_protocol::messages as m;
use odradek_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use odradek_shards::record::Codec;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const PARTITIONS: i32 = 6;
const SOON: Duration = Duration::from_secs(20);
/// Longer than a heartbeat takes to tell of a rebalance.
const WHILE: Duration = Duration::from_millis(800);

fn broker() -> Broker {
    let broker = Broker::start_with(&QUICK);
    broker.create_topic("t", PARTITIONS);
    find_coordinator(&mut broker.connect());
    broker
}

/// Without a committed offset librdkafka asks where a partition begins; when it is given and taken back meanwhile, one of
/// those questions may be asked again later and move a consumer that reads already back to the first record.
fn begin_at_zero(broker: &Broker) {
    let zero =
        |index| OffsetCommitRequestPartition { partition_index: index, committed_offset: 0, ..Default::default() };
    let partitions = (0..PARTITIONS).map(zero).collect();
    let topics = vec![OffsetCommitRequestTopic { name: "t".into(), partitions, ..Default::default() }];
    let request = m::OffsetCommitRequest { group_id: "g".into(), topics, ..Default::default() };
    let committed = broker.connect().call(8, &request);
    assert!(committed.topics[0].partitions.iter().all(|partition| partition.error_code == 0));
}

fn write(broker: &Broker, topic: &str, records: usize) {
    let mut wire = broker.connect();
    for number in 0..records {
        let partition = i32::try_from(number).expect("few") % PARTITIONS;
        assert_eq!(produce(&mut wire, topic, partition, batch(Codec::None, &["x"])).error_code, 0);
    }
}

#[track_caller]
fn soon(what: &str, is_true: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_true() {
        assert!(since.elapsed() < SOON, "not within {SOON:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Three come one after the other and one goes, while records come in.
fn come_and_go(way: Way) {
    let broker = broker();
    begin_at_zero(&broker);
    let book = Arc::new(Book::default());
    let config = config(broker.address(), "g", way);
    let mut readers = Vec::new();
    let names = ["a", "b", "c"];
    for (nth, name) in names.into_iter().enumerate() {
        readers.push(Reader::start(name, &config, &["t"], &book));
        write(&broker, "t", 60);
        soon("everybody has a part", || book.is_shared(PARTITIONS as usize, &names[..=nth]));
    }
    readers.remove(0).go();
    write(&broker, "t", 60);
    soon("those who stay have all", || book.is_shared(PARTITIONS as usize, &names[1..]));
    soon("all is read", || book.reads().0 == 240);
    readers.into_iter().for_each(Reader::go);
    book.check();
    assert_eq!(book.commits().values().sum::<i64>(), 240, "{:?}", book.refusals());
    assert_eq!(book.reads(), (240, 240), "everybody commits before it gives something back");
    assert_eq!(state(&broker), "Empty", "who closes leaves");
}

fn state(broker: &Broker) -> String {
    let listed = broker.connect().call(5, &m::ListGroupsRequest::default()).groups;
    listed.iter().find(|group| group.group_id == "g").map_or_else(String::new, |group| group.group_state.to_string())
}

/// One that comes back under its name has what it had, and the other does not notice.
fn static_membership(way: Way) {
    let broker = broker();
    let book = Arc::new(Book::default());
    let start = |name: &str| {
        let mut config = config(broker.address(), "g", way);
        config.set("group.instance.id", name);
        Reader::start(name, &config, &["t"], &book)
    };
    let (stays, goes) = (start("a"), start("b"));
    soon("both have a part", || book.is_shared(PARTITIONS as usize, &["a", "b"]));
    write(&broker, "t", 60);
    soon("all is read", || book.reads().0 == 60);
    thread::sleep(WHILE);
    let (had, assigned) = (book.held_by("b"), book.assigned("a"));
    goes.go();
    write(&broker, "t", 60);
    let back = start("b");
    soon("it has what it had", || book.held_by("b") == had);
    soon("what came meanwhile is read", || book.reads().0 == 120);
    thread::sleep(WHILE);
    assert_eq!(book.assigned("a"), assigned, "the one that stayed was assigned anew");
    stays.go();
    back.go();
    book.check();
    assert_eq!(book.reads(), (120, 120));
}

/// Topics that match, those made later too, and no others.
fn by_regex(way: Way) {
    let broker = broker();
    broker.create_topic("re-1", PARTITIONS);
    write(&broker, "re-1", 60);
    write(&broker, "t", 60);
    let book = Arc::new(Book::default());
    let config = config(broker.address(), "g", way);
    let readers = ["a", "b"].map(|name| Reader::start(name, &config, &["^re-[0-9]+"], &book));
    soon("the first topic is shared", || book.is_shared(PARTITIONS as usize, &["a", "b"]));
    broker.create_topic("re-2", PARTITIONS);
    write(&broker, "re-2", 60);
    soon("both topics are shared", || book.is_shared(2 * PARTITIONS as usize, &["a", "b"]));
    soon("both are read", || book.reads().0 == 120);
    readers.into_iter().for_each(Reader::go);
    book.check();
    let topics: BTreeSet<_> = book.commits().into_keys().map(|(topic, _)| topic).collect();
    assert_eq!(topics, BTreeSet::from(["re-1".to_owned(), "re-2".to_owned()]));
}

/// What is committed, with its metadata, is where the next one begins.
fn commits(way: Way) {
    let broker = broker();
    write(&broker, "t", 60);
    let open = || {
        let consumer: BaseConsumer = config(broker.address(), "g", way).create().expect("settings librdkafka knows");
        consumer.subscribe(&["t"]).expect("a subscription");
        consumer
    };
    let read = |consumer: &BaseConsumer, count: usize| {
        let since = Instant::now();
        let mut found = BTreeSet::new();
        while found.len() < count && since.elapsed() < SOON {
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
                found.insert((rdkafka::Message::partition(&message), rdkafka::Message::offset(&message)));
            }
        }
        assert_eq!(found.len(), count);
        found
    };
    let first = open();
    read(&first, 60);
    commit_by_hand(&first);
    leave(&first);
    drop(first);
    soon("it has left", || state(&broker) == "Empty");
    let second = open();
    assert_eq!(read(&second, 6), (4..10).map(|offset| (2, offset)).collect());
    leave(&second);
}

/// One offset with metadata in one request, the others in another. All lists are gone when this returns: a consumer ends
/// only after those that name its partitions.
fn commit_by_hand(consumer: &BaseConsumer) {
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("t", 2, Offset::Offset(4)).expect("an offset");
    offsets.find_partition("t", 2).expect("it is there").set_metadata("by hand");
    consumer.commit(&offsets, CommitMode::Sync).expect("it is a member");
    let mut others = TopicPartitionList::new();
    for partition in [0, 1, 3, 4, 5] {
        others.add_partition_offset("t", partition, Offset::Offset(10)).expect("an offset");
    }
    consumer.commit(&others, CommitMode::Async).expect("it is on its way");
    soon("the second is committed too", || {
        let _ = consumer.poll(Duration::from_millis(20));
        let committed = consumer.committed(SOON).expect("its own offsets");
        committed.find_partition("t", 5).map(|one| one.offset()) == Some(Offset::Offset(10))
    });
    let committed = consumer.committed(SOON).expect("its own offsets");
    let by_hand = committed.find_partition("t", 2).expect("it has all");
    assert_eq!((by_hand.offset(), by_hand.metadata()), (Offset::Offset(4), "by hand"));
}

macro_rules! with_each_way {
    ($($name:ident: $case:ident($way:ident);)*) => {
        $(#[test]
        fn $name() {
            $case($way);
        })*
    };
}

with_each_way! {
    eager_members_come_and_go: come_and_go(EAGER);
    cooperative_members_come_and_go: come_and_go(COOPERATIVE);
    uniform_consumers_come_and_go: come_and_go(UNIFORM);
    range_consumers_come_and_go: come_and_go(SERVER_RANGE);
    an_eager_static_member_comes_back: static_membership(EAGER);
    a_cooperative_static_member_comes_back: static_membership(COOPERATIVE);
    a_static_consumer_comes_back: static_membership(UNIFORM);
    eager_members_subscribe_by_regex: by_regex(EAGER);
    cooperative_members_subscribe_by_regex: by_regex(COOPERATIVE);
    consumers_subscribe_by_regex: by_regex(UNIFORM);
    an_eager_member_goes_on_where_it_committed: commits(EAGER);
    a_cooperative_member_goes_on_where_it_committed: commits(COOPERATIVE);
    a_consumer_goes_on_where_it_committed: commits(UNIFORM);
}
