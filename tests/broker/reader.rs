//! librdkafka as a member of a group, on a thread of its own: it reads, commits, and writes into a book what it has.

use crate::book::{Book, Place};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientContext, Message};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const TURN: Duration = Duration::from_millis(50);
/// Between two commits.
const COMMIT: Duration = Duration::from_millis(100);

/// How long it may take to give everything back, and to close.
const LEAVE_MAX: Duration = Duration::from_secs(10);
const CLOSE_MAX: Duration = Duration::from_secs(30);

/// A way of sharing partitions, by its settings.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub is_classic: bool,
    pub settings: &'static [(&'static str, &'static str)],
}

pub const EAGER: Way = Way {
    is_classic: true,
    settings: &[
        ("partition.assignment.strategy", "range"),
        ("heartbeat.interval.ms", "200"),
        ("session.timeout.ms", "10000"),
    ],
};
pub const COOPERATIVE: Way = Way {
    is_classic: true,
    settings: &[
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("heartbeat.interval.ms", "200"),
        ("session.timeout.ms", "10000"),
    ],
};
pub const UNIFORM: Way = Way { is_classic: false, settings: &[("group.protocol", "consumer")] };
pub const SERVER_RANGE: Way =
    Way { is_classic: false, settings: &[("group.protocol", "consumer"), ("group.remote.assignor", "range")] };

/// A broker's settings under which groups do in milliseconds what takes seconds by default.
pub const QUICK: [&str; 5] = [
    "group.initial.rebalance.delay.ms=0",
    "offsets.topic.num.partitions=5",
    "group.consumer.min.heartbeat.interval.ms=100",
    "group.consumer.heartbeat.interval.ms=200",
    "group.consumer.assignment.interval.ms=100",
];

pub fn config(address: SocketAddr, group: &str, way: Way) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", address.to_string())
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("topic.metadata.refresh.interval.ms", "500")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200")
        .set("retry.backoff.ms", "20")
        .set("retry.backoff.max.ms", "200");
    for (key, value) in way.settings {
        config.set(*key, *value);
    }
    config
}

/// What it has read of what it has: offsets to go on at.
struct Hands {
    name: String,
    book: Arc<Book>,
    positions: Mutex<BTreeMap<Place, i64>>,
}

impl ClientContext for Hands {}

impl ConsumerContext for Hands {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            if !consumer.assignment_lost() {
                self.commit(consumer);
            }
            let places = places(partitions);
            self.positions.lock().unwrap().retain(|place, _| !places.contains(place));
            self.book.give_back(&self.name, &places);
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            self.book.take(&self.name, &places(partitions));
        }
    }
}

impl Hands {
    fn commit(&self, consumer: &BaseConsumer<Self>) {
        let positions = self.positions.lock().unwrap().clone();
        let mut offsets = TopicPartitionList::new();
        for ((topic, partition), offset) in &positions {
            offsets.add_partition_offset(topic, *partition, Offset::Offset(*offset)).expect("an offset");
        }
        match consumer.commit(&offsets, CommitMode::Sync) {
            _ if positions.is_empty() => {}
            Ok(()) => self.book.committed(&positions),
            Err(error) => self.book.refused(format!("{}: {error}", self.name)),
        }
    }
}

fn places(partitions: &TopicPartitionList) -> Vec<Place> {
    partitions.elements().iter().map(|one| (one.topic().to_owned(), one.partition())).collect()
}

pub struct Reader {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Reader {
    /// Begins at once; `config` has its settings.
    pub fn start(name: &str, config: &ClientConfig, topics: &[&str], book: &Arc<Book>) -> Self {
        let hands = Hands { name: name.into(), book: book.clone(), positions: Mutex::default() };
        let consumer: BaseConsumer<Hands> = config.create_with_context(hands).expect("settings librdkafka knows");
        consumer.subscribe(topics).expect("a subscription");
        let is_over = Arc::new(AtomicBool::new(false));
        let told = is_over.clone();
        let is_static = config.get("group.instance.id").is_some();
        let life = move || {
            read(&consumer, &told);
            if !is_static {
                leave(&consumer);
            }
        };
        Self { is_over, thread: thread::spawn(life) }
    }

    /// It commits and closes, which takes it out of its group unless it is static.
    pub fn go(self) {
        self.is_over.store(true, Ordering::Relaxed);
        let since = Instant::now();
        while !self.thread.is_finished() {
            assert!(since.elapsed() < CLOSE_MAX, "a consumer does not close");
            thread::sleep(Duration::from_millis(5));
        }
        self.thread.join().expect("readers do not panic");
    }
}

fn read(consumer: &BaseConsumer<Hands>, is_over: &AtomicBool) {
    let hands = consumer.context();
    let mut committed = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        // While there is no broker, errors tell so.
        if let Some(Ok(message)) = consumer.poll(TURN) {
            let place = (message.topic().to_owned(), message.partition());
            hands.book.read(&hands.name, &place, message.offset());
            hands.positions.lock().unwrap().insert(place, message.offset() + 1);
        }
        if committed.elapsed() >= COMMIT {
            hands.commit(consumer);
            committed = Instant::now();
        }
    }
    hands.commit(consumer);
}

/// Gives everything back before it is closed: a rebalance during that makes the client wait for itself now and then. Static
/// members would leave their group by it.
pub fn leave<C: ConsumerContext>(consumer: &BaseConsumer<C>) {
    consumer.unsubscribe();
    let since = Instant::now();
    while consumer.assignment().is_ok_and(|left| left.count() > 0) && since.elapsed() < LEAVE_MAX {
        let _ = consumer.poll(TURN);
    }
}
