//! Several log directories: where partitions go, and what is served when one cannot be used or fails.

use crate::batches::{batch, fetch, produce, records};
use crate::harness::Broker;
use crate::wire::Wire;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
use odradek_protocol::messages::create_topics_request::CreatableTopic;
use odradek_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use odradek_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use odradek_protocol::messages::metadata_response::MetadataResponsePartition;
use odradek_protocol::messages::{
    AlterReplicaLogDirsRequest, CreateTopicsRequest, DescribeLogDirsRequest, IncrementalAlterConfigsRequest,
    MetadataRequest,
};
use odradek_shards::record::Codec;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TWO: &str = "log.dirs=$DATA/a,$DATA/b";
const STORAGE: i16 = 56;

fn describe(wire: &mut Wire) -> Vec<DescribeLogDirsResult> {
    wire.call(4, &DescribeLogDirsRequest { topics: None }).results
}

/// The partitions of a topic in the directory that the path ends with.
fn partitions(dirs: &[DescribeLogDirsResult], end: &str, topic: &str) -> Vec<i32> {
    let dir = dirs.iter().find(|dir| dir.log_dir.ends_with(end)).expect("every directory is described");
    let topics = dir.topics.iter().filter(|described| described.name.as_str() == topic);
    let mut found: Vec<i32> = topics.flat_map(|topic| &topic.partitions).map(|one| one.partition_index).collect();
    found.sort_unstable();
    found
}

fn metadata(wire: &mut Wire) -> Vec<MetadataResponsePartition> {
    let response = wire.call(12, &MetadataRequest { topics: None, ..Default::default() });
    let topic = response.topics.iter().find(|topic| topic.name.as_deref() == Some("t")).expect("the topic is there");
    let mut partitions = topic.partitions.clone();
    partitions.sort_by_key(|partition| partition.partition_index);
    partitions
}

fn fill(wire: &mut Wire, partitions: i32) {
    for partition in 0..partitions {
        assert_eq!(produce(wire, "t", partition, batch(Codec::None, &["first"])).error_code, 0);
    }
}

/// What Kafka 4.3.1 shows of a partition whose directory is offline.
fn check_offline(wire: &mut Wire, partition: i32) {
    let refused = produce(wire, "t", partition, batch(Codec::None, &["lost"])).error_code;
    assert_eq!((refused, fetch(wire, "t", partition, 0).error_code), (STORAGE, STORAGE));
    let shown = &metadata(wire)[partition as usize];
    assert_eq!(shown.error_code, ErrorCode::LeaderNotAvailable.code());
    assert_eq!((shown.leader_id, &shown.isr_nodes[..], &shown.offline_replicas[..]), (-1, &[][..], &[1][..]));
}

fn check_served(wire: &mut Wire, partition: i32) {
    assert_eq!(records(&fetch(wire, "t", partition, 0))[0], (0, "first".to_owned()));
    assert_eq!(produce(wire, "t", partition, batch(Codec::None, &["next"])).error_code, 0);
}

#[test]
fn partitions_go_where_there_are_fewest_and_are_found_again() {
    let mut broker = Broker::start_with(&[TWO]);
    broker.create_topic("t", 3);
    broker.create_topic("u", 3);
    let mut wire = broker.connect();
    fill(&mut wire, 3);
    let before = describe(&mut wire);
    let count = |end| partitions(&before, end, "t").len() + partitions(&before, end, "u").len();
    assert_eq!((count("/a"), count("/b")), (3, 3));
    assert!(
        before.iter().all(|dir| dir.error_code == 0 && dir.total_bytes >= dir.usable_bytes && dir.usable_bytes > 0)
    );
    broker.kill();
    broker.restart();
    let mut wire = broker.connect();
    (0..3).for_each(|partition| check_served(&mut wire, partition));
    assert_eq!(partitions(&describe(&mut wire), "/b", "t"), partitions(&before, "/b", "t"));
}

#[test]
fn a_directory_that_cannot_be_used_at_start_does_not_keep_the_others_from_serving() {
    let mut broker = Broker::start_with(&[TWO]);
    broker.create_topic("t", 4);
    let mut wire = broker.connect();
    fill(&mut wire, 4);
    let before = describe(&mut wire);
    let [here, gone] = ["/a", "/b"].map(|end| partitions(&before, end, "t"));
    broker.kill();
    let (there, away) = (broker.data().join("b"), broker.data().join("away"));
    fs::rename(&there, &away).unwrap();
    fs::write(&there, "").unwrap();
    broker.restart();
    assert!(broker.log().contains("/b: ") && broker.log().contains("its partitions are offline"), "{}", broker.log());
    let mut wire = broker.connect();
    here.iter().for_each(|partition| check_served(&mut wire, *partition));
    gone.iter().for_each(|partition| check_offline(&mut wire, *partition));
    let dirs = describe(&mut wire);
    let offline = dirs.iter().find(|dir| dir.log_dir.ends_with("/b")).unwrap();
    assert_eq!((offline.error_code, offline.total_bytes, offline.usable_bytes), (STORAGE, -1, -1));
    broker.create_topic("u", 2);
    assert_eq!(partitions(&describe(&mut wire), "/a", "u"), [0, 1]);
    fs::remove_file(&there).unwrap();
    fs::rename(&away, &there).unwrap();
    broker.restart();
    let mut wire = broker.connect();
    (0..4).for_each(|partition| check_served(&mut wire, partition));
}

/// Sets `cordoned.log.dirs` of the broker, or deletes what was set.
fn cordon(wire: &mut Wire, value: Option<&str>) -> (i16, Option<String>) {
    const BROKER: i8 = 4;
    let config = AlterableConfig {
        name: "cordoned.log.dirs".into(),
        config_operation: i8::from(value.is_none()),
        value: value.map(Into::into),
        ..Default::default()
    };
    let resource = AlterConfigsResource {
        resource_type: BROKER,
        resource_name: "1".into(),
        configs: vec![config],
        ..Default::default()
    };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let response = wire.call(1, &request).responses.remove(0);
    (response.error_code, response.error_message.map(|message| message.to_string()))
}

/// Until a topic of one partition is made, or refused.
fn await_creation(wire: &mut Wire, name: &str, expected: ErrorCode) {
    let since = Instant::now();
    let mut told = ErrorCode::None;
    while since.elapsed() < Duration::from_secs(20) {
        let topic =
            CreatableTopic { name: name.into(), num_partitions: 1, replication_factor: 1, ..Default::default() };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms: 10_000,
            validate_only: expected != ErrorCode::None,
            ..Default::default()
        };
        told = ErrorCode::from_code(wire.call(7, &request).topics[0].error_code);
        if told == expected {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{name}: {told:?} and not {expected:?}");
}

fn cordoned(wire: &mut Wire) -> Vec<String> {
    let described = wire.call(5, &DescribeLogDirsRequest { topics: None }).results;
    let cordoned = described.iter().filter(|dir| dir.is_cordoned);
    cordoned.map(|dir| dir.log_dir.rsplit('/').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn nothing_is_placed_where_all_directories_are_cordoned_until_one_is_not() {
    let mut broker = Broker::start_with(&[TWO, "cordoned.log.dirs=$DATA/b"]);
    broker.create_topic("t", 3);
    let mut wire = broker.connect();
    assert_eq!(cordoned(&mut wire), ["b"]);
    assert_eq!(partitions(&describe(&mut wire), "/a", "t"), [0, 1, 2]);
    let (code, message) = cordon(&mut wire, Some("/nowhere"));
    assert_eq!(code, ErrorCode::InvalidRequest.code());
    assert!(message.unwrap().ends_with("Missing entries : /nowhere"));
    assert_eq!(cordon(&mut wire, Some("*")).0, 0);
    await_creation(&mut wire, "u", ErrorCode::InvalidReplicationFactor);
    assert_eq!(cordoned(&mut wire).len(), 2);
    (0..3)
        .for_each(|partition| assert_eq!(produce(&mut wire, "t", partition, batch(Codec::None, &["x"])).error_code, 0));
    broker.restart();
    let mut wire = broker.connect();
    // As soon as it serves: the first heartbeat said it.
    let topic = CreatableTopic { name: "u".into(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let refused = wire.call(7, &request).topics.remove(0);
    assert_eq!(refused.error_code, ErrorCode::InvalidReplicationFactor.code());
    let why = refused.error_message.unwrap();
    assert!(why.ends_with("All brokers are currently fenced, or have all their log directories cordoned."), "{why}");
    assert_eq!(cordon(&mut wire, None).0, 0);
    await_creation(&mut wire, "u", ErrorCode::None);
    assert_eq!((cordoned(&mut wire), partitions(&describe(&mut wire), "/a", "u")), (vec!["b".to_owned()], vec![0]));
    assert_eq!(cordon(&mut wire, Some("")).0, 0);
    broker.create_topic("v", 1);
    assert_eq!(partitions(&describe(&mut wire), "/b", "v"), [0]);
    assert!(cordoned(&mut wire).is_empty());
}

#[test]
fn without_the_metadata_logs_directory_the_broker_does_not_start() {
    let mut broker = Broker::start_with(&[TWO]);
    broker.stop();
    let there = broker.data().join("a");
    fs::rename(&there, broker.data().join("away")).unwrap();
    fs::write(&there, "").unwrap();
    let log_dirs = format!("log.dirs={0}/a,{0}/b", broker.data().display());
    let said = refused(&["--override", &log_dirs, "--override", "listeners=PLAINTEXT://127.0.0.1:0"]);
    assert!(said.contains("It holds the metadata log"), "{said}");
}

fn refused(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_odradek")).arg("start").args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An ext4 file system of its own, on a loop device; unmounted when dropped.
struct Volume {
    image: PathBuf,
    path: PathBuf,
}

impl Volume {
    /// None, said, without root or loop devices.
    fn new(name: &str) -> Option<Self> {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let volume = Self { image: root.join("image"), path: root.join("volume") };
        fs::create_dir_all(&volume.path).unwrap();
        fs::File::create(&volume.image).unwrap().set_len(512 << 20).unwrap();
        let made = run("mkfs.ext4", &["-q", volume.image.to_str().unwrap()]) && volume.mount();
        if !made {
            println!("skipped: a failing disk takes root, loop devices and mkfs.ext4");
        }
        made.then_some(volume)
    }

    fn mount(&self) -> bool {
        run("mount", &["-o", "loop", self.image.to_str().unwrap(), self.path.to_str().unwrap()])
    }

    fn unmount(&self) {
        let since = Instant::now();
        while !run("umount", &[self.path.to_str().unwrap()]) && since.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// From now on every access fails, as after a loss of the device.
    fn break_down(&self) {
        const SHUTDOWN: &str = "import fcntl, os, struct, sys\n\
            fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";
        assert!(run("python3", &["-c", SHUTDOWN, self.path.to_str().unwrap()]));
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        self.unmount();
        let _ = fs::remove_dir_all(self.image.parent().unwrap());
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let quiet = || Stdio::null();
    let child = Command::new(program).args(arguments).stdout(quiet()).stderr(quiet()).spawn();
    child.and_then(|mut child: Child| child.wait()).is_ok_and(|status| status.success())
}

#[test]
fn a_directory_that_fails_is_offline_alone_and_loses_nothing_once_repaired() {
    let Some(volume) = Volume::new("failing-log-dir") else { return };
    let log_dirs = format!("log.dirs=$DATA/a,{}/b", volume.path.display());
    let mut broker = Broker::start_with(&[&log_dirs, "num.shards=2"]);
    broker.create_topic("t", 6);
    let mut wire = broker.connect();
    fill(&mut wire, 6);
    let before = describe(&mut wire);
    let [here, gone] = ["/a", "/b"].map(|end| partitions(&before, end, "t"));
    volume.break_down();
    assert_eq!(produce(&mut wire, "t", gone[0], batch(Codec::None, &["x"])).error_code, STORAGE);
    let since = Instant::now();
    while metadata(&mut wire)[gone[0] as usize].leader_id != -1 && since.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(10));
    }
    gone.iter().for_each(|partition| check_offline(&mut wire, *partition));
    here.iter().for_each(|partition| check_served(&mut wire, *partition));
    let dirs = describe(&mut wire);
    assert!(dirs.iter().all(|dir| (dir.error_code == STORAGE) == dir.log_dir.ends_with("/b")));
    let log = broker.log();
    let said = log.lines().filter(|line| line.contains("failed: ") && line.contains("repair the disk")).count();
    assert_eq!(said, 1, "{log}");
    broker.stop();
    volume.unmount();
    assert!(volume.mount());
    broker.restart();
    let mut wire = broker.connect();
    (0..6).for_each(|partition| check_served(&mut wire, partition));
}

#[test]
fn the_broker_ends_when_the_metadata_logs_directory_fails() {
    let Some(volume) = Volume::new("failing-metadata-dir") else { return };
    let log_dirs = format!("log.dirs={}/a,$DATA/b", volume.path.display());
    let mut broker = Broker::start_with(&[&log_dirs]);
    broker.create_topic("t", 2);
    let mut wire = broker.connect();
    fill(&mut wire, 2);
    volume.break_down();
    for partition in 0..2 {
        wire.send(
            crate::batches::PRODUCE,
            &crate::batches::produce_request("t", partition, -1, batch(Codec::None, &["x"])),
        );
    }
    let since = Instant::now();
    while broker.is_alive() && since.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!broker.is_alive(), "it goes on:\n{}", broker.log());
    assert!(
        broker.log().contains("it holds the metadata log") || broker.log().contains("metadata"),
        "{}",
        broker.log()
    );
    drop(broker);
}

fn alter(wire: &mut Wire, path: &str, topic: &str, partition: i32) -> i16 {
    let topics = vec![AlterReplicaLogDirTopic { name: topic.into(), partitions: vec![partition] }];
    let dirs = vec![AlterReplicaLogDir { path: path.into(), topics }];
    let response = wire.call(2, &AlterReplicaLogDirsRequest { dirs });
    assert_eq!(response.results[0].topic_name.as_str(), topic);
    response.results[0].partitions[0].error_code
}

fn wait_until_in(wire: &mut Wire, end: &str, partition: i32) {
    let since = Instant::now();
    while !partitions(&describe(wire), end, "t").contains(&partition) || !is_settled(&describe(wire)) {
        assert!(since.elapsed() < Duration::from_secs(20), "{partition} does not come to {end}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_settled(dirs: &[DescribeLogDirsResult]) -> bool {
    !dirs.iter().flat_map(|dir| &dir.topics).flat_map(|topic| &topic.partitions).any(|one| one.is_future_key)
}

#[test]
fn a_partition_moves_under_load_and_stays_where_it_is_over_a_crash() {
    let mut broker = Broker::start_with(&[TWO]);
    broker.create_topic("t", 2);
    let (mut wire, mut other) = (broker.connect(), broker.connect());
    let paths = ["a", "b"].map(|name| broker.data().join(name).display().to_string());
    let mut count = 0;
    for turn in 0..6 {
        let before = count;
        assert_eq!(alter(&mut other, &paths[turn % 2], "t", 0), 0);
        while count < before + 200 {
            let told = produce(&mut wire, "t", 0, batch(Codec::None, &[&count.to_string()]));
            assert_eq!((told.error_code, told.base_offset), (0, count));
            count += 1;
        }
        wait_until_in(&mut other, ["/a", "/b"][turn % 2], 0);
    }
    broker.kill();
    broker.restart();
    let mut wire = broker.connect();
    assert!(partitions(&describe(&mut wire), "/b", "t").contains(&0));
    let mut found = Vec::new();
    while (found.len() as i64) < count {
        found.extend(records(&fetch(&mut wire, "t", 0, found.len() as i64)));
    }
    assert_eq!(found, (0..count).map(|number| (number, number.to_string())).collect::<Vec<_>>());
}

/// Kafka 4.3.1's answers.
#[test]
fn moves_that_cannot_be_are_refused_with_their_code() {
    let mut broker = Broker::start_with(&[TWO]);
    broker.create_topic("t", 2);
    let mut wire = broker.connect();
    let paths = ["a", "b"].map(|name| broker.data().join(name).display().to_string());
    assert_eq!(alter(&mut wire, "/nowhere", "t", 0), ErrorCode::LogDirNotFound.code());
    assert_eq!(alter(&mut wire, &paths[0], "unknown", 0), ErrorCode::UnknownTopicOrPartition.code());
    assert_eq!(alter(&mut wire, &paths[0], "t", 7), ErrorCode::UnknownTopicOrPartition.code());
    let dirs = describe(&mut wire);
    let [here, gone] = ["/a", "/b"].map(|end| partitions(&dirs, end, "t")[0]);
    assert_eq!(alter(&mut wire, &paths[0], "t", here), 0, "it is there already");
    broker.stop();
    fs::rename(&paths[1], broker.data().join("away")).unwrap();
    fs::write(&paths[1], "").unwrap();
    broker.restart();
    let mut wire = broker.connect();
    assert_eq!(alter(&mut wire, &paths[1], "t", here), STORAGE);
    assert_eq!(alter(&mut wire, &paths[0], "t", gone), ErrorCode::ReplicaNotAvailable.code());
}
