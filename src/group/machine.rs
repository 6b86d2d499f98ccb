//! The state of one partition of `__consumer_offsets`: its groups and their offsets. Leads every event to its place.

use super::classic::ClassicGroup;
use super::classic_requests::answer_to_heartbeat;
use super::consumer::ConsumerGroup;
use super::kind::{Group, Groups};
use super::limits::GROUPS_MAX;
use super::offsets::{Offsets, Round};
use super::record::GroupRecord;
use super::request::{Reply, Request};
use super::settings::{TOPIC, milliseconds, of_group, retention_check_interval};
use super::timer::Timer;
use super::topic_changes::TopicChanges;
use super::weight::Total;
use crate::config::BrokerConfig;
use crate::coordinator::{Draft, Machine, RawRecord, Scene, Source, Ticket, Turn};
use odradek_protocol::codec::DecodeError;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::HeartbeatResponse;
use odradek_protocol::primitives::Str;
use odradek_shards::record::Codec;
use odradek_shards::types::ProducerId;

pub struct GroupMachine {
    pub(super) groups: Groups,
    pub(super) offsets: Offsets,
    pub(super) round: Round,
    scene: Scene,
    /// Counts the images seen.
    metadata_version: u64,
    pub(super) topic_changes: TopicChanges,
    /// Of the groups, their offsets apart.
    weight: Total,
}

impl Machine for GroupMachine {
    type Request = Request;
    type Reply = Reply;
    type Record = GroupRecord;
    type Timer = Timer;

    const TOPIC: &'static str = TOPIC;

    fn new(scene: &Scene) -> Self {
        Self {
            groups: Groups::new(),
            offsets: Offsets::default(),
            round: Round::default(),
            scene: scene.clone(),
            metadata_version: 0,
            topic_changes: TopicChanges::default(),
            weight: Total::default(),
        }
    }

    fn codec(scene: &Scene) -> Codec {
        match scene.config.groups.offsets_topic_compression_codec {
            1 => Codec::Gzip,
            2 => Codec::Snappy,
            3 => Codec::Lz4,
            4 => Codec::Zstd,
            _ => Codec::None,
        }
    }

    fn encode(record: &GroupRecord) -> RawRecord {
        record.encode()
    }

    fn decode(raw: RawRecord) -> Result<Option<GroupRecord>, DecodeError> {
        GroupRecord::decode(raw)
    }

    fn replay(&mut self, record: GroupRecord, source: Source) {
        match record {
            GroupRecord::Offset(key, value) => {
                if value.is_some() {
                    self.classic_or_new(&key.group, value.as_ref().map_or(-1, |value| value.commit_timestamp));
                }
                self.offsets.replay(&key, value.as_ref(), source);
            }
            GroupRecord::Classic(id, Some(value)) => {
                let id = id.detached();
                let group = ClassicGroup::from_record(id.clone(), &value, &self.weight);
                self.groups.insert(id, Group::Classic(Box::new(group)));
            }
            GroupRecord::Classic(id, None) => {
                if let Some(Group::Classic(_)) = self.groups.get(&id) {
                    self.groups.remove(&id);
                }
            }
            other => self.replay_consumer(other),
        }
    }

    fn end_transaction(&mut self, producer: ProducerId, committed: bool) {
        self.offsets.end_transaction(producer, committed);
    }

    fn begin(&mut self, turn: &mut Turn<'_, Self>) {
        let size_max = self.config().groups.group_max_size;
        for group in self.groups.values_mut() {
            match group {
                Group::Classic(group) => group.loaded(turn, size_max),
                Group::Consumer(_) => {}
            }
        }
        let consumers = self.groups.iter().filter(|(_, group)| matches!(group, Group::Consumer(_)));
        let consumers: Vec<Str> = consumers.map(|(id, _)| id.clone()).collect();
        consumers.iter().for_each(|id| self.consumer_group_loaded(turn, id));
        turn.schedule(Timer::Expiry, retention_check_interval(self.config()));
    }

    fn handle(&mut self, turn: &mut Turn<'_, Self>, ticket: Ticket, request: Request) {
        let reply = match request {
            Request::Join { version, client, request } => {
                return self.join(turn, ticket, version, &client, &request);
            }
            Request::Sync(request) => return self.sync(turn, ticket, &request),
            Request::Heartbeat(request) => Reply::Heartbeat(self.heartbeat(turn, &request)),
            Request::Leave { group, members } => Reply::Leave(self.leave(turn, &group, &members)),
            Request::CommitOffsets { version, request } => {
                Reply::CommitOffsets(self.commit_offsets(turn, version, &request))
            }
            Request::FetchOffsets { require_stable, request } => {
                Reply::FetchOffsets(self.fetch_offsets(require_stable, &request))
            }
            Request::DeleteOffsets(request) => Reply::DeleteOffsets(self.delete_offsets(turn, &request)),
            Request::DescribeClassic { version, group } => {
                Reply::DescribeClassic(self.describe_classic(version, &group))
            }
            Request::ConsumerHeartbeat { client, request } => {
                Reply::ConsumerHeartbeat(self.consumer_heartbeat(turn, &client, &request))
            }
            Request::DescribeConsumer { group } => Reply::DescribeConsumer(self.describe_consumer(&group)),
            Request::List { states, types } => Reply::List(Ok(self.list(&states, &types))),
            Request::Delete { group } => Reply::Delete(self.delete(turn, &group)),
            Request::Committed { max } => Reply::Committed(self.committed(max)),
        };
        turn.reply(ticket, reply);
    }

    fn answer_at_once(&mut self, turn: &mut Turn<'_, Self>, request: &Request) -> Option<Reply> {
        match request {
            Request::Heartbeat(request) => {
                let beat = self.classic_mut(&request.group_id)?.heartbeat(turn, request);
                Some(Reply::Heartbeat(answer_to_heartbeat(beat)))
            }
            Request::ConsumerHeartbeat { client, request } => {
                self.idle_beat(turn, client, request).map(Reply::ConsumerHeartbeat)
            }
            _ => None,
        }
    }

    fn expire(&mut self, turn: &mut Turn<'_, Self>, timer: Timer) {
        match timer {
            Timer::Expiry => self.expire_offsets(turn),
            Timer::Session { group, member }
            | Timer::MemberJoin { group, member }
            | Timer::MemberSync { group, member } => self.consumer_session_expired(turn, &group, &member),
            Timer::Rebalance { group, member } => self.consumer_rebalance_expired(turn, &group, &member),
            Timer::Heartbeat { group, member } => {
                if let Some(group) = self.classic_mut(&group) {
                    group.session_expired(turn, &member);
                }
            }
            Timer::Join { group } => {
                if let Some(group) = self.classic_mut(&group) {
                    group.join_expired(turn);
                }
            }
            Timer::Sync { group } => {
                if let Some(group) = self.classic_mut(&group) {
                    group.sync_expired(turn);
                }
            }
        }
    }

    fn publish(&mut self, turn: &mut Turn<'_, Self>, scene: &Scene) {
        if self.scene.image.offset() != scene.image.offset() {
            self.metadata_version += 1;
            let names = scene.changed_topics.iter().chain(&*scene.deleted_topics);
            self.topic_changes.add(self.metadata_version, names);
            if scene.brokers_changed {
                self.topic_changes.forget(self.metadata_version);
            }
        }
        self.scene = scene.clone();
        if !scene.deleted_topics.is_empty() {
            self.forget_topics(turn, &scene.deleted_topics);
        }
    }

    fn resign(&mut self, turn: &mut Turn<'_, Self>) {
        const ERROR: ErrorCode = ErrorCode::NotCoordinator;
        for group in self.groups.values_mut() {
            match group {
                Group::Classic(group) => {
                    let (joins, syncs) = group.take_waiting();
                    joins
                        .into_iter()
                        .for_each(|(id, ticket)| turn.reply(ticket, super::classic::join::refusal(id, ERROR)));
                    syncs.into_iter().for_each(|ticket| turn.reply(ticket, super::classic::sync::refusal(ERROR)));
                }
                Group::Consumer(_) => {}
            }
        }
    }

    fn refuse(request: &Request, error: ErrorCode) -> Reply {
        match request {
            // Members of a group that is being loaded stay calm.
            Request::Heartbeat(_) if error == ErrorCode::CoordinatorLoadInProgress => {
                Reply::Heartbeat(HeartbeatResponse::default())
            }
            _ => request.refusal(error),
        }
    }

    fn undo(reply: Reply, error: ErrorCode) -> Reply {
        reply.undone(error)
    }

    fn held(&self) -> usize {
        self.weight.bytes() + self.offsets.bytes()
    }

    fn memory(scene: &Scene) -> (usize, &'static str) {
        let bytes = scene.config.engine.odradek_group_memory_bytes;
        (usize::try_from(bytes).unwrap_or(usize::MAX), "odradek.group.memory.bytes")
    }
}

impl GroupMachine {
    pub(super) fn consumer(&self, id: &str) -> Option<&ConsumerGroup> {
        match self.groups.get(id)? {
            Group::Consumer(group) => Some(group),
            Group::Classic(_) => None,
        }
    }

    pub(super) fn consumer_mut(&mut self, id: &str) -> Option<&mut ConsumerGroup> {
        match self.groups.get_mut(id)? {
            Group::Consumer(group) => Some(group),
            Group::Classic(_) => None,
        }
    }

    /// Records something that is true at once: later decisions of the turn build on it.
    pub(super) fn apply(&mut self, turn: &mut Turn<'_, Self>, record: impl Into<Draft<GroupRecord>>) {
        let draft = record.into();
        self.replay(draft.record.clone(), Source { position: 0, producer: None });
        turn.keep(draft);
    }

    /// A classic group of that name, which can only have offsets, gives way.
    pub(super) fn consumer_or_new(&mut self, id: &Str) -> &mut ConsumerGroup {
        if self.consumer(id).is_none() {
            let id = id.detached();
            let group = ConsumerGroup::new(id.clone(), &self.weight);
            self.groups.insert(id, Group::Consumer(Box::new(group)));
        }
        self.consumer_mut(id).expect("it is there or has just been made")
    }

    pub(super) fn metadata_version(&self) -> u64 {
        self.metadata_version
    }

    pub(super) fn session_timeout(&self, group: &str) -> std::time::Duration {
        let broker = self.config().groups.group_consumer_session_timeout_ms;
        milliseconds(of_group(&self.scene.image, group, "consumer.session.timeout.ms", broker))
    }

    pub(super) fn heartbeat_interval_ms(&self, group: &str) -> i32 {
        let broker = self.config().groups.group_consumer_heartbeat_interval_ms;
        of_group(&self.scene.image, group, "consumer.heartbeat.interval.ms", broker)
    }

    pub(super) fn assignment_interval_ms(&self, group: &str) -> i32 {
        let broker = self.config().groups.group_consumer_assignment_interval_ms;
        of_group(&self.scene.image, group, "consumer.assignment.interval.ms", broker)
    }

    pub(super) fn scene(&self) -> &Scene {
        &self.scene
    }

    pub(super) fn config(&self) -> &BrokerConfig {
        &self.scene.config
    }

    /// No new group is taken.
    pub(super) fn is_full(&self, turn: &Turn<'_, Self>) -> bool {
        turn.moment.is_full || self.groups.len() >= GROUPS_MAX
    }

    pub(super) fn classic_mut(&mut self, id: &str) -> Option<&mut ClassicGroup> {
        match self.groups.get_mut(id)? {
            Group::Classic(group) => Some(group),
            Group::Consumer(_) => None,
        }
    }

    /// A group that only commits offsets is a classic one without members.
    pub(super) fn classic_or_new(&mut self, id: &Str, since_ms: i64) {
        if !self.groups.contains_key(id) {
            let id = id.detached();
            let group = ClassicGroup::new(id.clone(), odradek_shards::types::Timestamp(since_ms), &self.weight);
            self.groups.insert(id, Group::Classic(Box::new(group)));
        }
    }
}

#[cfg(test)]
impl GroupMachine {
    /// What must hold after every turn.
    pub fn check(&self) {
        let mut weight = 0;
        for group in self.groups.values() {
            let (counted, reckoned) = match group {
                Group::Classic(group) => {
                    group.check();
                    group.weights()
                }
                Group::Consumer(group) => {
                    group.check();
                    group.check_seen(&self.scene.image, self.metadata_version);
                    group.weights()
                }
            };
            assert_eq!(counted, reckoned, "what a group holds is counted as it changes");
            weight += counted;
        }
        assert_eq!(self.weight.bytes(), weight, "groups that are gone hold nothing");
        self.offsets.check();
    }
}
