//! A coordinator on a stage: a script of requests and time in, what is answered and recorded out.

use crate::config::BrokerConfig;
use crate::coordinator::{Machine, Moment, RawRecord, Runtime, Scene, Source, Ticket};
use crate::group::consumer::Member;
use crate::group::consumer::validate::validate;
use crate::group::embedded;
use crate::group::kind::Group;
use crate::group::machine::GroupMachine;
use crate::group::request::{Client, Reply, Request};
use crate::metadata::{Image, Provenance, Replayer};
use bytes::Bytes;
use odradek_protocol::codec::{Message, Writer};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use odradek_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use odradek_protocol::messages::leave_group_request::MemberIdentity;
use odradek_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use odradek_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use odradek_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use odradek_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use odradek_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerProtocolSubscription, HeartbeatRequest, JoinGroupRequest,
    OffsetCommitRequest, OffsetDeleteRequest, SyncGroupRequest,
};
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
    let mut stage = Stage::new(settings);
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
    scene: Scene,
    pub runtime: Runtime<GroupMachine>,
    log: Vec<RawRecord>,
    now_ms: u64,
    random: u128,
    tickets: BTreeMap<Ticket, String>,
    next_ticket: u64,
    /// Member ids by the names of the script.
    ids: BTreeMap<String, Str>,
    generations: BTreeMap<String, i32>,
    told: Vec<String>,
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

    fn number(&self, key: &str, default: i64) -> i64 {
        self.get(key).map_or(default, |value| value.parse().expect("a number"))
    }
}

impl Stage {
    pub fn new(settings: &str) -> Self {
        let config = Arc::new(BrokerConfig::for_tests(&format!("{CONFIG}\n{settings}")));
        let scene = Scene { image: image(1, &[("t", 3), ("u", 2)]), config, deleted_topics: Arc::new([]) };
        let runtime = Runtime::new(GroupMachine::new(&scene), 0, 1 << 20, moment(0, 1));
        Self {
            settings: settings.into(),
            scene,
            runtime,
            log: Vec::new(),
            now_ms: 0,
            random: 1,
            tickets: BTreeMap::new(),
            next_ticket: 0,
            ids: BTreeMap::new(),
            generations: BTreeMap::new(),
            told: Vec::new(),
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
        moment(self.now_ms, self.random)
    }

    /// Everything appended is durable at once; what is answered is told.
    pub fn settle(&mut self) {
        while let Some(records) = self.runtime.begin_append() {
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
        self.runtime.machine().check();
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

    /// What the log holds is all that comes back.
    fn restart(&mut self) {
        self.scene.deleted_topics = Arc::new([]);
        let mut machine = GroupMachine::new(&self.scene);
        for (position, raw) in self.log.iter().enumerate() {
            let record =
                GroupMachine::decode(raw.clone()).expect("what was written can be read").expect("of our kinds");
            machine.replay(record, Source { position: position as i64, producer: None });
        }
        let at = self.moment();
        self.runtime = Runtime::new(machine, self.log.len() as i64, 1 << 20, at);
        self.tickets.clear();
    }

    fn drop_topic(&mut self, topic: &str) {
        let config = Arc::new(BrokerConfig::for_tests(&format!("{CONFIG}\n{}", self.settings)));
        let left: Vec<_> = [("t", 3), ("u", 2)].into_iter().filter(|(name, _)| *name != topic).collect();
        self.scene =
            Scene { image: image(self.now_ms as i64 + 2, &left), config, deleted_topics: Arc::new([topic.into()]) };
        let at = self.moment();
        self.runtime.publish(at, &self.scene.clone());
    }

    /// `t=4 u=1`: these are the topics now.
    fn publish_topics(&mut self, rest: &str) {
        let words = Words::of(rest);
        let topics: Vec<_> = words.0.iter().map(|(name, count)| (*name, count.parse().expect("a number"))).collect();
        self.scene.image = image(self.now_ms as i64 + 2, &topics);
        let at = self.moment();
        self.runtime.publish(at, &self.scene.clone());
    }

    fn beat(&mut self, who: &str, words: &Words<'_>) {
        let own = self.generations.get(who).copied().unwrap_or(0);
        let epoch = words.number("epoch", i64::from(own)) as i32;
        let owned = words.get("owned").or((epoch == 0).then_some(""));
        let owned = owned.map(|owned| {
            let topics = owned.split(',').filter_map(|one| one.split_once(':'));
            let topic = |(name, indexes): (&str, &str)| TopicPartitions {
                topic_id: topic_id(name),
                partitions: indexes.split('+').map(|index| index.parse().expect("a number")).collect(),
            };
            topics.map(topic).collect()
        });
        let topics = words.get("topics").or((epoch == 0 && words.get("regex").is_none()).then_some("t"));
        let request = ConsumerGroupHeartbeatRequest {
            group_id: GROUP.into(),
            member_id: words.get("id").unwrap_or(who).into(),
            member_epoch: epoch,
            instance_id: words.get("as").map(Into::into),
            rebalance_timeout_ms: words.number("rebalance", if epoch == 0 { 60_000 } else { -1 }) as i32,
            subscribed_topic_names: topics
                .map(|topics| topics.split(',').filter(|name| !name.is_empty()).map(Into::into).collect()),
            subscribed_topic_regex: words.get("regex").map(Into::into),
            server_assignor: words.get("assignor").map(Into::into),
            topic_partitions: owned,
            ..Default::default()
        };
        self.ids.insert(who.into(), request.member_id.clone());
        let client = Client { id: who.into(), host: "/h".into() };
        match validate(1, &request, &self.scene.config) {
            Ok(()) => self.ask(&format!("{who} beat"), Request::ConsumerHeartbeat { version: 1, client, request }),
            Err(refusal) => self.told.push(format!("{who}: {}", refusal.error.name())),
        }
    }

    /// Requests without an answer.
    pub fn waiting(&self) -> usize {
        self.tickets.len()
    }

    /// Partitions that the members of the consumer group subscribe to.
    pub fn partitions_wanted(&self) -> usize {
        let Some(Group::Consumer(group)) = self.runtime.machine().groups.get(GROUP) else { return 0 };
        let names = group.subscribed_topics();
        let topics = names.into_iter().filter_map(|name| self.scene.image.topics().by_name(name));
        topics.map(crate::metadata::topics::TopicImage::partition_count).sum()
    }

    fn id(&self, name: &str) -> Str {
        self.ids.get(name).cloned().unwrap_or_default()
    }

    fn name(&self, id: &str) -> String {
        let known = self.ids.iter().find(|(_, known)| known.as_str() == id).map(|(name, _)| name.clone());
        known.unwrap_or_else(|| if id.is_empty() { "-".into() } else { "?".into() })
    }

    fn join(&mut self, who: &str, words: &Words<'_>) {
        let kind = words.get("type").unwrap_or("consumer");
        let topics = words.get("topics").unwrap_or("t");
        let protocols = words.get("protocols").unwrap_or("range").split(',').filter(|name| !name.is_empty());
        let protocols = protocols.map(|name| JoinGroupRequestProtocol {
            name: name.into(),
            metadata: subscription(topics, words.get("data").unwrap_or("")),
            ..Default::default()
        });
        let fresh = words.get("fresh").is_some();
        let request = JoinGroupRequest {
            group_id: GROUP.into(),
            session_timeout_ms: words.number("session", 10_000) as i32,
            rebalance_timeout_ms: words.number("rebalance", 60_000) as i32,
            member_id: if fresh { Str::EMPTY } else { self.id(words.get("id").unwrap_or(who)) },
            group_instance_id: words.get("as").map(Into::into),
            protocol_type: kind.into(),
            protocols: protocols.collect(),
            ..Default::default()
        };
        let client = Client { id: who.into(), host: "/h".into() };
        let version = words.number("v", 9) as i16;
        self.ask(&format!("{who} join"), Request::Join { version, client, request });
    }

    fn sync(&mut self, who: &str, words: &Words<'_>) {
        let given = words.get("assign").unwrap_or("").split(',').filter_map(|one| one.split_once(':'));
        let given = given.map(|(name, work)| (name, Bytes::copy_from_slice(work.as_bytes())));
        let partitions = words.get("give").unwrap_or("").split(',').filter_map(|one| one.split_once('/'));
        let partitions = partitions.map(|(name, work)| (name, self.assignment(work)));
        let assignments = given.chain(partitions).map(|(name, assignment)| SyncGroupRequestAssignment {
            member_id: self.id(name),
            assignment,
            ..Default::default()
        });
        let request = SyncGroupRequest {
            group_id: GROUP.into(),
            generation_id: words.number("gen", i64::from(self.generation(who))) as i32,
            member_id: self.id(words.get("id").unwrap_or(who)),
            group_instance_id: words.get("as").map(Into::into),
            protocol_type: Some(words.get("type").unwrap_or("consumer").into()),
            protocol_name: Some(words.get("protocol").unwrap_or("range").into()),
            assignments: assignments.collect(),
            ..Default::default()
        };
        self.ask(&format!("{who} sync"), Request::Sync(request));
    }

    /// `t:0+1` as a leader hands it in.
    fn assignment(&self, work: &str) -> Bytes {
        let (topic, indexes) = work.split_once(':').unwrap_or((work, ""));
        let indexes = indexes.split('+').filter_map(|index| index.parse::<i32>().ok());
        let partitions = BTreeMap::from([(topic_id(topic), indexes.collect())]);
        embedded::encode(&partitions, &subscription(topic, ""), &self.scene.image)
    }

    pub fn now_ms(&self) -> u64 {
        self.now_ms
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

    fn generation(&self, who: &str) -> i32 {
        self.generations.get(who).copied().unwrap_or(-1)
    }

    fn heartbeat(&mut self, who: &str, words: &Words<'_>) {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id: words.number("gen", i64::from(self.generation(who))) as i32,
            member_id: self.id(words.get("id").unwrap_or(who)),
            group_instance_id: words.get("as").map(Into::into),
            ..Default::default()
        };
        self.ask(&format!("{who} heartbeat"), Request::Heartbeat(request));
    }

    /// `a b as=i`: an instance alone has no member id.
    fn leave(&mut self, rest: &str) {
        let identity = |word: &str| match word.strip_prefix("as=") {
            Some(instance) => MemberIdentity { group_instance_id: Some(instance.into()), ..Default::default() },
            None => MemberIdentity { member_id: self.id(word), ..Default::default() },
        };
        let members = rest.split_whitespace().map(identity).collect();
        self.ask("leave", Request::Leave { group: GROUP.into(), members });
    }

    fn commit(&mut self, who: &str, words: &Words<'_>) {
        let partition = OffsetCommitRequestPartition {
            partition_index: words.number("p", 0) as i32,
            committed_offset: words.number("offset", 1),
            committed_leader_epoch: words.number("epoch", -1) as i32,
            committed_metadata: Some(words.get("metadata").unwrap_or("").into()),
            ..Default::default()
        };
        let topic = OffsetCommitRequestTopic {
            name: words.get("topic").unwrap_or("t").into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: GROUP.into(),
            generation_id_or_member_epoch: words.number("gen", i64::from(self.generation(who))) as i32,
            member_id: self.id(who),
            group_instance_id: words.get("as").map(Into::into),
            retention_time_ms: words.number("retention", -1),
            topics: vec![topic],
        };
        let version = words.number("v", 9) as i16;
        self.ask(&format!("{who} commit"), Request::CommitOffsets { version, request });
    }

    fn fetch(&mut self, words: &Words<'_>) {
        let request = OffsetFetchRequestGroup { group_id: GROUP.into(), topics: None, ..Default::default() };
        self.ask("fetch", Request::FetchOffsets { require_stable: words.get("stable").is_some(), request });
    }

    fn delete_offsets(&mut self, words: &Words<'_>) {
        let partition =
            OffsetDeleteRequestPartition { partition_index: words.number("p", 0) as i32, ..Default::default() };
        let topic = OffsetDeleteRequestTopic {
            name: words.get("topic").unwrap_or("t").into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = OffsetDeleteRequest { group_id: GROUP.into(), topics: vec![topic] };
        self.ask("forget", Request::DeleteOffsets(request));
    }

    fn tell_group(&mut self) {
        let line = match self.runtime.machine().groups.get(GROUP) {
            None => "no group".into(),
            Some(Group::Consumer(group)) => {
                let member = |member: &Member| format!("{}:{}", self.name(&member.id), member.epoch);
                let members: BTreeSet<_> = group.members().map(member).collect();
                let members: Vec<_> = members.into_iter().collect();
                let (state, epoch, target) = (group.state().name(), group.epoch(), group.assignment_epoch());
                format!("{state} epoch={epoch} target={target} members={}", members.join(","))
            }
            Some(Group::Classic(group)) => {
                let mut members: Vec<_> = group.members().map(|member| self.name(&member.id)).collect();
                members.sort();
                let leader = group.leader().map_or("-".into(), |leader| self.name(leader));
                let (state, generation) = (group.state().name(), group.generation());
                format!("{state} generation={generation} leader={leader} members={}", members.join(","))
            }
        };
        self.told.push(line);
    }

    /// The ids that are given out.
    fn learn(&mut self, name: &str, reply: &Reply) {
        let Reply::Join(reply) = reply else { return };
        if reply.error_code == 0 || reply.error_code == ErrorCode::MemberIdRequired.code() {
            let who = name.split(' ').next().unwrap_or("").to_owned();
            self.ids.insert(who, reply.member_id.clone());
        }
    }

    fn describe(&mut self, name: &str, reply: Reply) -> String {
        let who = name.split(' ').next().unwrap_or("").to_owned();
        let error = |code: i16| ErrorCode::from_code(code).name();
        match reply {
            Reply::Join(reply) => {
                if reply.error_code != 0 {
                    return format!("{who}: {}", error(reply.error_code));
                }
                self.generations.insert(who.clone(), reply.generation_id);
                let mut members: Vec<_> = reply.members.iter().map(|member| self.name(&member.member_id)).collect();
                members.sort();
                let skip = if reply.skip_assignment { " skip" } else { "" };
                let protocol = reply.protocol_name.unwrap_or_default();
                let leader = self.name(&reply.leader);
                let members =
                    if members.is_empty() { String::new() } else { format!(" members={}", members.join(",")) };
                format!("{who}: joined generation={} {protocol} leader={leader}{members}{skip}", reply.generation_id)
            }
            Reply::Sync(reply) if reply.error_code == 0 => match told_partitions(&reply.assignment) {
                Some(partitions) => format!("{who}: has{partitions}"),
                None => format!("{who}: assigned {:?}", String::from_utf8_lossy(&reply.assignment)),
            },
            Reply::Sync(reply) => format!("{who}: sync {}", error(reply.error_code)),
            Reply::Heartbeat(reply) => format!("{who}: heartbeat {}", error(reply.error_code)),
            Reply::Leave(reply) => {
                let members: Vec<_> = reply.members.iter().map(|member| error(member.error_code)).collect();
                format!("left: {} {}", error(reply.error_code), members.join(","))
            }
            Reply::CommitOffsets(reply) => {
                let codes = reply.topics.iter().flat_map(|topic| &topic.partitions);
                let codes: Vec<_> = codes.map(|partition| error(partition.error_code)).collect();
                format!("{who}: commit {}", codes.join(","))
            }
            Reply::FetchOffsets(reply) => {
                let mut text = format!("fetched: {}", error(reply.error_code));
                for topic in &reply.topics {
                    for partition in &topic.partitions {
                        let _ = write!(
                            text,
                            " {}-{}@{}",
                            topic.name, partition.partition_index, partition.committed_offset
                        );
                        if partition.error_code != 0 {
                            let _ = write!(text, ":{}", error(partition.error_code));
                        }
                    }
                }
                text
            }
            Reply::DeleteOffsets(reply) => {
                let codes = reply.topics.iter().flat_map(|topic| &topic.partitions);
                let codes: Vec<_> = codes.map(|partition| error(partition.error_code)).collect();
                format!("forgot: {} {}", error(reply.error_code), codes.join(","))
            }
            Reply::ConsumerHeartbeat(reply) if reply.error_code != 0 => format!("{who}: {}", error(reply.error_code)),
            Reply::ConsumerHeartbeat(reply) => {
                self.generations.insert(who.clone(), reply.member_epoch);
                let mut text = format!("{who}: epoch={}", reply.member_epoch);
                if let Some(assignment) = reply.assignment {
                    text.push_str(" has");
                    for topic in assignment.topic_partitions {
                        let indexes: Vec<_> = topic.partitions.iter().map(ToString::to_string).collect();
                        let _ = write!(text, " {}:{}", topic_name(topic.topic_id), indexes.join("+"));
                    }
                }
                text
            }
            Reply::DescribeConsumer(reply) => format!("described: {} {}", error(reply.error_code), reply.group_state),
            Reply::Delete(code) => format!("deleted: {}", code.name()),
            Reply::DescribeClassic(reply) => format!("described: {}", reply.group_state),
            Reply::Committed(offsets) => format!("committed: {}", offsets.len()),
            Reply::List(groups) => format!("listed: {}", groups.map_or(0, |groups| groups.len())),
        }
    }
}

fn moment(ms: u64, random: u128) -> Moment {
    let random = random.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Moment { now: Instant::from_nanos(ms * 1_000_000), wall: Timestamp(1_000_000 + ms as i64), random }
}

/// ` t:0+1` for bytes that are an assignment of Kafka's consumer protocol.
fn told_partitions(bytes: &Bytes) -> Option<String> {
    let given = embedded::assignment(bytes).filter(|_| !bytes.is_empty())?;
    let topics = given.assigned_partitions.iter().filter(|topic| !topic.partitions.is_empty()).map(|topic| {
        let indexes: Vec<_> = topic.partitions.iter().map(ToString::to_string).collect();
        format!(" {}:{}", topic.topic, indexes.join("+"))
    });
    Some(topics.collect())
}

/// A consumer's metadata: version 0 of its protocol.
fn subscription(topics: &str, data: &str) -> Bytes {
    let mut writer = Writer::new();
    writer.i16(0);
    let topics = topics.split(',').map(Into::into).collect();
    let user_data = Some(Bytes::copy_from_slice(data.as_bytes()));
    let subscription = ConsumerProtocolSubscription { topics, user_data, ..Default::default() };
    subscription.encode(&mut writer, 0).expect("a small subscription");
    writer.into_bytes()
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
