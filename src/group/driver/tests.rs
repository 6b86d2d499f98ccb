use super::*;
use odradek_protocol::messages::OffsetCommitRequest;
use odradek_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use odradek_protocol::records::metadata::{MetadataRecord, PartitionRecord, TopicRecord};
use odradek_shards::log::LogConfig;
use odradek_shards::mailbox::Mesh;
use odradek_shards::message::{Acks, AppendPart, LogDirIndex, OpenPartition, PartitionChange};
use odradek_shards::record::{BatchBuilder, NewRecord};
use odradek_shards::runtime::memory::Disk;
use odradek_shards::runtime::simulation::simulate;
use odradek_shards::runtime::{Directory, sleep, yield_now};
use odradek_shards::shard::{Settings, Shard};
use odradek_shards::types::{LeaderEpoch, Offset, Timestamp, TopicId};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use uuid::Uuid;

const NODE: NodeId = NodeId(1);
/// What is read, and where groups live.
const TOPICS: [(&str, u128); 2] = [("t", 7), (TOPIC, 8)];

/// One shard on a disk in memory, coordinators on it.
struct World {
    image: Arc<Image>,
    config: Arc<BrokerConfig>,
    shards: Shards,
    groups: Groups,
}

fn place(topic: u128) -> TopicPartition {
    TopicPartition { topic: TopicId(Uuid::from_u128(topic)), partition: PartitionIndex(0) }
}

fn image() -> Arc<Image> {
    let mut replayer = crate::metadata::Replayer::new(Arc::default());
    for (name, id) in TOPICS {
        let topic_id = Uuid::from_u128(id);
        let topic = TopicRecord { name: name.into(), topic_id };
        replayer.replay(&MetadataRecord::Topic(topic)).expect("a new topic");
        let partition =
            PartitionRecord { topic_id, partition_id: 0, leader: NODE.0, leader_epoch: 0, ..Default::default() };
        replayer.replay(&MetadataRecord::Partition(partition)).expect("a new partition");
    }
    replayer.end_batch(crate::metadata::Provenance { offset: Offset(1), ..Default::default() });
    replayer.publish().expect("a batch has ended").1
}

impl World {
    async fn new() -> Self {
        let disk = Disk::new(1);
        let shard = Shard::new(Settings::new(ShardId(0), vec![Directory::memory(&disk)]));
        for (name, id) in TOPICS {
            let open = PartitionChange::Open(OpenPartition {
                partition: place(id),
                topic: name.into(),
                log_dir: LogDirIndex(0),
                config: Arc::new(LogConfig::default()),
                leader_epoch: LeaderEpoch(0),
                clean: true,
                recovery_point: Offset::ZERO,
                log_start: Offset::ZERO,
                cleaned: Offset::ZERO,
                promote: None,
                future: None,
            });
            let changed = shard.submit_local(message::Request::Change(vec![open])).await;
            assert!(matches!(changed, message::Reply::Change(results) if results[0].is_ok()));
        }
        let port = Mesh::new(1).pop().expect("one per shard").attach();
        let shards = Shards::new(shard, Rc::new(port), 1);
        let groups = mesh(1).pop().expect("one per shard").attach(NODE);
        groups.open(shards.clone());
        let world = Self { image: image(), config: Arc::new(BrokerConfig::for_tests("")), shards, groups };
        world.publish();
        world
    }

    async fn produce(&self, count: usize) {
        let mut builder = BatchBuilder::new();
        for _ in 0..count {
            builder.append(&NewRecord { timestamp: Timestamp(1), key: None, value: Some(b"x"), headers: &[] });
        }
        let part = AppendPart {
            partition: place(TOPICS[0].1),
            batch: builder.build(),
            leader_epoch_expected: None,
            acks: Acks::All,
        };
        let appended = self.shards.call(ShardId(0), message::Request::Append { parts: vec![part] }).await;
        assert!(matches!(appended, message::Reply::Append(results) if results[0].is_ok()));
    }

    async fn commit(&self, group: &str, offset: i64) -> ErrorCode {
        let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
        let topic = OffsetCommitRequestTopic {
            name: TOPICS[0].0.into(),
            topic_id: Uuid::from_u128(TOPICS[0].1),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = OffsetCommitRequest { group_id: group.into(), topics: vec![topic], ..Default::default() };
        let request = Request::CommitOffsets { version: 8, request: Arc::new(request) };
        match self.groups.ask((&self.image, &self.config), group, request).await {
            Reply::CommitOffsets(response) => ErrorCode::from_code(response.topics[0].partitions[0].error_code),
            other => panic!("a commit is answered by {other:?}"),
        }
    }

    /// When its coordinator has read its partition.
    async fn commit_at_last(&self, group: &str, offset: i64) {
        let mut told = ErrorCode::CoordinatorLoadInProgress;
        while told == ErrorCode::CoordinatorLoadInProgress {
            sleep(Duration::from_millis(1)).await;
            told = self.commit(group, offset).await;
        }
        assert_eq!(told, ErrorCode::None);
    }

    fn publish(&self) {
        let (image, config) = (self.image.clone(), self.config.clone());
        self.groups.publish(&Scene {
            image,
            config,
            changed_topics: Arc::new([]),
            deleted_topics: Arc::new([]),
            brokers_changed: false,
        });
    }

    async fn lags(&self) -> Vec<(String, i64)> {
        let lags = self.groups.lags(&self.image, &self.shards).await;
        assert!(!lags.is_cut);
        lags.lags.iter().map(|lag| (lag.group.to_string(), lag.records())).collect()
    }
}

#[test]
fn lags_follow_what_is_produced_and_committed() {
    simulate(1, async {
        let world = World::new().await;
        assert_eq!(world.lags().await, []);
        world.produce(5).await;
        world.commit_at_last("a", 2).await;
        world.commit_at_last("b", 5).await;
        assert_eq!(world.lags().await, [("a".into(), 3), ("b".into(), 0)]);
        world.produce(2).await;
        assert_eq!(world.lags().await, [("a".into(), 5), ("b".into(), 2)]);
        world.commit_at_last("a", 7).await;
        assert_eq!(world.lags().await, [("a".into(), 0), ("b".into(), 2)]);
    });
}

#[test]
fn a_coordinator_that_begins_anew_knows_what_was_committed() {
    simulate(1, async {
        let world = World::new().await;
        world.produce(5).await;
        world.commit_at_last("a", 2).await;
        world.groups.close();
        assert_eq!(world.commit("a", 3).await, ErrorCode::NotCoordinator);
        world.publish();
        world.commit_at_last("b", 1).await;
        assert_eq!(world.lags().await, [("a".into(), 3), ("b".into(), 4)]);
    });
}

#[test]
fn a_coordinator_that_begins_anew_waits_for_what_the_one_before_was_writing() {
    for seed in 0..20 {
        simulate(seed, async {
            let world = World::new().await;
            world.produce(5).await;
            world.commit_at_last("a", 2).await;
            let mut commit = pin!(world.commit("a", 4));
            assert!(futures_util::poll!(commit.as_mut()).is_pending());
            for _ in 0..seed % 5 {
                yield_now().await;
            }
            world.groups.close();
            world.publish();
            let told = commit.await;
            world.commit_at_last("b", 5).await;
            let lags = world.lags().await;
            assert!(told != ErrorCode::None || lags[0] == ("a".into(), 1));
            world.groups.close();
            world.publish();
            world.commit_at_last("b", 5).await;
            assert_eq!(world.lags().await, lags, "seed {seed}: the log says the same");
        });
    }
}

#[test]
fn a_commit_too_large_for_a_batch_is_refused_and_the_next_is_not() {
    simulate(1, async {
        let world = World::new().await;
        world.commit_at_last("a", 2).await;
        let partition = OffsetCommitRequestPartition { committed_offset: 1, ..Default::default() };
        let topic = OffsetCommitRequestTopic {
            name: TOPICS[0].0.into(),
            partitions: vec![partition; 100_000],
            ..Default::default()
        };
        let request = OffsetCommitRequest { group_id: "a".into(), topics: vec![topic], ..Default::default() };
        let request = Request::CommitOffsets { version: 8, request: Arc::new(request) };
        let reply = world.groups.ask((&world.image, &world.config), "a", request).await;
        let Reply::CommitOffsets(response) = reply else { panic!("a commit is answered by {reply:?}") };
        let codes = response.topics[0].partitions.iter().map(|partition| partition.error_code);
        assert!(
            codes.clone().count() == 100_000
                && codes.into_iter().all(|code| code == ErrorCode::UnknownServerError.code())
        );
        assert_eq!(world.commit("a", 3).await, ErrorCode::None);
    });
}
