//! Groups of both kinds, and of members of both, over a clean stop and over kill -9: members, assignments and offsets.
//! `ODRADEK_KILL_ROUNDS` has the broker killed more often.

use crate::harness::Broker;
use crate::member::find_coordinator;
use crate::wire::{Wire, decode};
use bytes::Bytes;
use odradek_protocol::codec::{Message, Writer};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::frame;
use odradek_protocol::messages as m;
use odradek_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use odradek_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use odradek_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use odradek_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use odradek_protocol::primitives::Str;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

const GROUPS: [&str; 3] = ["classic", "consumers", "mixed"];
/// Longer than the test takes.
const SESSION_MS: i32 = 60_000;

#[derive(Clone, Debug)]
struct Member {
    group: &'static str,
    id: Str,
    epoch: i32,
    is_classic: bool,
}

fn join(wire: &mut Wire, group: &'static str) -> Member {
    let mut writer = Writer::new();
    writer.i16(1);
    let subscription = m::ConsumerProtocolSubscription { topics: vec!["t".into()], ..Default::default() };
    subscription.encode(&mut writer, 1).expect("a small subscription");
    let metadata = writer.into_bytes();
    let protocol = JoinGroupRequestProtocol { name: "range".into(), metadata, ..Default::default() };
    let request = m::JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: SESSION_MS,
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    };
    let joined = wire.call(3, &request);
    assert_eq!(joined.error_code, 0);
    let member = Member { group, id: joined.member_id, epoch: joined.generation_id, is_classic: true };
    sync(wire, &member, b"work");
    member
}

/// What it is given; a leader's word counts in classic groups only.
fn sync(wire: &mut Wire, member: &Member, work: &'static [u8]) -> Bytes {
    let member_id = member.id.clone();
    let given = SyncGroupRequestAssignment { member_id, assignment: work.into(), ..Default::default() };
    let request = m::SyncGroupRequest {
        group_id: member.group.into(),
        generation_id: member.epoch,
        member_id: member.id.clone(),
        assignments: vec![given],
        ..Default::default()
    };
    let synced = wire.call(3, &request);
    assert_eq!(synced.error_code, 0);
    synced.assignment
}

/// `id`: its own; at epoch 0 it joins.
fn beat(wire: &mut Wire, group: &'static str, id: &str, epoch: i32) -> Member {
    let request = m::ConsumerGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: id.into(),
        member_epoch: epoch,
        rebalance_timeout_ms: if epoch == 0 { SESSION_MS } else { -1 },
        subscribed_topic_names: (epoch == 0).then(|| vec!["t".into()]),
        topic_partitions: (epoch == 0).then(Vec::new),
        ..Default::default()
    };
    let told = wire.call(1, &request);
    assert_eq!(told.error_code, 0, "{:?}", told.error_message);
    Member { group, id: id.into(), epoch: told.member_epoch, is_classic: false }
}

fn commit(wire: &mut Wire, member: &Member, offset: i64) {
    assert_eq!(wire.call(9, &commit_request(member, offset)).topics[0].partitions[0].error_code, 0);
}

fn commit_request(member: &Member, offset: i64) -> m::OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition { partition_index: 0, committed_offset: offset, ..Default::default() };
    let topic = OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
    m::OffsetCommitRequest {
        group_id: member.group.into(),
        generation_id_or_member_epoch: member.epoch,
        member_id: member.id.clone(),
        topics: vec![topic],
        ..Default::default()
    }
}

/// All that can be asked of the groups, as text.
fn look(wire: &mut Wire) -> Vec<String> {
    let names: Vec<Str> = GROUPS.iter().map(|group| (*group).into()).collect();
    let fetched =
        GROUPS.map(|group| OffsetFetchRequestGroup { group_id: group.into(), topics: None, ..Default::default() });
    let classic = m::DescribeGroupsRequest { groups: names.clone(), ..Default::default() };
    let consumers = m::ConsumerGroupDescribeRequest { group_ids: names, ..Default::default() };
    // Refused while a coordinator loads.
    let mut listed = wire.call(5, &m::ListGroupsRequest::default());
    while ErrorCode::from_code(listed.error_code) == ErrorCode::CoordinatorLoadInProgress {
        thread::sleep(Duration::from_millis(10));
        listed = wire.call(5, &m::ListGroupsRequest::default());
    }
    let mut listed = listed.groups;
    listed.sort_by(|one, two| one.group_id.cmp(&two.group_id));
    vec![
        format!("{:#?}", wire.call(6, &classic).groups),
        format!("{:#?}", wire.call(1, &consumers).groups),
        format!("{:#?}", wire.call(8, &m::OffsetFetchRequest { groups: fetched.into(), ..Default::default() }).groups),
        format!("{listed:#?}"),
    ]
}

#[test]
fn members_assignments_and_offsets_outlive_a_stop_and_a_crash() {
    let mut broker = Broker::start_with(&[
        "group.initial.rebalance.delay.ms=0",
        "offsets.topic.num.partitions=5",
        "group.consumer.assignment.interval.ms=0",
    ]);
    broker.create_topic("t", 1);
    let mut wire = broker.connect();
    find_coordinator(&mut wire);
    let mut members =
        [join(&mut wire, "classic"), beat(&mut wire, "consumers", "c", 0), beat(&mut wire, "mixed", "m", 0)];
    let guest = join(&mut wire, "mixed");
    members[2] = beat(&mut wire, "mixed", "m", members[2].epoch);
    for (offset, member) in members.iter().enumerate() {
        commit(&mut wire, member, offset as i64 + 5);
    }
    let before = look(&mut wire);
    let had = sync(&mut wire, &guest, b"");
    for is_crash in [false, true, true] {
        if is_crash {
            broker.kill();
        }
        broker.restart();
        let mut wire = broker.connect();
        find_coordinator(&mut wire);
        assert_eq!(look(&mut wire), before, "after a crash: {is_crash}");
        assert_eq!(sync(&mut wire, &members[0], b""), "work");
        assert_eq!(sync(&mut wire, &guest, b""), had);
        for member in members.iter().filter(|member| !member.is_classic) {
            let told = beat(&mut wire, member.group, &member.id, member.epoch);
            assert_eq!((told.epoch, &told.id), (member.epoch, &member.id));
        }
    }
}

#[test]
fn a_coordinator_reads_its_partition_once_at_a_start() {
    let mut broker = Broker::start_with(&["offsets.topic.num.partitions=1", "group.initial.rebalance.delay.ms=0"]);
    broker.create_topic("t", 1);
    let mut wire = broker.connect();
    find_coordinator(&mut wire);
    let member = join(&mut wire, "classic");
    commit(&mut wire, &member, 5);
    for starts in 1..3 {
        broker.kill();
        broker.restart();
        assert_eq!(committed(&mut broker.connect(), "classic"), 5);
        assert_eq!(broker.log().matches("__consumer_offsets-0 loaded").count(), starts);
    }
}

/// Commits `from` and on, one after the other, until the broker is gone: the last that was acknowledged, if any was.
fn commit_until_killed(address: SocketAddr, member: &Member, from: i64) -> Option<i64> {
    let mut wire = Wire::connect(address);
    let mut acknowledged = None;
    for offset in from.. {
        let request = commit_request(member, offset);
        let pieces = frame::request(&request, 9, 0, Some("test".into())).expect("a small request");
        wire.send_until_closed(&pieces.concat());
        let Ok(answer) = wire.receive_frame() else { break };
        let (_, answer) = decode::<m::OffsetCommitRequest>(answer, 9);
        assert_eq!(answer.topics[0].partitions[0].error_code, 0, "{member:?} commits {offset}");
        acknowledged = Some(offset);
    }
    acknowledged
}

/// The group's committed offset, once its coordinator has read what there is.
fn committed(wire: &mut Wire, group: &str) -> i64 {
    let group = OffsetFetchRequestGroup { group_id: group.into(), topics: None, ..Default::default() };
    let request = m::OffsetFetchRequest { groups: vec![group], ..Default::default() };
    loop {
        let answer = wire.call(8, &request);
        let told = &answer.groups[0];
        match ErrorCode::from_code(told.error_code) {
            ErrorCode::None => return told.topics.first().map_or(-1, |topic| topic.partitions[0].committed_offset),
            ErrorCode::CoordinatorLoadInProgress => thread::sleep(Duration::from_millis(1)),
            other => panic!("committed offsets are not told: {other:?}"),
        }
    }
}

fn rounds() -> u64 {
    std::env::var("ODRADEK_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

#[test]
fn commits_acknowledged_before_a_kill_are_there_after_it() {
    let mut broker = Broker::start_with(&["offsets.topic.num.partitions=5", "group.initial.rebalance.delay.ms=0"]);
    broker.create_topic("t", 1);
    let mut wire = broker.connect();
    find_coordinator(&mut wire);
    let nobody = |group| Member { group, id: Str::EMPTY, epoch: -1, is_classic: true };
    let mut members = vec![join(&mut wire, "classic"), beat(&mut wire, "consumers", "c", 0)];
    members.extend(["nobody", "neither", "none"].map(nobody));
    let mut next = vec![0; members.len()];
    for round in 0..rounds() {
        let address = broker.address();
        let start = |(member, from): (&Member, &i64)| {
            let (member, from) = (member.clone(), *from);
            thread::spawn(move || commit_until_killed(address, &member, from))
        };
        let committers: Vec<_> = members.iter().zip(&next).map(start).collect();
        thread::sleep(Duration::from_millis(300 + 97 * round % 500));
        broker.kill();
        let acknowledged: Vec<_> =
            committers.into_iter().map(|committer| committer.join().expect("commits are not refused")).collect();
        broker.restart();
        let mut wire = broker.connect();
        find_coordinator(&mut wire);
        for ((member, next), acknowledged) in members.iter().zip(&mut next).zip(acknowledged) {
            let acknowledged = acknowledged.expect("there was time for one");
            let found = committed(&mut wire, member.group);
            // The one under way when the broker was killed may be there or not.
            assert!((acknowledged..=acknowledged + 1).contains(&found), "{member:?}: {found} after {acknowledged}");
            *next = found + 1;
        }
    }
    println!("{next:?} commits in {} rounds", rounds());
}
