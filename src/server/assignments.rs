//! Tells the controller in which log directory each replica of this broker lies (KIP-858), where it does not know yet.

use crate::controller::{Controller, ControllerReply, ControllerRequest};
use futures_util::future::select;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::assign_replicas_to_dirs_request::{DirectoryData, PartitionData, TopicData};
use odradek_protocol::messages::{AssignReplicasToDirsRequest, AssignReplicasToDirsResponse};
use odradek_shards::runtime;
use odradek_shards::runtime::sync::{Notify, Receiver, Sender, oneshot};
use odradek_shards::types::{NodeId, TopicPartition};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tracing::warn;
use uuid::Uuid;

/// Partitions of one request, as in Kafka.
const PARTITIONS_MAX: usize = 2250;
const RETRY: Duration = Duration::from_millis(100);
const UNSUPPORTED_RETRY: Duration = Duration::from_mins(1);

/// What is still to be told.
pub struct Assignments {
    controller: Controller,
    node: NodeId,
    untold: RefCell<BTreeMap<TopicPartition, Word>>,
    more: Notify,
}

struct Word {
    directory: Uuid,
    /// Hears whether it is recorded; never a yes without certainty.
    told: Option<Sender<bool>>,
}

impl Assignments {
    pub fn new(controller: Controller, node: NodeId) -> Rc<Self> {
        Rc::new(Self { controller, node, untold: RefCell::default(), more: Notify::new() })
    }

    /// The replica lies in this directory. A later word about it replaces this one.
    pub fn add(&self, partition: TopicPartition, directory: Uuid) {
        self.put(partition, Word { directory, told: None });
    }

    /// The same, and who waits hears what became of it.
    pub fn ask(&self, partition: TopicPartition, directory: Uuid) -> Receiver<bool> {
        let (sender, told) = oneshot();
        self.put(partition, Word { directory, told: Some(sender) });
        told
    }

    fn put(&self, partition: TopicPartition, word: Word) {
        self.untold.borrow_mut().insert(partition, word);
        self.more.notify_all();
    }

    /// Tells as the broker of this epoch, as long as the shard runs.
    pub async fn run(self: Rc<Self>, epoch: i64) {
        loop {
            let more = self.more.notified();
            let batch: Vec<_> = {
                let untold = self.untold.borrow();
                untold.iter().take(PARTITIONS_MAX).map(|(partition, word)| (*partition, word.directory)).collect()
            };
            if batch.is_empty() {
                more.await;
                continue;
            }
            let request = request(self.node, epoch, &batch);
            match self.controller.call(ControllerRequest::AssignReplicasToDirs(request)).await {
                ControllerReply::AssignReplicasToDirs(reply) if reply.error_code == 0 => self.told(&batch, &reply),
                ControllerReply::AssignReplicasToDirs(reply)
                    if reply.error_code == ErrorCode::UnsupportedVersion.code() =>
                {
                    self.refuse();
                    // Whoever raises metadata.version is not in a hurry.
                    select(pin!(runtime::sleep(UNSUPPORTED_RETRY)), more).await;
                }
                _ => {
                    warn!("the controller does not say yet that it knows where {} replicas lie", batch.len());
                    runtime::sleep(RETRY).await;
                }
            }
        }
    }

    /// Nothing can be recorded: who waits need not.
    fn refuse(&self) {
        let mut untold = self.untold.borrow_mut();
        let asked: Vec<_> = untold.extract_if(.., |_, word| word.told.is_some()).collect();
        let left = untold.len();
        drop(untold);
        warn!("metadata.version is below 3.7-IV2: the controller does not record where {left} replicas lie");
        for told in asked.into_iter().filter_map(|(_, word)| word.told) {
            let _ = told.send(false);
        }
    }

    /// What single partitions are refused for is no longer true of them: they are gone.
    fn told(&self, batch: &[(TopicPartition, Uuid)], reply: &AssignReplicasToDirsResponse) {
        let topics = reply.directories.iter().flat_map(|directory| &directory.topics);
        let refused: BTreeSet<_> = topics
            .flat_map(|topic| topic.partitions.iter().map(move |partition| (topic.topic_id, partition)))
            .filter(|(_, partition)| partition.error_code != 0)
            .map(|(topic, partition)| (topic, partition.partition_index))
            .collect();
        for (partition, directory) in batch {
            let mut untold = self.untold.borrow_mut();
            if untold.get(partition).is_some_and(|word| word.directory == *directory)
                && let Some(told) = untold.remove(partition).and_then(|word| word.told)
            {
                let _ = told.send(!refused.contains(&(partition.topic.0, partition.partition.0)));
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use odradek_shards::runtime::simulation::simulate;
    use odradek_shards::types::{PartitionIndex, TopicId};

    fn partition(index: i32) -> TopicPartition {
        TopicPartition { topic: TopicId(Uuid::from_u128(7)), partition: PartitionIndex(index) }
    }

    #[test]
    fn who_asks_a_controller_that_records_no_directories_hears_no() {
        simulate(1, async {
            let controller = crate::controller::mesh(1).remove(0).attach();
            let assignments = Assignments::new(controller, NodeId(1));
            assignments.add(partition(0), Uuid::from_u128(9));
            let told = assignments.ask(partition(1), Uuid::from_u128(9));
            assignments.refuse();
            assert_eq!(told.await, Ok(false));
            assert!(assignments.untold.borrow().contains_key(&partition(0)), "it is told once that is possible");
        });
    }
}
