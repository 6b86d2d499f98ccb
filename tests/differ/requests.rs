//! A command of a sequence as a request to one side: `verb who key=value ..`.

use crate::side::Side;
use bytes::Bytes;
use odradek_protocol::codec::{Message, Writer};
use odradek_protocol::messages as m;
use odradek_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use odradek_protocol::messages::consumer_protocol_assignment::TopicPartition;
use odradek_protocol::messages::consumer_protocol_subscription::TopicPartition as Owned;
use odradek_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use odradek_protocol::messages::leave_group_request::MemberIdentity;
use odradek_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use odradek_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use odradek_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use odradek_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use odradek_protocol::primitives::Str;
use uuid::Uuid;

const FLAGS: &[&str] =
    &["later", "loosely", "known", "stable", "operations", "unnamed", "silent", "unsubscribed", "garbage"];

pub struct Words<'a>(Vec<(&'a str, Option<&'a str>)>);

impl<'a> Words<'a> {
    pub fn of(command: &'a str) -> Self {
        let word = |word: &'a str| word.split_once('=').map_or((word, None), |(key, value)| (key, Some(value)));
        Self(command.split_whitespace().map(word).collect())
    }

    pub fn verb(&self) -> &'a str {
        self.0[0].0
    }

    /// The first word without a value after the verb that is no flag; the admin if there is none.
    pub fn who(&self) -> &'a str {
        let is_name = |word: &&(&str, Option<&str>)| word.1.is_none() && !FLAGS.contains(&word.0);
        self.0[1..].iter().find(is_name).map_or("admin", |(who, _)| who)
    }

    pub fn has(&self, word: &str) -> bool {
        self.0.iter().any(|(key, _)| *key == word)
    }

    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == key).and_then(|(_, value)| *value)
    }

    pub fn number(&self, key: &str, default: i64) -> i64 {
        self.get(key).map_or(default, |value| value.parse().expect("a number"))
    }

    fn text(&self, key: &str) -> Option<Str> {
        self.get(key).map(Into::into)
    }

    fn items(&self, key: &str) -> Vec<&'a str> {
        self.get(key).unwrap_or("").split(',').filter(|item| !item.is_empty()).collect()
    }

    /// `id=` says it, `id=@b` takes b's; else the member's own.
    pub fn id(&self, side: &Side) -> Str {
        match self.get("id") {
            Some(id) => id.strip_prefix('@').map_or_else(|| id.to_owned(), |who| side.id(who)).into(),
            None => side.id(self.who()).into(),
        }
    }

    /// `gen=` says it, `gen=+1` counts from the member's own.
    pub fn epoch(&self, key: &str, side: &Side) -> i32 {
        let own = side.epochs.get(self.who()).copied().unwrap_or(-1);
        match self.get(key) {
            Some(value) if value.starts_with('+') => own + value[1..].parse::<i32>().expect("a number"),
            Some(value) => value.parse().expect("a number"),
            None => own,
        }
    }

    /// `group=` or the sequence's.
    fn group(&self, group: &str) -> Str {
        self.text("group").unwrap_or_else(|| group.into())
    }

    fn groups(&self, group: &str) -> Vec<Str> {
        match self.get("groups") {
            Some(_) => {
                self.items("groups").into_iter().map(|item| if item == "@" { group } else { item }.into()).collect()
            }
            None => vec![self.group(group)],
        }
    }

    /// `key=t:0+1,u:0`.
    pub fn partitions(&self, key: &str) -> Vec<(&'a str, Vec<i32>)> {
        let topic = |item: &'a str| {
            let (name, partitions) = item.split_once(':').unwrap_or((item, ""));
            let partitions = partitions.split('+').filter(|index| !index.is_empty());
            (name, partitions.map(|index| index.parse().expect("a number")).collect())
        };
        self.items(key).into_iter().map(topic).collect()
    }

    /// Version 0, or 1 with `owned=t:0+1`; `garbage` is none.
    fn subscription(&self, topics: &[&str]) -> Bytes {
        if self.has("garbage") {
            return Bytes::from_static(b"?");
        }
        let version = i16::from(self.has("owned"));
        let owned = |(topic, partitions): (&str, Vec<i32>)| Owned { topic: topic.into(), partitions };
        let subscription = m::ConsumerProtocolSubscription {
            topics: topics.iter().map(|topic| (*topic).into()).collect(),
            user_data: Some(Bytes::copy_from_slice(self.get("data").unwrap_or("").as_bytes())),
            owned_partitions: self.partitions("owned").into_iter().map(owned).collect(),
            ..Default::default()
        };
        let mut writer = Writer::new();
        writer.i16(version);
        subscription.encode(&mut writer, version).expect("a small subscription");
        writer.into_bytes()
    }

    fn version(&self, default: i16) -> i16 {
        self.number("v", i64::from(default)) as i16
    }

    pub fn find(&self, _side: &Side, group: &str) -> (i16, m::FindCoordinatorRequest) {
        let version = self.version(6);
        let key_type = self.number("type", 0) as i8;
        let keys = self.groups(group);
        let request = if version < 4 {
            m::FindCoordinatorRequest { key: keys[0].clone(), key_type, ..Default::default() }
        } else {
            m::FindCoordinatorRequest { coordinator_keys: keys, key_type, ..Default::default() }
        };
        (version, request)
    }

    pub fn join(&self, side: &Side, group: &str) -> (i16, m::JoinGroupRequest) {
        let version = self.version(9);
        let names = if self.has("protocols") { self.items("protocols") } else { vec!["range"] };
        let topics = if self.has("topics") { self.items("topics") } else { vec!["t"] };
        let protocol = |name: &str| JoinGroupRequestProtocol {
            name: name.into(),
            metadata: self.subscription(&topics),
            ..Default::default()
        };
        let request = m::JoinGroupRequest {
            group_id: self.group(group),
            session_timeout_ms: self.number("session", 30_000) as i32,
            rebalance_timeout_ms: self.number("rebalance", 30_000) as i32,
            member_id: self.id(side),
            group_instance_id: self.text("as"),
            protocol_type: self.get("kind").unwrap_or("consumer").into(),
            protocols: names.into_iter().map(protocol).collect(),
            reason: None,
        };
        (version, request)
    }

    pub fn sync(&self, side: &Side, group: &str) -> (i16, m::SyncGroupRequest) {
        let given = self.items("assign").into_iter().filter_map(|one| one.split_once(':'));
        let words = given.map(|(who, work)| (who, Bytes::copy_from_slice(work.as_bytes())));
        let partitions = self.items("give").into_iter().filter_map(|one| one.split_once('/'));
        let partitions = partitions.map(|(who, work)| (who, assignment(work)));
        let assignments = words.chain(partitions).map(|(who, assignment)| SyncGroupRequestAssignment {
            member_id: side.id(who).into(),
            assignment,
            ..Default::default()
        });
        let request = m::SyncGroupRequest {
            group_id: self.group(group),
            generation_id: self.epoch("gen", side),
            member_id: self.id(side),
            group_instance_id: self.text("as"),
            protocol_type: Some(self.get("kind").unwrap_or("consumer").into()).filter(|_| !self.has("unnamed")),
            protocol_name: Some(self.get("protocol").unwrap_or("range").into()).filter(|_| !self.has("unnamed")),
            assignments: assignments.collect(),
        };
        (self.version(5), request)
    }

    pub fn heartbeat(&self, side: &Side, group: &str) -> (i16, m::HeartbeatRequest) {
        let request = m::HeartbeatRequest {
            group_id: self.group(group),
            generation_id: self.epoch("gen", side),
            member_id: self.id(side),
            group_instance_id: self.text("as"),
        };
        (self.version(4), request)
    }

    /// `members=a,b` by name, `instances=i` alone; else the one who asks.
    pub fn leave(&self, side: &Side, group: &str) -> (i16, m::LeaveGroupRequest) {
        let version = self.version(5);
        let named = self.items("members").into_iter().map(|who| MemberIdentity {
            member_id: side.id(who).into(),
            group_instance_id: self.text("as"),
            ..Default::default()
        });
        let unknown =
            self.items("ids").into_iter().map(|id| MemberIdentity { member_id: id.into(), ..Default::default() });
        let instances = self
            .items("instances")
            .into_iter()
            .map(|instance| MemberIdentity { group_instance_id: Some(instance.into()), ..Default::default() });
        let mut members: Vec<_> = named.chain(unknown).chain(instances).collect();
        if members.is_empty() {
            let group_instance_id = self.text("as");
            members.push(MemberIdentity { member_id: self.id(side), group_instance_id, ..Default::default() });
        }
        let group_id = self.group(group);
        let request = if version < 3 {
            m::LeaveGroupRequest { group_id, member_id: members[0].member_id.clone(), ..Default::default() }
        } else {
            m::LeaveGroupRequest { group_id, members, ..Default::default() }
        };
        (version, request)
    }

    pub fn commit(&self, side: &Side, group: &str) -> (i16, m::OffsetCommitRequest) {
        let version = self.version(10);
        let wanted = if self.has("to") { self.partitions("to") } else { vec![("t", vec![0])] };
        let partition = |index: i32| OffsetCommitRequestPartition {
            partition_index: index,
            committed_offset: self.number("offset", 1),
            committed_leader_epoch: if version >= 6 { self.number("leader-epoch", -1) as i32 } else { -1 },
            committed_metadata: Some(metadata(self.get("metadata").unwrap_or(""))),
            ..Default::default()
        };
        let topics = wanted.into_iter().map(|(name, partitions)| OffsetCommitRequestTopic {
            name: if version < 10 { name.into() } else { Str::EMPTY },
            topic_id: if version < 10 { Uuid::nil() } else { topic_id(side, name) },
            partitions: partitions.into_iter().map(partition).collect(),
            ..Default::default()
        });
        let request = m::OffsetCommitRequest {
            group_id: self.group(group),
            generation_id_or_member_epoch: self.epoch("gen", side),
            member_id: self.id(side),
            group_instance_id: self.text("as"),
            retention_time_ms: self.number("retention", -1),
            topics: topics.collect(),
        };
        (version, request)
    }

    /// `of=t:0+1`, or all; `member=a epoch=1` from version 9 on.
    pub fn fetch(&self, side: &Side, group: &str) -> (i16, m::OffsetFetchRequest) {
        let version = self.version(10);
        let require_stable = self.has("stable");
        let wanted = self.has("of").then(|| self.partitions("of"));
        if version < 8 {
            let topic = |(name, partition_indexes): (&str, Vec<i32>)| OffsetFetchRequestTopic {
                name: name.into(),
                partition_indexes,
            };
            let topics = wanted.map(|wanted| wanted.into_iter().map(topic).collect());
            let group_id = self.group(group);
            return (version, m::OffsetFetchRequest { group_id, topics, require_stable, ..Default::default() });
        }
        let topics = wanted.map(|wanted| {
            let topic = |(name, partition_indexes): (&str, Vec<i32>)| OffsetFetchRequestTopics {
                name: if version < 10 { name.into() } else { Str::EMPTY },
                topic_id: if version < 10 { Uuid::nil() } else { topic_id(side, name) },
                partition_indexes,
            };
            wanted.into_iter().map(topic).collect::<Vec<_>>()
        });
        let member = self.get("member").map(|who| Str::from(side.id(who)));
        let wanted = self.groups(group).into_iter().map(|group_id| OffsetFetchRequestGroup {
            group_id,
            member_id: member.clone().filter(|_| version >= 9),
            member_epoch: if version >= 9 { self.number("epoch", -1) as i32 } else { -1 },
            topics: topics.clone(),
        });
        let groups = wanted.collect();
        (version, m::OffsetFetchRequest { groups, require_stable, ..Default::default() })
    }

    /// `epoch=0` joins: then it says all; `owned=t:0+1`, `topics=t,u`, `regex=`, `as=`, `assignor=`, `rack=`.
    pub fn beat(&self, side: &Side, group: &str) -> (i16, m::ConsumerGroupHeartbeatRequest) {
        let version = self.version(1);
        let epoch = if self.has("epoch") {
            self.epoch("epoch", side)
        } else {
            side.epochs.get(self.who()).copied().unwrap_or(0)
        };
        let joins = epoch == 0;
        let owned = (self.has("owned") || joins) && !self.has("silent");
        let owned = owned.then(|| {
            let topic =
                |(name, partitions): (&str, Vec<i32>)| TopicPartitions { topic_id: topic_id(side, name), partitions };
            self.partitions("owned").into_iter().map(topic).collect()
        });
        let names = self.has("topics") || (joins && !self.has("regex") && !self.has("unsubscribed"));
        let names = names.then(|| if self.has("topics") { self.items("topics") } else { vec!["t"] });
        let known = side.id(self.who());
        let own = if known.is_empty() { format!("{}-{group}", self.who()) } else { known };
        let request = m::ConsumerGroupHeartbeatRequest {
            group_id: self.group(group),
            member_id: if self.has("id") { self.id(side) } else { own.into() },
            member_epoch: epoch,
            instance_id: self.text("as"),
            rack_id: self.text("rack"),
            rebalance_timeout_ms: self.number("rebalance", if joins { 30_000 } else { -1 }) as i32,
            subscribed_topic_names: names.map(|names| names.into_iter().map(Into::into).collect()),
            subscribed_topic_regex: self.text("regex").filter(|_| version >= 1),
            server_assignor: self.text("assignor"),
            topic_partitions: owned,
        };
        (version, request)
    }

    pub fn inspect(&self, _side: &Side, group: &str) -> (i16, m::ConsumerGroupDescribeRequest) {
        let include_authorized_operations = self.has("operations");
        (
            self.version(1),
            m::ConsumerGroupDescribeRequest { group_ids: self.groups(group), include_authorized_operations },
        )
    }

    pub fn forget(&self, _side: &Side, group: &str) -> (i16, m::OffsetDeleteRequest) {
        let topics = self.partitions("of").into_iter().map(|(name, partitions)| OffsetDeleteRequestTopic {
            name: name.into(),
            partitions: partitions
                .into_iter()
                .map(|partition_index| OffsetDeleteRequestPartition { partition_index, ..Default::default() })
                .collect(),
            ..Default::default()
        });
        (0, m::OffsetDeleteRequest { group_id: self.group(group), topics: topics.collect() })
    }

    pub fn describe(&self, _side: &Side, group: &str) -> (i16, m::DescribeGroupsRequest) {
        let include_authorized_operations = self.has("operations");
        (self.version(6), m::DescribeGroupsRequest { groups: self.groups(group), include_authorized_operations })
    }

    pub fn list(&self, _side: &Side, _group: &str) -> (i16, m::ListGroupsRequest) {
        let texts = |key: &str| self.items(key).into_iter().map(Into::into).collect();
        (self.version(5), m::ListGroupsRequest { states_filter: texts("states"), types_filter: texts("types") })
    }

    pub fn delete(&self, _side: &Side, group: &str) -> (i16, m::DeleteGroupsRequest) {
        (self.version(2), m::DeleteGroupsRequest { groups_names: self.groups(group) })
    }
}

/// `*5000` is long.
fn metadata(text: &str) -> Str {
    text.strip_prefix('*').map_or_else(|| text.to_owned(), |count| "x".repeat(count.parse().expect("a number"))).into()
}

/// Nobody's, for a topic that is not there.
fn topic_id(side: &Side, name: &str) -> Uuid {
    side.topic_ids.get(name).copied().unwrap_or(Uuid::from_u128(77))
}

/// `t:0+1` as Kafka's consumer protocol has it; `-` is not.
fn assignment(work: &str) -> Bytes {
    let Some((topic, partitions)) = work.split_once(':') else { return Bytes::copy_from_slice(work.as_bytes()) };
    let partitions = partitions.split('+').filter(|index| !index.is_empty());
    let given = TopicPartition {
        topic: topic.into(),
        partitions: partitions.map(|index| index.parse().expect("a number")).collect(),
    };
    let mut writer = Writer::new();
    writer.i16(0);
    let assignment = m::ConsumerProtocolAssignment { assigned_partitions: vec![given], ..Default::default() };
    assignment.encode(&mut writer, 0).expect("a small assignment");
    writer.into_bytes()
}
