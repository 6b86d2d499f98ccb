//! Metrics, as Prometheus fetches them.

use crate::batches::{batch, keyed, produce};
use crate::harness::Broker;
use odradek_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use odradek_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use odradek_protocol::messages::{CreateTopicsRequest, FindCoordinatorRequest, OffsetCommitRequest};
use odradek_shards::record::Codec;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

const LISTENER: &str = "odradek.metrics.listener=127.0.0.1:0";
const PATIENCE: Duration = Duration::from_secs(30);

/// The newest start's.
fn address(broker: &Broker) -> String {
    let log = broker.log();
    let (_, rest) = log.rsplit_once("metrics are at http://").expect("the log says where metrics are");
    rest.split('/').next().expect("a URL has a path").to_string()
}

fn ask(broker: &Broker, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address(broker)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn fetch(broker: &Broker) -> String {
    let answer = ask(broker, b"GET /metrics HTTP/1.1\r\nHost: broker\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"), "{head}");
    body.to_string()
}

/// Fetches until a row begins like this, and returns the row.
fn await_row(broker: &Broker, row: &str) -> String {
    let since = Instant::now();
    loop {
        let body = fetch(broker);
        if let Some(found) = body.lines().find(|line| line.starts_with(row)) {
            return found.to_string();
        }
        assert!(since.elapsed() < PATIENCE, "{row} does not come:\n{body}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn commit(broker: &Broker, group: &str, offset: i64) {
    let mut wire = broker.connect();
    let since = Instant::now();
    loop {
        let find = FindCoordinatorRequest { coordinator_keys: vec![group.into()], ..Default::default() };
        let found = wire.call(4, &find).coordinators[0].error_code;
        let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
        let topic = OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
        let request = OffsetCommitRequest {
            group_id: group.into(),
            generation_id_or_member_epoch: -1,
            topics: vec![topic],
            ..Default::default()
        };
        if found == 0 && wire.call(8, &request).topics[0].partitions[0].error_code == 0 {
            return;
        }
        assert!(since.elapsed() < PATIENCE, "the group's coordinator does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn create(broker: &Broker, name: &str, configs: &[(&str, &str)]) {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: (*name).into(),
        value: Some((*value).into()),
        ..Default::default()
    };
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: 1,
        replication_factor: 1,
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    assert_eq!(broker.connect().call(7, &request).topics[0].error_code, 0);
}

#[test]
fn metrics_tell_of_logs_groups_and_what_is_promised_under_kafkas_names() {
    let broker = Broker::start_with(&[LISTENER, "offsets.topic.num.partitions=2"]);
    create(&broker, "t", &[]);
    create(&broker, "loose", &[("odradek.durability", "written")]);
    for value in ["a", "b", "c"] {
        produce(&mut broker.connect(), "t", 0, batch(Codec::None, &[value]));
    }
    commit(&broker, "he said \"g\"", 1);
    await_row(&broker, "kafka_consumergroup_lag{consumergroup=\"he said \\\"g\\\"\",topic=\"t\",partition=\"0\"} 2");
    let body = fetch(&broker);
    for row in [
        "kafka_log_log_logendoffset{topic=\"t\",partition=\"0\"} 3\n",
        "odradek_log_durability{topic=\"t\",partition=\"0\",durability=\"synced\"} 1\n",
        "odradek_log_durability{topic=\"loose\",partition=\"0\",durability=\"written\"} 1\n",
        "kafka_server_replicamanager_leadercount 4\n",
        "kafka_server_replicamanager_underreplicatedpartitions 0\n",
        "kafka_controller_kafkacontroller_globaltopiccount 3\n",
        "kafka_controller_kafkacontroller_activebrokercount 1\n",
        "kafka_log_logmanager_offlinelogdirectorycount 0\n",
        "kafka_server_group_coordinator_metrics_group_count{protocol=\"classic\"} 1\n",
        "odradek_metrics_rows_left_out 0\n",
    ] {
        assert!(body.contains(row), "{row} is not in\n{body}");
    }
}

#[test]
fn damage_that_scrubbing_finds_and_a_log_that_cannot_be_compacted_are_told_with_their_reason() {
    let mut broker = Broker::start_with(&[LISTENER, "odradek.scrub.interval.ms=200", "log.cleaner.backoff.ms=200"]);
    let compact = [("cleanup.policy", "compact"), ("segment.bytes", "1048576"), ("min.cleanable.dirty.ratio", "0.01")];
    create(&broker, "t", &[("segment.bytes", "1048576")]);
    create(&broker, "compacted", &[&compact[..], &[("min.compaction.lag.ms", "3000")]].concat());
    let value = "x".repeat(400 << 10);
    for topic in ["t", "compacted"] {
        for _ in 0..4 {
            produce(&mut broker.connect(), topic, 0, keyed("k", &value));
        }
    }
    broker.stop();
    for topic in ["t-0", "compacted-0"] {
        let path = broker.data().join(topic).join("00000000000000000000.log");
        OpenOptions::new().write(true).open(path).unwrap().write_at(b"y", 200_000).unwrap();
    }
    broker.restart();
    await_row(&broker, "odradek_log_damaged_batches{topic=\"t\",partition=\"0\"} 1");
    let row = await_row(&broker, "odradek_log_cleaner_quarantined{topic=\"compacted\",partition=\"0\",reason=\"");
    assert!(row.contains("checksum") || row.contains("CRC"), "{row}");
    await_row(&broker, "odradek_log_cleaner_retry_seconds{topic=\"compacted\",partition=\"0\"} ");
    assert!(fetch(&broker).contains("kafka_log_logcleanermanager_uncleanable_partitions_count{logDirectory=\""));
    assert!(broker.log().contains("compacted-0 is not compacted"));
}

#[test]
fn what_is_no_request_for_metrics_is_told_so_and_harms_nobody() {
    let broker = Broker::start_with(&[LISTENER]);
    assert!(ask(&broker, b"GET /other HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(ask(&broker, b"PUT /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(ask(&broker, b"\0\0\0\x12\0\x12\r\n\r\n").starts_with("HTTP/1.1 400 "));
    assert!(ask(&broker, &vec![b'x'; 8 << 10]).starts_with("HTTP/1.1 400 "));
    let idle: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(address(&broker)).unwrap()).collect();
    drop(idle);
    await_row(&broker, "kafka_controller_kafkacontroller_activecontrollercount 1");
}
