//! Tells the controller in which log directory each replica of this broker lies (KIP-858), where it does not know yet.

use crate::controller::{Controller, ControllerReply, ControllerRequest};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::AssignReplicasToDirsRequest;
use odradek_protocol::messages::assign_replicas_to_dirs_request::{DirectoryData, PartitionData, TopicData};
use odradek_shards::runtime::{self, sync::Notify};
use odradek_shards::types::{NodeId, TopicPartition};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tracing::warn;
use uuid::Uuid;

/// Partitions of one request, as in Kafka.
const PARTITIONS_MAX: usize = 2250;
const RETRY: Duration = Duration::from_millis(100);

/// What is still to be told.
pub struct Assignments {
    controller: Controller,
    node: NodeId,
    untold: RefCell<BTreeMap<TopicPartition, Uuid>>,
    more: Notify,
}

impl Assignments {
    pub fn new(controller: Controller, node: NodeId) -> Rc<Self> {
        Rc::new(Self { controller, node, untold: RefCell::default(), more: Notify::new() })
    }

    /// The replica lies in this directory. A later word about it replaces this one.
    pub fn add(&self, partition: TopicPartition, directory: Uuid) {
        self.untold.borrow_mut().insert(partition, directory);
        self.more.notify_all();
    }

    /// Tells as the broker of this epoch, as long as the shard runs.
    pub async fn run(self: Rc<Self>, epoch: i64) {
        loop {
            let more = self.more.notified();
            let batch: Vec<_> =
                self.untold.borrow().iter().take(PARTITIONS_MAX).map(|(partition, dir)| (*partition, *dir)).collect();
            if batch.is_empty() {
                more.await;
                continue;
            }
            match self.tell(epoch, &batch).await {
                Ok(()) => self.told(&batch),
                Err(error) => {
                    warn!("the controller was not told where {} replicas lie: {}", batch.len(), error.name());
                    runtime::sleep(RETRY).await;
                }
            }
        }
    }

    fn told(&self, batch: &[(TopicPartition, Uuid)]) {
        let mut untold = self.untold.borrow_mut();
        for (partition, directory) in batch {
            if untold.get(partition) == Some(directory) {
                untold.remove(partition);
            }
        }
    }

    /// What single partitions are refused for is no longer true of them: they are gone.
    async fn tell(&self, epoch: i64, batch: &[(TopicPartition, Uuid)]) -> Result<(), ErrorCode> {
        let request = request(self.node, epoch, batch);
        match self.controller.call(ControllerRequest::AssignReplicasToDirs(request)).await {
            ControllerReply::AssignReplicasToDirs(reply) if reply.error_code == 0 => Ok(()),
            ControllerReply::AssignReplicasToDirs(reply) => Err(ErrorCode::from_code(reply.error_code)),
            _ => Err(ErrorCode::NotController),
        }
    }

    /// Tells of one partition now.
    ///
    /// # Errors
    /// The controller's, and nothing was recorded.
    pub async fn tell_one(&self, epoch: i64, partition: TopicPartition, directory: Uuid) -> Result<(), ErrorCode> {
        let request = request(self.node, epoch, &[(partition, directory)]);
        match self.controller.call(ControllerRequest::AssignReplicasToDirs(request)).await {
            ControllerReply::AssignReplicasToDirs(reply) => {
                let of_partition = reply.directories.iter().flat_map(|dir| &dir.topics).flat_map(|t| &t.partitions);
                let codes = std::iter::once(reply.error_code).chain(of_partition.map(|partition| partition.error_code));
                codes.filter(|code| *code != 0).map(ErrorCode::from_code).next().map_or(Ok(()), Err)
            }
            _ => Err(ErrorCode::NotController),
        }
    }
}

fn request(node: NodeId, epoch: i64, batch: &[(TopicPartition, Uuid)]) -> AssignReplicasToDirsRequest {
    let mut directories: BTreeMap<Uuid, BTreeMap<Uuid, Vec<PartitionData>>> = BTreeMap::new();
    for (partition, directory) in batch {
        let topics = directories.entry(*directory).or_default();
        let data = PartitionData { partition_index: partition.partition.0 };
        topics.entry(partition.topic.0).or_default().push(data);
    }
    let topics = |topics: BTreeMap<Uuid, Vec<PartitionData>>| {
        topics.into_iter().map(|(topic_id, partitions)| TopicData { topic_id, partitions }).collect()
    };
    let directories = directories.into_iter().map(|(id, of_dir)| DirectoryData { id, topics: topics(of_dir) });
    AssignReplicasToDirsRequest { broker_id: node.0, broker_epoch: epoch, directories: directories.collect() }
}
