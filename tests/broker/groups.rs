//! Groups of a client from the field, and committed offsets over restarts.

use crate::batches::{batch, produce};
use crate::harness::Broker;
use crate::wire::Wire;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::describe_configs_request::DescribeConfigsResource;
use odradek_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use odradek_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use odradek_protocol::messages::{
    DescribeConfigsRequest, DescribeGroupsRequest, FindCoordinatorRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetFetchRequest,
};
use odradek_shards::record::Codec;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Message};
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

const PARTITIONS: i32 = 4;
/// Consumers of KIP-848 hear of changes by their heartbeats.
const HEARTBEATS_MIN: &str = "group.consumer.min.heartbeat.interval.ms=200";
const HEARTBEATS: &str = "group.consumer.heartbeat.interval.ms=200";
const PATIENCE: Duration = Duration::from_secs(30);

fn broker() -> Broker {
    let broker = Broker::start_with(&[
        "group.initial.rebalance.delay.ms=0",
        "offsets.topic.num.partitions=5",
        HEARTBEATS_MIN,
        HEARTBEATS,
    ]);
    broker.create_topic("t", PARTITIONS);
    broker
}

fn fill(broker: &Broker, from: usize, to: usize) {
    let mut wire = broker.connect();
    for number in from..to {
        let partition = i32::try_from(number).expect("a small number") % PARTITIONS;
        produce(&mut wire, "t", partition, batch(Codec::None, &[&number.to_string()]));
    }
}

fn consumer(broker: &Broker, more: &[(&str, &str)]) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker.bootstrap())
        .set("group.id", "readers")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest");
    more.iter().for_each(|(key, value)| {
        config.set(*key, *value);
    });
    let consumer: BaseConsumer = config.create().expect("settings librdkafka knows");
    consumer.subscribe(&["t"]).expect("a topic");
    consumer
}

fn number(message: &rdkafka::message::BorrowedMessage<'_>) -> usize {
    std::str::from_utf8(message.payload().expect("a value")).expect("text").parse().expect("a number")
}

/// Polls until `count` records have come.
fn read(consumer: &BaseConsumer, count: usize) -> BTreeSet<usize> {
    let since = Instant::now();
    let mut found = BTreeSet::new();
    while found.len() < count {
        assert!(since.elapsed() < PATIENCE, "only {} of {count} records came", found.len());
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            found.insert(number(&message.expect("no error")));
        }
    }
    found
}

#[test]
fn a_group_goes_on_where_it_committed_after_restart_and_crash() {
    let mut broker = broker();
    fill(&broker, 0, 100);
    {
        let reader = consumer(&broker, &[]);
        assert_eq!(read(&reader, 100), (0..100).collect());
        reader.commit_consumer_state(CommitMode::Sync).expect("a commit");
    }
    broker.restart();
    fill(&broker, 100, 120);
    {
        let reader = consumer(&broker, &[]);
        assert_eq!(read(&reader, 20), (100..120).collect());
        reader.commit_consumer_state(CommitMode::Sync).expect("a commit");
    }
    broker.kill();
    broker.restart();
    fill(&broker, 120, 130);
    assert_eq!(read(&consumer(&broker, &[]), 10), (120..130).collect());
}

fn share_the_work(settings: &[(&str, &str)]) {
    let broker = broker();
    let readers = [consumer(&broker, settings), consumer(&broker, settings)];
    let since = Instant::now();
    loop {
        assert!(since.elapsed() < PATIENCE, "the work is not shared");
        readers.iter().for_each(|reader| drop(reader.poll(Duration::from_millis(50))));
        let held = readers.each_ref().map(|reader| reader.assignment().expect("an assignment").count());
        if held == [2, 2] {
            break;
        }
    }
    fill(&broker, 0, 40);
    let mut found = BTreeSet::new();
    while found.len() < 40 {
        assert!(since.elapsed() < 2 * PATIENCE, "only {} records came", found.len());
        for reader in &readers {
            if let Some(message) = reader.poll(Duration::from_millis(20)) {
                assert!(found.insert(number(&message.expect("no error"))), "a record came twice");
            }
        }
    }
}

#[test]
fn two_members_share_the_work_as_the_broker_says() {
    share_the_work(&[("group.protocol", "consumer")]);
}

#[test]
fn a_consumer_group_goes_on_where_it_committed_after_a_restart() {
    let mut broker = broker();
    let more = [("group.protocol", "consumer")];
    fill(&broker, 0, 50);
    {
        let reader = consumer(&broker, &more);
        assert_eq!(read(&reader, 50), (0..50).collect());
        reader.commit_consumer_state(CommitMode::Sync).expect("a commit");
    }
    broker.restart();
    fill(&broker, 50, 60);
    assert_eq!(read(&consumer(&broker, &more), 10), (50..60).collect());
}

#[test]
fn two_members_share_the_work_by_range() {
    share_the_work(&[("partition.assignment.strategy", "range")]);
}

#[test]
fn two_members_share_the_work_cooperatively() {
    share_the_work(&[("partition.assignment.strategy", "cooperative-sticky")]);
}

#[test]
fn the_work_of_a_member_that_leaves_goes_to_the_others() {
    let broker = broker();
    let stays = consumer(&broker, &[]);
    let leaves = consumer(&broker, &[]);
    let since = Instant::now();
    let held = |reader: &BaseConsumer| reader.assignment().expect("an assignment").count();
    while (held(&stays), held(&leaves)) != (2, 2) {
        assert!(since.elapsed() < PATIENCE, "the work is not shared");
        [&stays, &leaves].iter().for_each(|reader| drop(reader.poll(Duration::from_millis(50))));
    }
    drop(leaves);
    while held(&stays) != 4 {
        assert!(since.elapsed() < 2 * PATIENCE, "the work is not taken over");
        drop(stays.poll(Duration::from_millis(50)));
    }
}

fn commit(wire: &mut Wire, group: &str, partition: i32, offset: i64) -> i16 {
    let partition = OffsetCommitRequestPartition {
        partition_index: partition,
        committed_offset: offset,
        committed_metadata: Some("note".into()),
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest { group_id: group.into(), topics: vec![topic], ..Default::default() };
    wire.call(8, &request).topics[0].partitions[0].error_code
}

fn fetch_all(wire: &mut Wire, group: &str) -> Vec<(i32, i64)> {
    let group = OffsetFetchRequestGroup { group_id: group.into(), topics: None, ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
    let mut response = wire.call(8, &request);
    // A broker serves before its coordinators have read what there is.
    while response.groups[0].error_code == ErrorCode::CoordinatorLoadInProgress.code() {
        thread::sleep(Duration::from_millis(1));
        response = wire.call(8, &request);
    }
    assert_eq!(response.groups[0].error_code, 0);
    let partitions = response.groups[0].topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| (partition.partition_index, partition.committed_offset)).collect()
}

fn find(wire: &mut Wire, group: &str) -> i16 {
    let request = FindCoordinatorRequest { coordinator_keys: vec![group.into()], ..Default::default() };
    wire.call(4, &request).coordinators[0].error_code
}

#[test]
fn commits_that_were_acknowledged_outlive_a_crash() {
    let mut broker = broker();
    let mut wire = broker.connect();
    assert_eq!(find(&mut wire, "a"), 0);
    for group in 0..20 {
        assert_eq!(commit(&mut wire, &format!("g{group}"), group % PARTITIONS, i64::from(group)), 0);
    }
    broker.kill();
    broker.restart();
    let mut wire = broker.connect();
    for group in 0..20 {
        assert_eq!(fetch_all(&mut wire, &format!("g{group}")), [(group % PARTITIONS, i64::from(group))]);
    }
}

#[test]
fn no_group_has_a_coordinator_before_it_was_looked_for() {
    let broker = broker();
    let mut wire = broker.connect();
    assert_eq!(commit(&mut wire, "g", 0, 1), ErrorCode::NotCoordinator.code());
    assert_eq!(find(&mut wire, "g"), 0);
    assert_eq!(commit(&mut wire, "g", 0, 1), 0);
    assert_eq!(commit(&mut wire, "g", 99, 1), ErrorCode::UnknownTopicOrPartition.code());
}

#[test]
fn the_topic_of_offsets_is_compacted_and_has_the_configured_segments() {
    let broker = Broker::start_with(&["offsets.topic.num.partitions=3", "offsets.topic.segment.bytes=2000000"]);
    let mut wire = broker.connect();
    assert_eq!(find(&mut wire, "g"), 0);
    let resource = DescribeConfigsResource {
        resource_type: 2,
        resource_name: "__consumer_offsets".into(),
        configuration_keys: None,
    };
    let described = wire.call(4, &DescribeConfigsRequest { resources: vec![resource], ..Default::default() });
    let value = |name: &str| {
        let config = described.results[0].configs.iter().find(|config| config.name.as_str() == name);
        config.and_then(|config| config.value.as_ref().map(ToString::to_string))
    };
    assert_eq!(value("cleanup.policy").as_deref(), Some("compact"));
    assert_eq!(value("segment.bytes").as_deref(), Some("2000000"));
}

#[test]
fn groups_are_listed_and_described() {
    let broker = broker();
    let reader = consumer(&broker, &[]);
    fill(&broker, 0, 1);
    read(&reader, 1);
    let mut wire = broker.connect();
    let states = vec!["stable".into()];
    let listed = wire.call(5, &ListGroupsRequest { states_filter: states, ..Default::default() });
    let groups: Vec<_> =
        listed.groups.iter().map(|group| (group.group_id.as_str(), group.group_type.as_str())).collect();
    assert_eq!(groups, [("readers", "classic")]);
    let request = DescribeGroupsRequest { groups: vec!["readers".into()], ..Default::default() };
    let described = wire.call(6, &request);
    let group = &described.groups[0];
    assert_eq!((group.group_state.as_str(), group.protocol_data.as_str()), ("Stable", "range"));
    assert_eq!((group.members.len(), group.members[0].client_host.as_str()), (1, "/127.0.0.1"));
}
