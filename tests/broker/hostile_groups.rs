//! Group requests of extreme size and number: refused with Kafka's codes, and the broker goes on, no larger than before.

use crate::harness::Broker;
use crate::member::find_coordinator;
use crate::wire::Wire;
use bytes::Bytes;
use odradek_protocol::codec::{Message, Writer};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages as m;
use odradek_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use odradek_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use odradek_protocol::messages::leave_group_request::MemberIdentity;
use odradek_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use odradek_protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use odradek_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use odradek_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use odradek_protocol::primitives::Str;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use uuid::Uuid;

const OFFSETS_PARTITIONS: usize = 5;
/// As long as a text of a request can be.
const LONG: usize = 32_767;
/// What the process may grow by, whatever is asked of it.
const GROWTH_MAX: usize = 400 << 20;
const SESSION_MS: i32 = 60_000;

fn broker(more: &[&str]) -> (Broker, Wire) {
    let partitions = format!("offsets.topic.num.partitions={OFFSETS_PARTITIONS}");
    let settings = ["group.initial.rebalance.delay.ms=0", partitions.as_str()];
    let broker = Broker::start_with(&[&settings, more].concat());
    broker.create_topic("t", 3);
    let mut wire = broker.connect();
    find_coordinator(&mut wire);
    (broker, wire)
}

fn long() -> Str {
    "x".repeat(LONG).into()
}

fn error(code: i16) -> ErrorCode {
    ErrorCode::from_code(code)
}

fn protocol(name: &str, bytes: usize) -> JoinGroupRequestProtocol {
    let mut writer = Writer::new();
    writer.i16(1);
    let user_data = Some(Bytes::from(vec![7; bytes]));
    let subscription = m::ConsumerProtocolSubscription { topics: vec!["t".into()], user_data, ..Default::default() };
    subscription.encode(&mut writer, 1).expect("a subscription");
    JoinGroupRequestProtocol { name: name.into(), metadata: writer.into_bytes(), ..Default::default() }
}

fn joining(group: &str, bytes: usize) -> m::JoinGroupRequest {
    m::JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: SESSION_MS,
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range", bytes)],
        ..Default::default()
    }
}

/// A group of one, who leads it; its generation and member id.
fn found(wire: &mut Wire, group: &str, bytes: usize) -> Result<(i32, Str), ErrorCode> {
    let joined = wire.call(3, &joining(group, bytes));
    if joined.error_code != 0 {
        return Err(error(joined.error_code));
    }
    let given = SyncGroupRequestAssignment { member_id: joined.member_id.clone(), ..Default::default() };
    let request = m::SyncGroupRequest {
        group_id: group.into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        assignments: vec![given],
        ..Default::default()
    };
    match wire.call(3, &request).error_code {
        0 => Ok((joined.generation_id, joined.member_id)),
        code => Err(error(code)),
    }
}

fn heartbeat(wire: &mut Wire, group: &str, (generation_id, member_id): (i32, Str)) -> ErrorCode {
    let request = m::HeartbeatRequest { group_id: group.into(), generation_id, member_id, ..Default::default() };
    error(wire.call(4, &request).error_code)
}

fn commit(wire: &mut Wire, group: &Str, metadata: &Str, times: usize) -> ErrorCode {
    let partition = OffsetCommitRequestPartition {
        committed_offset: 1,
        committed_metadata: Some(metadata.clone()),
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition; times], ..Default::default() };
    let request = m::OffsetCommitRequest { group_id: group.clone(), topics: vec![topic], ..Default::default() };
    error(wire.call(8, &request).topics[0].partitions[0].error_code)
}

#[test]
fn members_of_classic_groups_that_are_too_large_are_refused() {
    let (mut broker, mut wire) = broker(&[]);
    let bystander = found(&mut wire, "bystander", 10).expect("room for one");
    let before = broker.resident_bytes();
    let usual = joining("g", 10);
    let many: Vec<_> = (0..1000).map(|number| protocol(&number.to_string(), 1)).collect();
    let cases = [
        (m::JoinGroupRequest { member_id: long(), ..usual.clone() }, ErrorCode::UnknownMemberId),
        (m::JoinGroupRequest { protocol_type: long(), ..usual.clone() }, ErrorCode::MemberIdRequired),
        (m::JoinGroupRequest { group_id: long(), ..usual.clone() }, ErrorCode::MemberIdRequired),
        (m::JoinGroupRequest { group_id: long(), group_instance_id: Some(long()), ..usual.clone() }, ErrorCode::None),
        (m::JoinGroupRequest { protocols: many, ..usual.clone() }, ErrorCode::InconsistentGroupProtocol),
        (joining("g", 5 << 20), ErrorCode::InconsistentGroupProtocol),
        (joining("g", 2 << 20), ErrorCode::GroupMaxSizeReached),
    ];
    for (number, (request, expected)) in cases.into_iter().enumerate() {
        assert_eq!(error(wire.call(9, &request).error_code), expected, "case {number}");
        assert_eq!(heartbeat(&mut wire, "bystander", bystander.clone()), ErrorCode::None, "after case {number}");
    }
    let growth = broker.resident_bytes().saturating_sub(before);
    assert!(broker.is_alive() && growth < GROWTH_MAX, "grown by {growth}");
}

#[test]
fn consumers_that_are_too_large_are_refused() {
    let (mut broker, mut wire) = broker(&[]);
    let bystander = found(&mut wire, "bystander", 10).expect("room for one");
    let usual = m::ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: Uuid::new_v4().to_string().into(),
        rebalance_timeout_ms: SESSION_MS,
        subscribed_topic_names: Some(vec!["t".into()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    let by = |expression: &str| m::ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(expression.into()),
        ..usual.clone()
    };
    let names = (0..30_000).map(|number| Str::from(format!("topic-{number}"))).collect();
    let cases = [
        (
            m::ConsumerGroupHeartbeatRequest {
                group_id: long(),
                member_id: long(),
                instance_id: Some(long()),
                rack_id: Some(long()),
                ..usual.clone()
            },
            ErrorCode::None,
        ),
        (
            m::ConsumerGroupHeartbeatRequest { subscribed_topic_names: Some(names), ..usual.clone() },
            ErrorCode::InvalidRequest,
        ),
        (by(&long()), ErrorCode::InvalidRegularExpression),
        (by(&"a".repeat(5000)), ErrorCode::InvalidRegularExpression),
        (by("(((a{1000}){1000}){1000})"), ErrorCode::InvalidRegularExpression),
        (by("("), ErrorCode::InvalidRegularExpression),
    ];
    for (number, (request, expected)) in cases.into_iter().enumerate() {
        assert_eq!(error(wire.call(1, &request).error_code), expected, "case {number}");
        assert_eq!(heartbeat(&mut wire, "bystander", bystander.clone()), ErrorCode::None, "after case {number}");
    }
    let refused = (0..100).filter(|number| {
        let member_id = Uuid::new_v4().to_string().into();
        let request = m::ConsumerGroupHeartbeatRequest { member_id, ..by(&format!("t{number}")) };
        error(wire.call(1, &request).error_code) == ErrorCode::InvalidRegularExpression
    });
    assert_eq!(refused.count(), 36, "a group has 64 regular expressions");
    assert!(broker.is_alive());
}

#[test]
fn commits_that_are_too_large_are_refused() {
    let (mut broker, mut wire) = broker(&[]);
    let before = broker.resident_bytes();
    let group = Str::from("g");
    assert_eq!(commit(&mut wire, &group, &"x".repeat(4096).into(), 1), ErrorCode::None);
    assert_eq!(commit(&mut wire, &group, &"x".repeat(4097).into(), 1), ErrorCode::OffsetMetadataTooLarge);
    assert_eq!(commit(&mut wire, &long(), &Str::EMPTY, 1), ErrorCode::None);
    assert_eq!(commit(&mut wire, &group, &Str::EMPTY, 1_000_000), ErrorCode::UnknownServerError);
    assert_eq!(commit(&mut wire, &group, &Str::EMPTY, 1), ErrorCode::None);
    let growth = broker.resident_bytes().saturating_sub(before);
    assert!(broker.is_alive() && growth < GROWTH_MAX, "grown by {growth}");
}

#[test]
fn one_request_is_told_of_groups_no_more_than_a_response_holds() {
    let (mut broker, mut wire) = broker(&[]);
    let large = found(&mut wire, "large", 700_000).expect("it fits into a record");
    let before = broker.resident_bytes();
    let request = m::DescribeGroupsRequest { groups: vec!["large".into(); 2000], ..Default::default() };
    let described = wire.call(5, &request).groups;
    let told = described.iter().filter(|group| group.error_code == 0).count();
    let refused = described.iter().filter(|group| error(group.error_code) == ErrorCode::CoordinatorNotAvailable);
    assert!((50..100).contains(&told), "{told} are told");
    assert_eq!(refused.count(), 2000 - told);

    let group = Str::from("g");
    assert_eq!(commit(&mut wire, &group, &"x".repeat(4096).into(), 1), ErrorCode::None);
    let topic =
        OffsetFetchRequestTopics { name: "t".into(), partition_indexes: vec![0; 500_000], ..Default::default() };
    let group = OffsetFetchRequestGroup { group_id: group, topics: Some(vec![topic]), ..Default::default() };
    let fetched = wire.call(8, &m::OffsetFetchRequest { groups: vec![group], ..Default::default() });
    assert_eq!(error(fetched.groups[0].error_code), ErrorCode::CoordinatorNotAvailable);

    let nobody = (0..20_000).map(|number| Str::from(number.to_string())).collect();
    let deleted = wire.call(2, &m::DeleteGroupsRequest { groups_names: nobody, ..Default::default() });
    let not_found = |code: i16| error(code) == ErrorCode::GroupIdNotFound;
    assert!(deleted.results.len() == 20_000 && deleted.results.iter().all(|result| not_found(result.error_code)));
    assert_eq!(heartbeat(&mut wire, "large", large), ErrorCode::None);
    let growth = broker.resident_bytes().saturating_sub(before);
    assert!(broker.is_alive() && growth < GROWTH_MAX, "grown by {growth}");
}

#[test]
fn groups_without_end_fill_the_memory_they_are_given_and_no_more() {
    let (mut broker, mut wire) = broker(&["odradek.group.memory.bytes=4194304"]);
    let first = found(&mut wire, "first", 10).expect("room for one");
    assert_eq!(commit(&mut wire, &"first".into(), &Str::EMPTY, 1), ErrorCode::UnknownMemberId);
    let before = broker.resident_bytes();
    let mut refused = 0;
    for number in 0..300 {
        match found(&mut wire, &format!("g{number}"), 100_000) {
            Ok(_) => {}
            Err(ErrorCode::CoordinatorNotAvailable) => refused += 1,
            Err(error) => panic!("group {number}: {error:?}"),
        }
    }
    assert!((200..280).contains(&refused), "{refused} are refused");
    for number in 0..20 {
        let group = format!("new-{number}").into();
        assert_eq!(commit(&mut wire, &group, &Str::EMPTY, 1), ErrorCode::CoordinatorNotAvailable);
    }
    assert_eq!(heartbeat(&mut wire, "first", first), ErrorCode::None);
    assert!(broker.log().contains("odradek.group.memory.bytes"), "the operator is told");
    let growth = broker.resident_bytes().saturating_sub(before);
    assert!(broker.is_alive() && growth < GROWTH_MAX, "grown by {growth}");
    broker.restart();
    // What a shard has read so far leaves room until it has read the rest.
    while broker.log().matches(" loaded: ").count() < OFFSETS_PARTITIONS {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(commit(&mut broker.connect(), &"new".into(), &Str::EMPTY, 1), ErrorCode::CoordinatorNotAvailable);
}

/// Counts heartbeats of a bystander that are answered while `ask` waits, and asks.
fn served_meanwhile<T>(broker: &Broker, bystander: &(i32, Str), ask: impl FnOnce() -> T) -> (T, usize) {
    let (mut wire, is_over) = (broker.connect(), Arc::new(AtomicBool::new(false)));
    let (bystander, told) = (bystander.clone(), is_over.clone());
    let beating = thread::spawn(move || {
        let (mut beats, mut longest) = (0, Duration::ZERO);
        while !told.load(Ordering::Relaxed) {
            let since = Instant::now();
            assert_eq!(heartbeat(&mut wire, "bystander", bystander.clone()), ErrorCode::None);
            longest = longest.max(since.elapsed());
            beats += 1;
        }
        println!("{beats} beats, the longest took {longest:?}");
        beats
    });
    let answer = ask();
    is_over.store(true, Ordering::Relaxed);
    (answer, beating.join().expect("the bystander stays in its group"))
}

fn not_there(count: usize) -> impl Iterator<Item = Str> {
    (0..count).map(|number| Str::from(format!("nobody-{number}")))
}

/// Number by error code.
fn count(codes: impl IntoIterator<Item = i16>) -> BTreeMap<i16, usize> {
    let mut counts = BTreeMap::new();
    codes.into_iter().for_each(|code| *counts.entry(code).or_default() += 1);
    counts
}

/// One broker of one shard for all: each request would hold it for long.
#[test]
fn others_are_served_during_requests_about_very_many() {
    let (mut broker, mut wire) = broker(&["num.shards=1"]);
    let bystander = found(&mut wire, "bystander", 10).expect("room for one");
    assert_eq!(commit(&mut wire, &"g".into(), &Str::EMPTY, 1), ErrorCode::None);
    let before = broker.resident_bytes();
    let no_topic = ErrorCode::UnknownTopicOrPartition.code();

    let keys = not_there(1_000_000).collect();
    let request = m::FindCoordinatorRequest { coordinator_keys: keys, ..Default::default() };
    let (found, beats) = served_meanwhile(&broker, &bystander, || wire.call(4, &request).coordinators);
    let counts = count(found.iter().map(|coordinator| coordinator.error_code));
    assert!(counts[&0] > 200_000 && counts[&ErrorCode::CoordinatorNotAvailable.code()] > 100_000, "{counts:?}");
    assert!(beats > 10, "{beats} beats while coordinators are looked for");

    let topic = |name| OffsetCommitRequestTopic { name, partitions: vec![Default::default()], ..Default::default() };
    let topics = not_there(400_000).chain(["t".into()]).map(topic).collect();
    let request = m::OffsetCommitRequest { group_id: "g".into(), topics, ..Default::default() };
    let (told, beats) = served_meanwhile(&broker, &bystander, || wire.call(8, &request).topics);
    let counts = count(told.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code));
    assert_eq!(counts, BTreeMap::from([(0, 1), (no_topic, 400_000)]));
    assert!(beats > 10, "{beats} beats during a commit");

    let topic = |name| OffsetDeleteRequestTopic { name, partitions: vec![Default::default()], ..Default::default() };
    let topics = not_there(400_000).chain(["t".into()]).map(topic).collect();
    let request = m::OffsetDeleteRequest { group_id: "g".into(), topics, ..Default::default() };
    let (told, beats) = served_meanwhile(&broker, &bystander, || wire.call(0, &request).topics);
    let counts = count(told.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code));
    assert_eq!(counts, BTreeMap::from([(0, 1), (no_topic, 400_000)]));
    assert!(beats > 10, "{beats} beats while offsets are deleted");

    let topic =
        OffsetFetchRequestTopics { name: "t".into(), partition_indexes: (0..900_000).collect(), ..Default::default() };
    let group = OffsetFetchRequestGroup { group_id: "g".into(), topics: Some(vec![topic]), ..Default::default() };
    let request = m::OffsetFetchRequest { groups: vec![group], ..Default::default() };
    let (fetched, beats) = served_meanwhile(&broker, &bystander, || wire.call(8, &request).groups);
    assert!(fetched[0].topics.len() == 1 && fetched[0].topics[0].partitions.len() == 900_000);
    assert!(beats > 10, "{beats} beats while offsets are fetched");

    let member = |member_id| MemberIdentity { member_id, ..Default::default() };
    let members = not_there(400_000).map(member).collect();
    let request = m::LeaveGroupRequest { group_id: "bystander".into(), members, ..Default::default() };
    let (left, beats) = served_meanwhile(&broker, &bystander, || wire.call(4, &request));
    assert_eq!((left.error_code, left.members.len()), (0, 400_000));
    assert!(beats > 10, "{beats} beats while members leave");

    let groups_names = not_there(400_000).collect();
    let request = m::DeleteGroupsRequest { groups_names, ..Default::default() };
    let (deleted, beats) = served_meanwhile(&broker, &bystander, || wire.call(2, &request).results);
    assert_eq!(deleted.len(), 400_000);
    assert!(beats > 10, "{beats} beats while groups are deleted");

    let request = m::ListGroupsRequest { states_filter: not_there(900_000).collect(), ..Default::default() };
    let (listed, beats) = served_meanwhile(&broker, &bystander, || wire.call(5, &request).groups);
    assert!(listed.is_empty() && beats > 3, "{beats} beats while groups are listed");

    assert_eq!(heartbeat(&mut wire, "bystander", bystander), ErrorCode::None);
    let growth = broker.resident_bytes().saturating_sub(before);
    assert!(broker.is_alive() && growth < 2 * GROWTH_MAX, "grown by {growth}");
}

#[test]
fn assignments_and_partitions_without_end_are_refused() {
    let (mut broker, mut wire) = broker(&[]);
    let (generation_id, member_id) = found(&mut wire, "bystander", 10).expect("room for one");
    let given = |member_id| SyncGroupRequestAssignment { member_id, ..Default::default() };
    let request = m::SyncGroupRequest {
        group_id: "bystander".into(),
        generation_id,
        member_id: member_id.clone(),
        assignments: not_there(500_000).map(given).collect(),
        ..Default::default()
    };
    assert_eq!(error(wire.call(3, &request).error_code), ErrorCode::UnknownServerError);
    let owned =
        TopicPartitions { topic_id: Uuid::new_v4(), partitions: (0..1_000_000).collect(), ..Default::default() };
    let request = m::ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: Uuid::new_v4().to_string().into(),
        member_epoch: 1,
        rebalance_timeout_ms: -1,
        topic_partitions: Some(vec![owned]),
        ..Default::default()
    };
    assert_eq!(error(wire.call(1, &request).error_code), ErrorCode::InvalidRequest);
    assert_eq!(heartbeat(&mut wire, "bystander", (generation_id, member_id)), ErrorCode::None);
    assert!(broker.is_alive());
}
