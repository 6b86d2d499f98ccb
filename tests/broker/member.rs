//! A member of a group that reads what it has, commits, and comes and goes as it likes.

use crate::batches::{FETCH, fetch_request, records};
use crate::ledger::Ledger;
use crate::wire::Wire;
use bytes::Bytes;
use odradek_protocol::codec::{Message, Reader, Writer};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages as m;
use odradek_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use odradek_protocol::messages::consumer_protocol_assignment::TopicPartition;
use odradek_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use odradek_protocol::messages::leave_group_request::MemberIdentity;
use odradek_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use odradek_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use odradek_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use odradek_protocol::primitives::Str;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use uuid::Uuid;

pub const TOPIC: &str = "storm";
const GROUP: &str = "readers";
const SESSION_MS: i32 = 3000;
const REBALANCE_MS: i32 = 3000;
const TURN: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Classic,
    Consumer,
}

/// What all members are told.
#[derive(Default)]
pub struct Orders {
    /// Stay in the group from now on.
    pub is_calm: AtomicBool,
    pub is_over: AtomicBool,
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, max: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % max
    }
}

pub fn find_coordinator(wire: &mut Wire) {
    let request = m::FindCoordinatorRequest { coordinator_keys: vec![GROUP.into()], ..Default::default() };
    while wire.call(4, &request).coordinators[0].error_code != 0 {
        thread::sleep(TURN);
    }
}

/// One life after the other, until it is over.
pub fn live(address: SocketAddr, place: u64, kind: Kind, orders: &Orders, ledger: &Ledger) {
    let mut dice = Dice(place + 1);
    for life in 0.. {
        let mut member = Member::new(address, format!("{place}.{life}"), kind);
        let until = Instant::now() + Duration::from_millis(300 + dice.below(5000));
        while !orders.is_over.load(Ordering::Relaxed) {
            if Instant::now() >= until && !orders.is_calm.load(Ordering::Relaxed) {
                break;
            }
            member.turn(ledger);
            thread::sleep(TURN);
        }
        let is_over = orders.is_over.load(Ordering::Relaxed);
        ledger.give_back(&member.name, &member.held());
        if is_over {
            return;
        }
        if dice.below(2) == 0 {
            member.leave();
        } else {
            ledger.crashed();
        }
        thread::sleep(Duration::from_millis(dice.below(1000)));
    }
}

struct Member {
    name: String,
    kind: Kind,
    wire: Wire,
    topic: Uuid,
    partitions: i32,
    id: Str,
    epoch: i32,
    is_in: bool,
    /// Partitions with the offset to read next.
    positions: BTreeMap<i32, i64>,
}

impl Member {
    fn new(address: SocketAddr, name: String, kind: Kind) -> Self {
        let mut wire = Wire::connect(address);
        let metadata = wire.call(12, &m::MetadataRequest { topics: None, ..Default::default() });
        let topic = metadata.topics.iter().find(|topic| topic.name.as_deref() == Some(TOPIC)).expect("it was made");
        let (topic, partitions) = (topic.topic_id, i32::try_from(topic.partitions.len()).expect("few"));
        let id = if kind == Kind::Consumer { Str::from(Uuid::new_v4().to_string()) } else { Str::EMPTY };
        Self { name, kind, wire, topic, partitions, id, epoch: 0, is_in: false, positions: BTreeMap::new() }
    }

    fn held(&self) -> BTreeSet<i32> {
        self.positions.keys().copied().collect()
    }

    fn turn(&mut self, ledger: &Ledger) {
        match self.kind {
            Kind::Consumer => self.beat(ledger),
            Kind::Classic if self.is_in => self.heartbeat(ledger),
            Kind::Classic => self.join(ledger),
        }
        self.read(ledger);
    }

    /// Starts again, with nothing.
    fn forget(&mut self, ledger: &Ledger) {
        ledger.give_back(&self.name, &self.held());
        self.positions.clear();
        self.is_in = false;
    }

    fn beat(&mut self, ledger: &Ledger) {
        let joins = self.epoch == 0;
        let held = TopicPartitions { topic_id: self.topic, partitions: self.positions.keys().copied().collect() };
        let request = m::ConsumerGroupHeartbeatRequest {
            group_id: GROUP.into(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            rebalance_timeout_ms: if joins { REBALANCE_MS } else { -1 },
            subscribed_topic_names: joins.then(|| vec![TOPIC.into()]),
            topic_partitions: Some(if held.partitions.is_empty() { Vec::new() } else { vec![held] }),
            ..Default::default()
        };
        let response = self.wire.call(1, &request);
        if response.error_code != 0 {
            self.forget(ledger);
            self.epoch = 0;
            return self.expect(
                ledger,
                response.error_code,
                &[ErrorCode::UnknownMemberId, ErrorCode::FencedMemberEpoch, ErrorCode::GroupIdNotFound],
            );
        }
        if response.member_epoch < self.epoch {
            ledger.fault(format!("{}: its epoch went from {} to {}", self.name, self.epoch, response.member_epoch));
        }
        self.epoch = response.member_epoch;
        if let Some(assignment) = response.assignment {
            let topics = assignment.topic_partitions.iter().flat_map(|topic| topic.partitions.iter().copied());
            self.hold(ledger, topics.collect());
        }
    }

    fn expect(&self, ledger: &Ledger, code: i16, expected: &[ErrorCode]) {
        let error = ErrorCode::from_code(code);
        if !expected.contains(&error) {
            ledger.fault(format!("{}: {error:?}", self.name));
        }
    }

    fn hold(&mut self, ledger: &Ledger, wanted: BTreeSet<i32>) {
        let held = self.held();
        let gone: BTreeSet<i32> = held.difference(&wanted).copied().collect();
        let new: BTreeSet<i32> = wanted.difference(&held).copied().collect();
        ledger.give_back(&self.name, &gone);
        self.positions.retain(|partition, _| wanted.contains(partition));
        ledger.take(&self.name, self.epoch, &wanted, &new);
        if !new.is_empty() {
            let committed = self.committed(&new);
            self.positions.extend(committed);
        }
    }

    fn join(&mut self, ledger: &Ledger) {
        let mut writer = Writer::new();
        writer.i16(1);
        let subscription = m::ConsumerProtocolSubscription { topics: vec![TOPIC.into()], ..Default::default() };
        subscription.encode(&mut writer, 1).expect("a small subscription");
        let protocol =
            JoinGroupRequestProtocol { name: "range".into(), metadata: writer.into_bytes(), ..Default::default() };
        let request = m::JoinGroupRequest {
            group_id: GROUP.into(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            member_id: self.id.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![protocol],
            ..Default::default()
        };
        let response = self.wire.call(9, &request);
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {}
            ErrorCode::MemberIdRequired => return self.id = response.member_id,
            ErrorCode::UnknownMemberId => return self.id = Str::EMPTY,
            _ => return self.expect(ledger, response.error_code, &[ErrorCode::RebalanceInProgress]),
        }
        self.id = response.member_id;
        self.epoch = response.generation_id;
        let members: Vec<Str> = response.members.into_iter().map(|member| member.member_id).collect();
        self.sync(ledger, &members);
    }

    fn sync(&mut self, ledger: &Ledger, members: &[Str]) {
        let assignments = members.iter().enumerate().map(|(at, member)| SyncGroupRequestAssignment {
            member_id: member.clone(),
            assignment: share((0..self.partitions).filter(|index| *index as usize % members.len() == at).collect()),
            ..Default::default()
        });
        let request = m::SyncGroupRequest {
            group_id: GROUP.into(),
            generation_id: self.epoch,
            member_id: self.id.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: assignments.collect(),
            ..Default::default()
        };
        let response = self.wire.call(5, &request);
        if response.error_code != 0 {
            return self.lost(ledger, response.error_code);
        }
        self.is_in = true;
        self.hold(ledger, partitions(&response.assignment));
    }

    fn heartbeat(&mut self, ledger: &Ledger) {
        let request = m::HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id: self.epoch,
            member_id: self.id.clone(),
            ..Default::default()
        };
        let response = self.wire.call(4, &request);
        if response.error_code != 0 {
            self.lost(ledger, response.error_code);
        }
    }

    /// Everything is given back before it joins again.
    fn lost(&mut self, ledger: &Ledger, code: i16) {
        self.forget(ledger);
        if ErrorCode::from_code(code) == ErrorCode::UnknownMemberId {
            self.id = Str::EMPTY;
        }
        let expected = [ErrorCode::UnknownMemberId, ErrorCode::RebalanceInProgress, ErrorCode::IllegalGeneration];
        self.expect(ledger, code, &expected);
    }

    fn leave(mut self) {
        match self.kind {
            Kind::Consumer => {
                let request = m::ConsumerGroupHeartbeatRequest {
                    group_id: GROUP.into(),
                    member_id: self.id,
                    member_epoch: -1,
                    ..Default::default()
                };
                self.wire.call(1, &request);
            }
            Kind::Classic => {
                let members = vec![MemberIdentity { member_id: self.id, ..Default::default() }];
                self.wire.call(5, &m::LeaveGroupRequest { group_id: GROUP.into(), members, ..Default::default() });
            }
        }
    }

    /// Reads a little of something it has, and commits it.
    fn read(&mut self, ledger: &Ledger) {
        let positions: Vec<(i32, i64)> = self.positions.iter().map(|(index, at)| (*index, *at)).collect();
        if positions.is_empty() {
            return;
        }
        let response = self.wire.call(FETCH, &fetch_request(TOPIC, &positions, 0));
        let mut read = Vec::new();
        for data in response.responses.iter().flat_map(|topic| &topic.partitions) {
            let (partition, position) = (data.partition_index, self.positions[&data.partition_index]);
            let found = records(data).into_iter().map(|(offset, _)| offset);
            let found: Vec<i64> = found.filter(|at| *at >= position).collect();
            found.iter().for_each(|offset| ledger.read(&self.name, partition, *offset));
            if let Some(last) = found.last() {
                self.positions.insert(partition, last + 1);
                read.push((partition, last + 1));
            }
        }
        if !read.is_empty() {
            self.commit(&read);
        }
    }

    /// One that is refused will be read again.
    fn commit(&mut self, read: &[(i32, i64)]) {
        let partitions = read.iter().map(|(partition_index, committed_offset)| OffsetCommitRequestPartition {
            partition_index: *partition_index,
            committed_offset: *committed_offset,
            ..Default::default()
        });
        let topic =
            OffsetCommitRequestTopic { name: TOPIC.into(), partitions: partitions.collect(), ..Default::default() };
        let request = m::OffsetCommitRequest {
            group_id: GROUP.into(),
            generation_id_or_member_epoch: self.epoch,
            member_id: self.id.clone(),
            topics: vec![topic],
            ..Default::default()
        };
        self.wire.call(9, &request);
    }

    fn committed(&mut self, partitions: &BTreeSet<i32>) -> Vec<(i32, i64)> {
        let topic = OffsetFetchRequestTopics {
            name: TOPIC.into(),
            partition_indexes: partitions.iter().copied().collect(),
            ..Default::default()
        };
        let group = OffsetFetchRequestGroup { group_id: GROUP.into(), topics: Some(vec![topic]), ..Default::default() };
        let response = self.wire.call(8, &m::OffsetFetchRequest { groups: vec![group], ..Default::default() });
        let told = response.groups[0].topics.iter().flat_map(|topic| &topic.partitions);
        told.map(|partition| (partition.partition_index, partition.committed_offset.max(0))).collect()
    }
}

fn share(partitions: Vec<i32>) -> Bytes {
    let given = TopicPartition { topic: TOPIC.into(), partitions };
    let assignment = m::ConsumerProtocolAssignment { assigned_partitions: vec![given], ..Default::default() };
    let mut writer = Writer::new();
    writer.i16(1);
    assignment.encode(&mut writer, 1).expect("a small assignment");
    writer.into_bytes()
}

fn partitions(bytes: &Bytes) -> BTreeSet<i32> {
    let mut reader = Reader::new(bytes.clone());
    let Ok(version) = reader.i16() else { return BTreeSet::new() };
    let assignment = m::ConsumerProtocolAssignment::decode(&mut reader, version).expect("an assignment");
    assignment.assigned_partitions.into_iter().flat_map(|topic| topic.partitions).collect()
}
