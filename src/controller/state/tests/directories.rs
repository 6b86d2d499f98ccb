use super::*;
use crate::metadata::topics::{DIRECTORY_UNASSIGNED, NO_LEADER, PartitionImage};
use odradek_protocol::messages::assign_replicas_to_dirs_request::{DirectoryData, PartitionData, TopicData};

const A: Uuid = Uuid::from_u128(0xa00);
const B: Uuid = Uuid::from_u128(0xb00);

fn partition(cluster: &Cluster, index: i32) -> PartitionImage {
    let topics = cluster.state.image().topics();
    topics.by_name("foo").unwrap().partition(PartitionIndex(index)).unwrap().clone()
}

fn assign(cluster: &mut Cluster, epoch: i64, index: i32, directory: Uuid) -> Vec<i16> {
    let topic = cluster.state.image().topics().by_name("foo").unwrap().id;
    let topics = vec![TopicData { topic_id: topic.0, partitions: vec![PartitionData { partition_index: index }] }];
    let directories = vec![DirectoryData { id: directory, topics }];
    let request = wire::AssignReplicasToDirsRequest { broker_id: 1, broker_epoch: epoch, directories };
    match cluster.ask(ControllerRequest::AssignReplicasToDirs(request)) {
        ControllerReply::AssignReplicasToDirs(reply) => {
            let told = reply.directories.iter().flat_map(|dir| &dir.topics).flat_map(|topic| &topic.partitions);
            std::iter::once(reply.error_code).chain(told.map(|partition| partition.error_code)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn report(cluster: &mut Cluster, epoch: i64, offline: &[Uuid]) {
    let request = wire::BrokerHeartbeatRequest {
        broker_id: 1,
        broker_epoch: epoch,
        current_metadata_offset: cluster.next_offset.0,
        offline_log_dirs: offline.to_vec(),
        ..Default::default()
    };
    cluster.ask(ControllerRequest::BrokerHeartbeat(request));
}

/// Broker 1 with directories A and B, a topic with a partition in each, and the broker's epoch.
fn cluster() -> (Cluster, i64) {
    let mut cluster = Cluster::new("");
    cluster.log_dirs = Some(vec![A, B]);
    let epoch = cluster.register_and_unfence(1, 11);
    cluster.create(topic("foo", 2, 1));
    assert_eq!(partition(&cluster, 0).directories, [DIRECTORY_UNASSIGNED], "the broker chooses");
    assert_eq!(assign(&mut cluster, epoch, 0, A), [0, 0]);
    assert_eq!(assign(&mut cluster, epoch, 1, B), [0, 0]);
    (cluster, epoch)
}

#[test]
fn where_a_replica_lies_is_recorded_once_and_changes_no_leader() {
    let (mut cluster, epoch) = cluster();
    let now = partition(&cluster, 1);
    assert_eq!((now.directories, now.leader, now.leader_epoch.0), (vec![B], NodeId(1), 0));
    assign(&mut cluster, epoch, 1, B);
    assert!(cluster.last.is_empty(), "it was known");
    assert_eq!(assign(&mut cluster, epoch, 7, B), [0, ErrorCode::UnknownTopicOrPartition.code()]);
    assert_eq!(assign(&mut cluster, epoch - 1, 1, A), [ErrorCode::StaleBrokerEpoch.code()]);
}

/// What Kafka 4.3.1 records when one of two directories fails.
#[test]
fn partitions_of_a_failed_directory_lose_their_leader_and_no_others() {
    let (mut cluster, epoch) = cluster();
    report(&mut cluster, epoch, &[B]);
    let lost = partition(&cluster, 1);
    assert_eq!((lost.leader, lost.isr.len()), (NO_LEADER, 0));
    assert_eq!((lost.elr, lost.last_known_elr), (vec![NodeId(1)], vec![NodeId(1)]));
    assert_eq!(partition(&cluster, 0).leader, NodeId(1));
    assert_eq!(cluster.state.image().cluster().broker(NodeId(1)).unwrap().log_dirs, [A]);
    let order: Vec<_> = cluster.last.iter().map(MetadataRecord::api_key).collect();
    assert_eq!(order, [5, 17], "the partition, then the broker");
    report(&mut cluster, epoch, &[B]);
    assert!(cluster.last.is_empty(), "it was known");
}

#[test]
fn a_start_without_a_directory_leaves_its_partitions_until_it_is_back() {
    let (mut cluster, epoch) = cluster();
    cluster.log_dirs = Some(vec![A]);
    let epoch = cluster.register_and_unfence(1, 12).max(epoch);
    assert_eq!((partition(&cluster, 0).leader, partition(&cluster, 1).leader), (NodeId(1), NO_LEADER));
    cluster.log_dirs = Some(vec![A, B]);
    let back = cluster.register_and_unfence(1, 13);
    assert!(back > epoch);
    assert_eq!((partition(&cluster, 0).leader, partition(&cluster, 1).leader), (NodeId(1), NodeId(1)));
}

#[test]
fn a_replica_made_anew_elsewhere_leads_again() {
    let (mut cluster, _) = cluster();
    cluster.log_dirs = Some(vec![A]);
    let epoch = cluster.register_and_unfence(1, 12);
    assert_eq!(partition(&cluster, 1).leader, NO_LEADER);
    assert_eq!(assign(&mut cluster, epoch, 1, A), [0, 0]);
    assert_eq!((partition(&cluster, 1).leader, partition(&cluster, 1).directories), (NodeId(1), vec![A]));
}
