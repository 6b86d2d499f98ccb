use super::*;
use crate::metadata::cluster::VersionRange;
use crate::metadata::topics::DIRECTORY_UNASSIGNED;
use crate::metadata::{Provenance, ResourceType};
use bytes::Bytes;
use odradek_protocol::records::metadata::{
    AbortTransactionRecord, BeginTransactionRecord, BrokerRegistrationChangeRecord, ConfigRecord, EndTransactionRecord,
    FeatureLevelRecord, PartitionChangeRecord, PartitionRecord, RegisterBrokerRecord, RemoveTopicRecord, TopicRecord,
};
use odradek_shards::record::batches;
use odradek_shards::types::{LeaderEpoch, Offset, PartitionIndex, ProducerId, Timestamp};
use uuid::Uuid;

/// The metadata log of a Kafka 4.3.1 node after two starts, some administration and two stops.
const KAFKA_LOG: &str = include_str!("kafka/log.hex");

fn kafka_log() -> Bytes {
    let digits: Vec<u8> = KAFKA_LOG.bytes().filter_map(|d| char::from(d).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The values of its data batches, with each batch's last record.
fn kafka_values() -> Vec<(Provenance, Vec<Bytes>)> {
    let log = kafka_log();
    let batches = batches(&log).map(Result::unwrap);
    let values = batches.map(|batch| {
        let header = batch.header;
        let last =
            Provenance { offset: header.last_offset(), epoch: header.leader_epoch, timestamp: header.max_timestamp };
        let records = batch.records(1 << 20).map(|record| record.unwrap().value.unwrap());
        (last, if header.attributes.is_control() { Vec::new() } else { records.collect() })
    });
    values.collect()
}

fn replayed() -> (Replayer, Arc<Image>) {
    let mut replayer = Replayer::new(Arc::default());
    for (last, values) in kafka_values() {
        for value in values {
            replayer.replay(&MetadataRecord::decode_value(value).unwrap()).unwrap();
        }
        replayer.end_batch(last);
    }
    let image = replayer.publish().unwrap().1;
    (replayer, image)
}

#[test]
fn kafkas_log_replays_into_the_cluster_it_describes() {
    let (_, image) = replayed();
    assert_eq!((image.offset(), image.epoch()), (Offset(44), LeaderEpoch(2)));
    assert_eq!(image.features().metadata_version(), 30);
    assert_eq!(image.features().level("transaction.version"), 2);
    let names: Vec<&str> = image.topics().iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!(names, ["foo"]);
    let partition = image.topics().by_name("foo").unwrap().partition(PartitionIndex(1)).unwrap();
    assert_eq!((partition.replicas.clone(), partition.elr.clone()), (vec![NodeId(1)], vec![NodeId(1)]));
    assert_eq!((partition.leader, partition.leader_epoch, partition.partition_epoch), (NodeId(-1), LeaderEpoch(3), 3));
    let broker = image.cluster().broker(NodeId(1)).unwrap();
    assert_eq!((broker.epoch, broker.fenced, broker.in_controlled_shutdown), (31, true, true));
    assert_eq!(broker.listener("PLAINTEXT").unwrap().port, 29692);
    assert_eq!(broker.features["metadata.version"], VersionRange { min: 7, max: 30 });
    assert_eq!(partition.directories, broker.log_dirs);
    assert_eq!(image.configs().of(ResourceType::Topic, "foo")["retention.ms"], "1000");
    assert_eq!(image.configs().of(ResourceType::Broker, "")["min.insync.replicas"], "2");
    assert_eq!(image.configs().of(ResourceType::Group, "g")["consumer.session.timeout.ms"], "50000");
    assert_eq!(image.producer_ids().next(), ProducerId(1000));
    assert_eq!(image.kept().len(), 3, "a credential, a quota and an ACL");
    assert!(image.cluster().controller(NodeId(1)).is_some());
}

#[test]
fn every_record_of_kafkas_log_is_written_back_byte_for_byte() {
    for (_, values) in kafka_values() {
        for value in values {
            let record = MetadataRecord::decode_value(value.clone()).unwrap();
            let version = i16::from(value[2]);
            assert_eq!(record.encode_value(version).unwrap(), value, "{record:?}");
        }
    }
}

#[test]
fn the_same_log_gives_the_same_image_and_digest() {
    let (first, second) = (replayed().1, replayed().1);
    assert_eq!(first, second);
    assert_eq!(first.digest(), second.digest());
    assert_ne!(first.digest(), Image::default().digest());
}

#[test]
fn an_image_rebuilt_from_the_records_it_writes_is_the_same() {
    let (_, image) = replayed();
    let mut replayer = Replayer::new(Arc::default());
    image.write(&mut |record| replayer.replay(&record).unwrap());
    replayer.end_batch(image.provenance());
    let rebuilt = replayer.publish().unwrap().1;
    assert_eq!(*rebuilt, *image);
}

fn at(offset: i64) -> Provenance {
    Provenance { offset: Offset(offset), epoch: LeaderEpoch(1), timestamp: Timestamp(7) }
}

fn topic(name: &'static str, id: u128) -> MetadataRecord {
    TopicRecord { name: Str::from_static(name), topic_id: Uuid::from_u128(id) }.into()
}

fn partition(id: u128, index: i32, replicas: &[i32]) -> MetadataRecord {
    let record = PartitionRecord {
        partition_id: index,
        topic_id: Uuid::from_u128(id),
        replicas: replicas.to_vec(),
        isr: replicas.to_vec(),
        leader: replicas[0],
        leader_epoch: 0,
        partition_epoch: 0,
        ..Default::default()
    };
    record.into()
}

/// Replays and publishes as one batch.
fn published(replayer: &mut Replayer, offset: i64, records: &[MetadataRecord]) -> Option<(Arc<Delta>, Arc<Image>)> {
    records.iter().for_each(|record| replayer.replay(record).unwrap());
    replayer.end_batch(at(offset));
    replayer.publish()
}

#[test]
fn a_delta_tells_what_changed_for_a_nodes_replicas() {
    let mut replayer = Replayer::new(Arc::default());
    let records = [topic("a", 1), partition(1, 0, &[1]), partition(1, 1, &[2]), topic("b", 2), partition(2, 0, &[1])];
    let (delta, _) = published(&mut replayer, 5, &records).unwrap();
    let here =
        |id: u128, index: i32| TopicPartition { topic: TopicId(Uuid::from_u128(id)), partition: PartitionIndex(index) };
    let changes = delta.local_changes(NodeId(1));
    assert_eq!((changes.added, changes.changed.len(), changes.removed.len()), (vec![here(1, 0), here(2, 0)], 0, 0));
    let moved = PartitionChangeRecord {
        topic_id: Uuid::from_u128(1),
        partition_id: 1,
        replicas: Some(vec![1, 2]),
        ..Default::default()
    };
    let led = PartitionChangeRecord { topic_id: Uuid::from_u128(1), partition_id: 0, leader: 1, ..Default::default() };
    let removed = RemoveTopicRecord { topic_id: Uuid::from_u128(2) };
    let (delta, image) = published(&mut replayer, 8, &[moved.into(), led.into(), removed.into()]).unwrap();
    let changes = delta.local_changes(NodeId(1));
    assert_eq!(changes.added, [here(1, 1)]);
    assert_eq!(changes.changed, [here(1, 0)]);
    assert_eq!(changes.removed, [here(2, 0)]);
    let first = image.topics().partition(here(1, 0)).unwrap();
    assert_eq!((first.leader_epoch, first.partition_epoch), (LeaderEpoch(1), 1));
    assert_eq!(image.topics().partition(here(1, 1)).unwrap().directories, [DIRECTORY_UNASSIGNED; 2]);
    assert_eq!(delta.base().topics().len(), 2, "the image before is untouched");
}

#[test]
fn a_topic_made_and_removed_in_one_delta_was_never_there() {
    let mut replayer = Replayer::new(Arc::default());
    let removed = RemoveTopicRecord { topic_id: Uuid::from_u128(1) };
    let (delta, image) = published(&mut replayer, 3, &[topic("a", 1), partition(1, 0, &[1]), removed.into()]).unwrap();
    assert!(delta.topics().is_empty() && image.topics().is_empty());
}

#[test]
fn nothing_of_an_open_transaction_is_published_and_an_abort_takes_it_back() {
    let mut replayer = Replayer::new(Arc::default());
    let begin = MetadataRecord::from(BeginTransactionRecord::default());
    published(&mut replayer, 1, &[topic("a", 1)]).unwrap();
    assert!(published(&mut replayer, 3, &[begin.clone(), topic("b", 2)]).is_none());
    assert!(replayer.latest().topics().by_name("b").is_some());
    assert!(replayer.settled().topics().by_name("b").is_none());
    let (_, image) = published(&mut replayer, 4, &[AbortTransactionRecord::default().into()]).unwrap();
    assert!(image.topics().by_name("b").is_none());
    published(&mut replayer, 6, &[begin, topic("b", 2)]);
    let (delta, image) = published(&mut replayer, 7, &[EndTransactionRecord {}.into()]).unwrap();
    assert!(image.topics().by_name("b").is_some());
    assert_eq!(delta.topics().changed.len(), 1);
}

#[test]
fn a_batch_without_news_moves_the_offset_alone() {
    let mut replayer = Replayer::new(Arc::default());
    published(&mut replayer, 1, &[topic("a", 1)]).unwrap();
    assert!(replayer.publish().is_none());
    let (delta, image) = published(&mut replayer, 2, &[]).unwrap();
    assert!(delta.is_empty());
    assert_eq!(image.offset(), Offset(2));
}

#[test]
fn records_that_contradict_the_log_are_refused() {
    let mut replayer = Replayer::new(Arc::default());
    replayer.replay(&topic("a", 1)).unwrap();
    let id = |id: u128| TopicId(Uuid::from_u128(id));
    assert_eq!(replayer.replay(&topic("a", 2)), Err(ReplayError::DuplicateTopic(id(2))));
    assert_eq!(replayer.replay(&partition(9, 0, &[1])), Err(ReplayError::UnknownTopic(id(9))));
    let removed = RemoveTopicRecord { topic_id: Uuid::from_u128(9) };
    assert_eq!(replayer.replay(&removed.into()), Err(ReplayError::UnknownTopic(id(9))));
    let change = BrokerRegistrationChangeRecord { broker_id: 4, ..Default::default() };
    assert_eq!(replayer.replay(&change.into()), Err(ReplayError::UnknownBroker(NodeId(4))));
    assert_eq!(replayer.replay(&EndTransactionRecord {}.into()), Err(ReplayError::NoTransaction));
    replayer.replay(&RegisterBrokerRecord { broker_id: 4, broker_epoch: 8, ..Default::default() }.into()).unwrap();
    let stale = BrokerRegistrationChangeRecord { broker_id: 4, broker_epoch: 7, ..Default::default() };
    let error = ReplayError::StaleBrokerEpoch { broker: NodeId(4), current: 8, found: 7 };
    assert_eq!(replayer.replay(&stale.into()), Err(error));
    let level = FeatureLevelRecord { name: Str::from_static("metadata.version"), feature_level: 31 };
    assert_eq!(replayer.replay(&level.into()), Err(ReplayError::UnsupportedMetadataVersion(31)));
}

#[test]
fn a_setting_of_a_kind_from_the_future_is_passed_over() {
    let mut replayer = Replayer::new(Arc::default());
    let record = ConfigRecord { resource_type: 77, name: Str::from_static("k"), ..Default::default() };
    let (delta, _) = published(&mut replayer, 1, &[record.into()]).unwrap();
    assert!(delta.is_empty());
}
