//! A coordinator on a stage: a script of requests and time in, what is answered and recorded out.

mod answers;
mod requests;

use crate::config::BrokerConfig;
use crate::coordinator::{Machine, Moment, RawRecord, Runtime, Scene, Source, Ticket};
use crate::group::consumer::{ConsumerGroup, Epochs};
use crate::group::kind::Group;
use crate::group::machine::GroupMachine;
use crate::group::request::Request;
use crate::metadata::{Image, Provenance, Replayer};
use odradek_protocol::primitives::Str;
use odradek_protocol::records::metadata::{MetadataRecord, PartitionRecord, TopicRecord};
use odradek_shards::clock::Instant;
use odradek_shards::types::{Offset, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use uuid::Uuid;

/// The one group of the scripts.
const GROUP: &str = "g";
const CONFIG: &str = "group.initial.rebalance.delay.ms=100\ngroup.min.session.timeout.ms=1\noffsets.retention.minutes=1\noffsets.retention.check.interval.ms=10000";

/// Plays the commands of `script` and asserts that they bring about what it says.
#[track_caller]
pub fn play(script: &str) {
    play_with("", script);
}

#[track_caller]
pub fn play_with(settings: &str, script: &str) {
    play_on(Stage::new(settings), script);
}

#[track_caller]
pub fn play_on(mut stage: Stage, script: &str) {
    let mut played = String::from("\n");
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(command) = line.strip_prefix("> ") {
            let _ = writeln!(played, "        > {command}");
            for line in stage.act(command) {
                let _ = writeln!(played, "        {line}");
            }
        }
    }
    let wanted: Vec<_> = script.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let got: Vec<_> = played.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert!(wanted == got, "it went otherwise:{played}");
}

pub struct Stage {
    settings: String,
    batch_bytes: usize,
    is_full: bool,
    scene: Scene,
    pub runtime: Runtime<GroupMachine>,
    log: Vec<RawRecord>,
    /// Appends begin and end when they are told to.
    is_slow: bool,
    /// Records are missing in the log.
    is_cut: bool,
    flying: Option<Vec<RawRecord>>,
    now_ms: u64,
    random: u128,
    tickets: BTreeMap<Ticket, String>,
    next_ticket: u64,
    /// Member ids by the names of the script.
    ids: BTreeMap<String, Str>,
    generations: BTreeMap<String, i32>,
    told: Vec<String>,
    /// Of the consumer group after the last turn.
    epochs: Option<Epochs>,
}

/// `key=value` words of a command.
struct Words<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        Self(text.split_whitespace().map(|word| word.split_once('=').unwrap_or((word, ""))).collect())
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == key).map(|(_, value)| *value)
    }

    /// The text, and as many more letters as `pad` says.
    fn padded(&self, key: &str) -> String {
        let pad = usize::try_from(self.number("pad", 0)).expect("a length");
        format!("{}{}", self.get(key).unwrap_or(""), "x".repeat(pad))
    }

    fn number(&self, key: &str, default: i64) -> i64 {
        self.get(key).map_or(default, |value| value.parse().expect("a number"))
    }
}

impl Stage {
    pub fn new(settings: &str) -> Self {
        Self::with_batches_of(1 << 20, settings)
    }

    pub fn with_batches_of(batch_bytes: usize, settings: &str) -> Self {
        let config = Arc::new(BrokerConfig::for_tests(&format!("{CONFIG}\n{settings}")));
        let image = image(1, &[("t", 3), ("u", 2)]);
        let scene =
            Scene { image, config, changed_topics: Arc::new([]), deleted_topics: Arc::new([]), brokers_changed: false };
        let runtime = Runtime::new(GroupMachine::new(&scene), 0, batch_bytes, moment(0, 1));
        Self {
            settings: settings.into(),
            batch_bytes,
            is_full: false,
            scene,
            runtime,
            log: Vec::new(),
            is_slow: false,
            is_cut: false,
            flying: None,
            now_ms: 0,
            random: 1,
            tickets: BTreeMap::new(),
            next_ticket: 0,
            ids: BTreeMap::new(),
            generations: BTreeMap::new(),
            told: Vec::new(),
            epochs: None,
        }
    }

    pub fn act(&mut self, command: &str) -> Vec<String> {
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        let words = Words::of(rest);
        let who = rest.split_whitespace().next().unwrap_or("").to_owned();
        match verb {
            "join" => self.join(&who, &words),
            "sync" => self.sync(&who, &words),
            "heartbeat" => self.heartbeat(&who, &words),
            "leave" => self.leave(rest),
            "commit" => self.commit(&who, &words),
            "fetch" => self.fetch(&words),
            "forget" => self.delete_offsets(&words),
            "wait" => self.wait(rest.parse().expect("milliseconds")),
            "group" => self.tell_group(),
            "delete" => self.ask("delete", Request::Delete { group: GROUP.into() }),
            "drop" => self.drop_topic(rest),
            "restart" => self.restart(),
            "lose" => self.lose(rest.parse().expect("a number of records")),
            "slow" => self.is_slow = true,
            "append" => self.append(),
            "crash" => self.crash(rest == "late"),
            "memory" => self.is_full = rest == "full",
            "beat" => self.beat(&who, &words),
            "topics" => self.publish_topics(rest),
            "describe" => self.ask("describe", Request::DescribeConsumer { group: GROUP.into() }),
            other => panic!("no such command: {other}"),
        }
        self.settle();
        std::mem::take(&mut self.told)
    }

    fn ask(&mut self, name: &str, request: Request) {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.tickets.insert(ticket, name.into());
        let at = self.moment();
        self.runtime.handle(at, ticket, request);
    }

    fn moment(&mut self) -> Moment {
        self.random += 1;
        Moment { is_full: self.is_full, ..moment(self.now_ms, self.random) }
    }

    /// Everything appended is durable at once, unless appends are slow; what is answered is told.
    pub fn settle(&mut self) {
        while !self.is_slow
            && let Some(records) = self.runtime.begin_append()
        {
            self.log.extend(records);
            self.runtime.appended();
        }
        let released = self.runtime.released();
        for (ticket, reply) in &released {
            self.learn(&self.tickets[ticket].clone(), reply);
        }
        for (ticket, reply) in released {
            let name = self.tickets.remove(&ticket).expect("a request is answered once");
            let line = self.describe(&name, reply);
            self.told.push(line);
        }
        self.check();
    }

    /// The group's invariants: of the state, and of the step to it from the last one.
    fn check(&mut self) {
        self.runtime.machine().check();
        assert!(!self.runtime.is_broken(), "the state has what no batch can hold");
        let group = self.runtime.machine().consumer(GROUP);
        if let (Some(group), Some(before)) = (group, &self.epochs) {
            group.check_after(before, &self.scene.image);
        }
        self.epochs = group.map(ConsumerGroup::epochs);
    }

    fn wait(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while let Some(deadline) = self.runtime.next_deadline().map(|at| at.as_nanos() / 1_000_000) {
            if deadline > until {
                break;
            }
            self.now_ms = self.now_ms.max(deadline);
            let at = self.moment();
            self.runtime.expire(at);
            self.settle();
        }
        self.now_ms = until;
    }

    /// What the log holds is all that comes back, compacted or not; nothing of what was told is amiss.
    fn restart(&mut self) {
        self.scene.changed_topics = Arc::new([]);
        self.scene.deleted_topics = Arc::new([]);
        let machine = self.replayed(0);
        for cleaned in [self.log.len() / 2, self.log.len()] {
            assert_eq!(state(&self.replayed(cleaned)), state(&machine), "compaction changes nothing");
        }
        if self.is_complete() {
            let before = self.runtime.machine();
            assert_eq!(lasting(&machine), lasting(before), "what was replayed is what was decided");
        }
        let at = self.moment();
        self.runtime = Runtime::new(machine, self.log.len() as i64, self.batch_bytes, at);
        self.tickets.clear();
        self.epochs = None;
    }

    /// Everything that was decided is in the log.
    fn is_complete(&self) -> bool {
        !self.is_slow && !self.is_cut
    }

    /// From the log; of the first `cleaned` records only the last of each key, if it is one with a value.
    fn replayed(&self, cleaned: usize) -> GroupMachine {
        let last: BTreeMap<_, _> =
            self.log[..cleaned].iter().enumerate().map(|(position, raw)| (raw.key.clone(), position)).collect();
        let mut machine = GroupMachine::new(&self.scene);
        for (position, raw) in self.log.iter().enumerate() {
            if position < cleaned && (last[&raw.key] != position || raw.value.is_none()) {
                continue;
            }
            let record =
                GroupMachine::decode(raw.clone()).expect("what was written can be read").expect("of our kinds");
            machine.replay(record, Source { position: position as i64, producer: None });
        }
        machine
    }

    /// The append under way ends, or the next one begins.
    fn append(&mut self) {
        match self.flying.take() {
            Some(records) => {
                self.log.extend(records);
                self.runtime.appended();
            }
            None => self.flying = self.runtime.begin_append(),
        }
    }

    /// With an append under way, which came into the log if it was a late one.
    fn crash(&mut self, is_late: bool) {
        let flying = self.flying.take().filter(|_| is_late);
        self.log.extend(flying.into_iter().flatten());
        self.restart();
    }

    /// A crash: the last records are not in the log.
    fn lose(&mut self, records: usize) {
        self.log.truncate(self.log.len() - records);
        self.is_cut = true;
        self.restart();
        self.is_cut = false;
    }

    fn drop_topic(&mut self, topic: &str) {
        let config = Arc::new(BrokerConfig::for_tests(&format!("{CONFIG}\n{}", self.settings)));
        let left: Vec<_> = [("t", 3), ("u", 2)].into_iter().filter(|(name, _)| *name != topic).collect();
        self.scene.config = config;
        self.publish(image(self.scene.image.offset().0 + 1, &left), Some(topic));
    }

    /// `t=4 u=1`: these are the topics now.
    fn publish_topics(&mut self, rest: &str) {
        let words = Words::of(rest);
        let topics: Vec<_> = words.0.iter().map(|(name, count)| (*name, count.parse().expect("a number"))).collect();
        self.publish(image(self.scene.image.offset().0 + 1, &topics), None);
    }

    /// `dropped` went once more, if it was not there.
    fn publish(&mut self, image: Arc<Image>, dropped: Option<&str>) {
        let before = self.scene.image.topics();
        let changed = image.topics().iter().filter(|topic| before.by_name(&topic.name) != Some(*topic));
        let gone = before.iter().filter(|topic| image.topics().by_name(&topic.name).is_none());
        let gone = gone.map(|topic| topic.name.clone()).chain(dropped.map(Str::from));
        let (changed, gone) = (changed.map(|topic| topic.name.clone()).collect(), gone.collect::<BTreeSet<_>>());
        self.scene.changed_topics = changed;
        self.scene.deleted_topics = gone.into_iter().collect();
        self.scene.image = image;
        let at = self.moment();
        self.runtime.publish(at, &self.scene.clone());
    }

    /// Requests without an answer.
    pub fn waiting(&self) -> usize {
        self.tickets.len()
    }

    /// Partitions that the members of the consumer group subscribe to.
    pub fn partitions_wanted(&self) -> usize {
        let Some(Group::Consumer(group)) = self.runtime.machine().groups.get(GROUP) else { return 0 };
        let topics = group.subscribed(&self.scene.image).into_values();
        topics.map(crate::metadata::topics::TopicImage::partition_count).sum()
    }

    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Generation, or group epoch, of a group with members.
    pub fn version(&self) -> Option<i32> {
        match self.runtime.machine().groups.get(GROUP)? {
            Group::Consumer(group) => (group.members().len() > 0).then(|| group.epoch()),
            Group::Classic(group) => (group.members().len() > 0).then(|| group.generation()),
        }
    }

    /// Whether a classic group has one.
    pub fn has_static_member(&self) -> bool {
        match self.runtime.machine().groups.get(GROUP) {
            Some(Group::Classic(group)) => group.members().any(|member| member.instance.is_some()),
            _ => false,
        }
    }

    /// Group and target epoch of a consumer group.
    pub fn epochs(&self) -> Option<(i32, i32)> {
        match self.runtime.machine().groups.get(GROUP)? {
            Group::Consumer(group) => Some((group.epoch(), group.assignment_epoch())),
            Group::Classic(_) => None,
        }
    }

    pub fn is_classic(&self) -> bool {
        matches!(self.runtime.machine().groups.get(GROUP), Some(Group::Classic(_)))
    }
}

/// Groups of either kind and offsets; but not that, and since when, there is a group that has nothing.
fn state(machine: &GroupMachine) -> Vec<String> {
    let groups = machine.groups.values().filter_map(|group| match group {
        Group::Classic(group) => {
            let told = format!("{:?}", group.members().collect::<Vec<_>>());
            (group.members().len() > 0).then(|| format!("{} {told}", group.generation()))
        }
        Group::Consumer(group) => Some(format!("{group:?}")),
    });
    groups.chain([format!("{:?}", machine.offsets)]).collect()
}

/// What does not end with the process: of a classic group only an assignment that its leader has made is recorded.
fn lasting(machine: &GroupMachine) -> Vec<String> {
    let consumers = machine.groups.values().filter_map(|group| match group {
        Group::Consumer(group) => Some(group.told()),
        Group::Classic(_) => None,
    });
    let offsets = machine.offsets.of(GROUP).into_iter().flatten();
    let offsets = offsets.flat_map(|(topic, partitions)| {
        partitions.iter().map(move |(index, at)| format!("{topic}-{index}: {} {:?}", at.offset, at.metadata))
    });
    consumers.flatten().chain(offsets).collect()
}

fn moment(ms: u64, random: u128) -> Moment {
    let random = random.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Moment { now: Instant::from_nanos(ms * 1_000_000), wall: Timestamp(1_000_000 + ms as i64), random, is_full: false }
}

/// One letter, one id.
fn topic_id(name: &str) -> Uuid {
    Uuid::from_u128(u128::from(name.as_bytes()[0]))
}

fn topic_name(id: Uuid) -> char {
    char::from(id.as_u128() as u8)
}

/// An image with these topics, at this offset.
pub fn image(offset: i64, topics: &[(&str, i32)]) -> Arc<Image> {
    let mut replayer = Replayer::new(Arc::default());
    for (name, partitions) in topics {
        let topic = TopicRecord { name: (*name).into(), topic_id: topic_id(name) };
        replayer.replay(&MetadataRecord::Topic(topic)).expect("a new topic");
        for index in 0..*partitions {
            let partition = PartitionRecord { topic_id: topic_id(name), partition_id: index, ..Default::default() };
            replayer.replay(&MetadataRecord::Partition(partition)).expect("a new partition");
        }
    }
    replayer.end_batch(Provenance { offset: Offset(offset), ..Default::default() });
    replayer.publish().expect("a batch has ended").1
}
