//! Log directories of brokers (KIP-858): those that fail, and which of them each replica lies in.

use super::brokers::check_epoch;
use super::leadership::changes_as_directory_fails;
use super::request::ControllerReply;
use super::result::Decision;
use super::state::State;
use crate::metadata::cluster::BrokerRegistration;
use crate::metadata::topics::{DIRECTORIES_RESERVED, PartitionImage};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::assign_replicas_to_dirs_response::{DirectoryData, PartitionData, TopicData};
use odradek_protocol::messages::{AssignReplicasToDirsRequest, AssignReplicasToDirsResponse};
use odradek_protocol::records::metadata::{BrokerRegistrationChangeRecord, MetadataRecord, PartitionChangeRecord};
use odradek_shards::types::{NodeId, PartitionIndex, TopicId};
use uuid::Uuid;

/// What a heartbeat's `OfflineLogDirs` changes: the partitions there lose this replica, and the broker the directories.
pub(super) fn changes_as_directories_fail(
    state: &State,
    broker: &BrokerRegistration,
    offline: &[Uuid],
) -> Vec<MetadataRecord> {
    let failed: Vec<Uuid> = broker.log_dirs.iter().copied().filter(|dir| offline.contains(dir)).collect();
    let left: Vec<Uuid> = broker.log_dirs.iter().copied().filter(|dir| !offline.contains(dir)).collect();
    if failed.is_empty() || !state.image().features().records_directories() {
        return Vec::new();
    }
    let mut records: Vec<_> =
        failed.iter().flat_map(|dir| changes_as_directory_fails(state, broker.id, *dir)).collect();
    let change = BrokerRegistrationChangeRecord {
        broker_id: broker.id.0,
        broker_epoch: broker.epoch,
        log_dirs: left,
        ..Default::default()
    };
    records.push(change.into());
    records
}

/// AssignReplicasToDirs: a broker says where its replicas lie.
pub(super) fn assign(state: &State, request: &AssignReplicasToDirsRequest) -> Decision {
    let broker = match check_epoch(state, request.broker_id, request.broker_epoch) {
        Ok(broker) => broker.clone(),
        Err(error) => return Decision::refuse(reply(error, Vec::new())),
    };
    if !state.image().features().records_directories() {
        return Decision::refuse(reply(ErrorCode::UnsupportedVersion, Vec::new()));
    }
    let mut records = Vec::new();
    let mut directories = Vec::with_capacity(request.directories.len());
    for directory in &request.directories {
        let mut topics = Vec::with_capacity(directory.topics.len());
        for topic in &directory.topics {
            let partitions = topic.partitions.iter().map(|partition| {
                let index = PartitionIndex(partition.partition_index);
                let error = match assign_one(state, &broker, directory.id, TopicId(topic.topic_id), index) {
                    Ok(changes) => {
                        records.extend(changes);
                        ErrorCode::None
                    }
                    Err(error) => error,
                };
                PartitionData { partition_index: index.0, error_code: error.code() }
            });
            topics.push(TopicData { topic_id: topic.topic_id, partitions: partitions.collect() });
        }
        directories.push(DirectoryData { id: directory.id, topics });
    }
    Decision::in_parts(records, reply(ErrorCode::None, directories))
}

fn reply(error: ErrorCode, directories: Vec<DirectoryData>) -> ControllerReply {
    let response = AssignReplicasToDirsResponse { error_code: error.code(), directories, ..Default::default() };
    ControllerReply::AssignReplicasToDirs(response)
}

/// The replica's directory, and with it its leader: one that waits for its only replica to be found gets it, and one whose
/// replica turns out to lie in a directory that failed loses it.
fn assign_one(
    state: &State,
    broker: &BrokerRegistration,
    directory: Uuid,
    topic: TopicId,
    index: PartitionIndex,
) -> Result<Vec<MetadataRecord>, ErrorCode> {
    let image = state.image().topics().by_id(topic).ok_or(ErrorCode::UnknownTopicId)?;
    let partition = image.partition(index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let at = partition.replicas.iter().position(|node| *node == broker.id).ok_or(ErrorCode::NotLeaderOrFollower)?;
    if directory.as_u128() < DIRECTORIES_RESERVED {
        return Err(ErrorCode::InvalidRequest);
    }
    let mut after = PartitionImage::clone(partition);
    after.directories.resize(after.replicas.len(), crate::metadata::topics::DIRECTORY_UNASSIGNED);
    if after.directories[at] == directory {
        return Ok(Vec::new());
    }
    after.directories[at] = directory;
    let mut change = settle(state, broker, topic, index, &after);
    change.directories = Some(after.directories);
    Ok(vec![change.into()])
}

fn settle(
    state: &State,
    broker: &BrokerRegistration,
    topic: TopicId,
    index: PartitionIndex,
    partition: &PartitionImage,
) -> PartitionChangeRecord {
    let is_online = |node: NodeId| super::leadership::is_online(state, node, partition);
    let without = |isr: &[NodeId]| isr.iter().copied().filter(|node| *node != broker.id).collect();
    let isr = if is_online(broker.id) { partition.isr.clone() } else { without(&partition.isr) };
    let untouched = PartitionChangeRecord { topic_id: topic.0, partition_id: index.0, ..Default::default() };
    super::leadership::change_of(state, topic, index, partition, isr).unwrap_or(untouched)
}
