//! Commands of a script as requests.

use super::{GROUP, Stage, Words, topic_id};
use crate::group::consumer::validate::validate;
use crate::group::embedded;
use crate::group::request::{Client, Request};
use bytes::Bytes;
use odradek_protocol::codec::{Message, Writer};
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
use std::collections::BTreeMap;
use std::sync::Arc;

impl Stage {
    pub(super) fn beat(&mut self, who: &str, words: &Words<'_>) {
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
            subscribed_topic_names: topics.map(|topics| names(topics, words)),
            subscribed_topic_regex: words.get("regex").map(Into::into),
            server_assignor: words.get("assignor").map(Into::into),
            topic_partitions: owned,
            ..Default::default()
        };
        self.ids.insert(who.into(), request.member_id.clone());
        let client = Client { id: who.into(), host: "/h".into() };
        match validate(1, &request, &self.scene.config) {
            Ok(()) => self.ask(&format!("{who} beat"), Request::ConsumerHeartbeat { client, request }),
            Err(refusal) => self.told.push(format!("{who}: {}", refusal.error.name())),
        }
    }

    pub(super) fn id(&self, name: &str) -> Str {
        self.ids.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn join(&mut self, who: &str, words: &Words<'_>) {
        let kind = words.get("type").unwrap_or("consumer");
        let topics = words.get("topics").unwrap_or("t");
        let protocols = words.get("protocols").unwrap_or("range").split(',').filter(|name| !name.is_empty());
        let protocols = protocols.map(|name| JoinGroupRequestProtocol {
            name: name.into(),
            metadata: subscription(topics, &words.padded("data")),
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

    pub(super) fn sync(&mut self, who: &str, words: &Words<'_>) {
        let given = words.get("assign").unwrap_or("").split(',').filter_map(|one| one.split_once(':'));
        let given = given.map(|(name, work)| (name, Bytes::from([work, &words.padded("")].concat())));
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

    fn generation(&self, who: &str) -> i32 {
        self.generations.get(who).copied().unwrap_or(-1)
    }

    pub(super) fn heartbeat(&mut self, who: &str, words: &Words<'_>) {
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
    pub(super) fn leave(&mut self, rest: &str) {
        let identity = |word: &str| match word.strip_prefix("as=") {
            Some(instance) => MemberIdentity { group_instance_id: Some(instance.into()), ..Default::default() },
            None => MemberIdentity { member_id: self.id(word), ..Default::default() },
        };
        let members = rest.split_whitespace().map(identity).collect();
        self.ask("leave", Request::Leave { group: GROUP.into(), members });
    }

    pub(super) fn commit(&mut self, who: &str, words: &Words<'_>) {
        let partition = OffsetCommitRequestPartition {
            partition_index: words.number("p", 0) as i32,
            committed_offset: words.number("offset", 1),
            committed_leader_epoch: words.number("epoch", -1) as i32,
            committed_metadata: Some(words.padded("metadata").into()),
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
        let request = Arc::new(request);
        let version = words.number("v", 9) as i16;
        self.ask(&format!("{who} commit"), Request::CommitOffsets { version, request });
    }

    pub(super) fn fetch(&mut self, words: &Words<'_>) {
        let request = OffsetFetchRequestGroup { group_id: GROUP.into(), topics: None, ..Default::default() };
        self.ask("fetch", Request::FetchOffsets { require_stable: words.get("stable").is_some(), request });
    }

    pub(super) fn delete_offsets(&mut self, words: &Words<'_>) {
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

/// Names of topics, and one of the length that is asked for.
fn names(topics: &str, words: &Words<'_>) -> Vec<Str> {
    let pad = words.padded("");
    topics.split(',').chain([pad.as_str()]).filter(|name| !name.is_empty()).map(Into::into).collect()
}
