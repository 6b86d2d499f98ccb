//! Topics and their partitions: the image every shard reads, and what a delta changed in it.

use super::replay::ReplayError;
use super::shared_map::SharedMap;
use odradek_protocol::primitives::Str;
use odradek_protocol::records::metadata::{
    ClearElrRecord, PartitionChangeRecord, PartitionRecord, RemoveTopicRecord, TopicRecord,
};
use odradek_shards::types::{LeaderEpoch, NodeId, PartitionIndex, TopicId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// `Leader` of a partition that has none.
pub const NO_LEADER: NodeId = NodeId(-1);
/// `Leader` in a partition change that leaves leader and epoch as they are.
const NO_LEADER_CHANGE: i32 = -2;
/// A replica whose log directory no broker has reported yet (KIP-858).
pub const DIRECTORY_UNASSIGNED: Uuid = Uuid::from_u128(1);
/// A replica in a directory that failed before the broker could say which.
pub const DIRECTORY_LOST: Uuid = Uuid::nil();
/// Ids below mean something else than a directory.
pub const DIRECTORIES_RESERVED: u128 = 100;

/// Every topic, by name and by identity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicsImage {
    by_name: SharedMap<Str, Arc<TopicImage>>,
    names: SharedMap<TopicId, Str>,
}

/// One topic. Partitions are numbered from 0 without gaps once its creation is complete.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicImage {
    pub name: Str,
    pub id: TopicId,
    pub partitions: SharedMap<PartitionIndex, Arc<PartitionImage>>,
}

/// Who holds a partition and who leads it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartitionImage {
    pub replicas: Vec<NodeId>,
    /// The log directory of each replica, in the order of `replicas`.
    pub directories: Vec<Uuid>,
    pub isr: Vec<NodeId>,
    pub removing_replicas: Vec<NodeId>,
    pub adding_replicas: Vec<NodeId>,
    /// Replicas outside the ISR that hold every committed record (KIP-966).
    pub elr: Vec<NodeId>,
    pub last_known_elr: Vec<NodeId>,
    /// [`NO_LEADER`] when offline.
    pub leader: NodeId,
    /// 0 recovered, 1 recovering from an unclean election.
    pub leader_recovery_state: i8,
    pub leader_epoch: LeaderEpoch,
    /// Counts every change of this partition; the compare-and-set value of AlterPartition.
    pub partition_epoch: i32,
}

impl PartitionImage {
    pub fn has_leader(&self) -> bool {
        self.leader != NO_LEADER
    }

    /// The log directory of `node`'s replica, if it has one.
    pub fn directory_of(&self, node: NodeId) -> Option<Uuid> {
        let at = self.replicas.iter().position(|&replica| replica == node)?;
        self.directories.get(at).copied()
    }
}

impl TopicImage {
    pub fn partition(&self, index: PartitionIndex) -> Option<&PartitionImage> {
        self.partitions.get(&index).map(AsRef::as_ref)
    }

    /// Partitions in ascending order.
    pub fn partitions(&self) -> impl DoubleEndedIterator<Item = (PartitionIndex, &PartitionImage)> {
        self.partitions.iter().map(|(index, partition)| (*index, partition.as_ref()))
    }

    pub fn partition_count(&self) -> usize {
        self.partitions.len()
    }
}

impl TopicsImage {
    pub fn by_name(&self, name: &str) -> Option<&TopicImage> {
        self.by_name.get(name).map(AsRef::as_ref)
    }

    pub fn by_id(&self, id: TopicId) -> Option<&TopicImage> {
        self.by_name(self.names.get(&id)?)
    }

    pub fn name_of(&self, id: TopicId) -> Option<&Str> {
        self.names.get(&id)
    }

    pub fn partition(&self, of: TopicPartition) -> Option<&PartitionImage> {
        self.by_id(of.topic)?.partition(of.partition)
    }

    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &TopicImage> {
        self.by_name.values().map(AsRef::as_ref)
    }

    /// From the first name at or after `name`, in order; for listings read page by page.
    pub fn from(&self, name: &str) -> impl Iterator<Item = &TopicImage> {
        self.by_name.range_from(name).map(|(_, topic)| topic.as_ref())
    }

    fn topic_mut(&mut self, id: TopicId) -> Result<&mut TopicImage, ReplayError> {
        let name = self.names.get(&id).ok_or(ReplayError::UnknownTopic(id))?;
        let topic = self.by_name.get_mut(name.as_ref()).expect("by_name holds every name of names");
        Ok(Arc::make_mut(topic))
    }
}

/// What one delta did to topics; names stay readable after a deletion.
#[derive(Clone, Debug, Default)]
pub struct TopicsDelta {
    pub changed: BTreeMap<TopicId, TopicDelta>,
    /// The topics as they were before.
    pub deleted: BTreeMap<TopicId, Arc<TopicImage>>,
}

#[derive(Clone, Debug, Default)]
pub struct TopicDelta {
    pub created: bool,
    pub partitions: BTreeSet<PartitionIndex>,
}

impl TopicsDelta {
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.deleted.is_empty()
    }

    pub(super) fn replay_topic(&mut self, image: &mut TopicsImage, record: &TopicRecord) -> Result<(), ReplayError> {
        let id = TopicId(record.topic_id);
        if image.by_name.contains_key(record.name.as_ref()) || image.names.contains_key(&id) {
            return Err(ReplayError::DuplicateTopic(id));
        }
        let topic = TopicImage { name: record.name.clone(), id, partitions: SharedMap::new() };
        image.by_name.insert(record.name.clone(), Arc::new(topic));
        image.names.insert(id, record.name.clone());
        self.changed.entry(id).or_default().created = true;
        Ok(())
    }

    pub(super) fn replay_partition(
        &mut self,
        image: &mut TopicsImage,
        record: &PartitionRecord,
    ) -> Result<(), ReplayError> {
        let id = TopicId(record.topic_id);
        let index = PartitionIndex(record.partition_id);
        let topic = image.topic_mut(id)?;
        topic.partitions.insert(index, Arc::new(PartitionImage::from_record(record)));
        self.touch(id, index);
        Ok(())
    }

    pub(super) fn replay_partition_change(
        &mut self,
        image: &mut TopicsImage,
        record: &PartitionChangeRecord,
    ) -> Result<(), ReplayError> {
        let id = TopicId(record.topic_id);
        let index = PartitionIndex(record.partition_id);
        let unknown = ReplayError::UnknownPartition(TopicPartition { topic: id, partition: index });
        let partition = image.topic_mut(id)?.partitions.get_mut(&index).ok_or(unknown)?;
        Arc::make_mut(partition).merge(record);
        self.touch(id, index);
        Ok(())
    }

    pub(super) fn replay_remove(
        &mut self,
        image: &mut TopicsImage,
        record: &RemoveTopicRecord,
    ) -> Result<Str, ReplayError> {
        let id = TopicId(record.topic_id);
        let name = image.names.remove(&id).ok_or(ReplayError::UnknownTopic(id))?;
        let topic = image.by_name.remove(name.as_ref()).expect("by_name holds every name of names");
        let created_here = self.changed.remove(&id).is_some_and(|delta| delta.created);
        if !created_here {
            self.deleted.insert(id, topic);
        }
        Ok(name)
    }

    /// Forgets eligible leader replicas of one topic, or of all when the name is empty.
    pub(super) fn replay_clear_elr(
        &mut self,
        image: &mut TopicsImage,
        record: &ClearElrRecord,
    ) -> Result<(), ReplayError> {
        let name = record.topic_name.as_ref();
        if !name.is_empty() && image.by_name(name).is_none() {
            return Err(ReplayError::UnknownTopicName(record.topic_name.clone()));
        }
        let holds_elr = |partition: &PartitionImage| !partition.elr.is_empty() || !partition.last_known_elr.is_empty();
        let affected: Vec<_> = image
            .iter()
            .filter(|topic| name.is_empty() || topic.name.as_ref() == name)
            .flat_map(|topic| topic.partitions().filter(|(_, p)| holds_elr(p)).map(|(index, _)| (topic.id, index)))
            .collect();
        for (id, index) in affected {
            let partition = image.topic_mut(id)?.partitions.get_mut(&index).expect("the listing named it");
            let partition = Arc::make_mut(partition);
            partition.elr.clear();
            partition.last_known_elr.clear();
            self.touch(id, index);
        }
        Ok(())
    }

    fn touch(&mut self, id: TopicId, index: PartitionIndex) {
        self.changed.entry(id).or_default().partitions.insert(index);
    }
}

impl PartitionImage {
    fn from_record(record: &PartitionRecord) -> Self {
        let replicas = nodes(&record.replicas);
        let mut directories = record.directories.clone();
        directories.resize(replicas.len(), DIRECTORY_UNASSIGNED);
        Self {
            replicas,
            directories,
            isr: nodes(&record.isr),
            removing_replicas: nodes(&record.removing_replicas),
            adding_replicas: nodes(&record.adding_replicas),
            elr: record.eligible_leader_replicas.as_deref().map(nodes).unwrap_or_default(),
            last_known_elr: record.last_known_elr.as_deref().map(nodes).unwrap_or_default(),
            leader: NodeId(record.leader),
            leader_recovery_state: record.leader_recovery_state,
            leader_epoch: LeaderEpoch(record.leader_epoch),
            partition_epoch: record.partition_epoch,
        }
    }

    /// Applies a change: absent fields stay, a named leader starts a new leader epoch (even the same leader again).
    fn merge(&mut self, change: &PartitionChangeRecord) {
        if let Some(replicas) = &change.replicas {
            self.replace_replicas(nodes(replicas));
        }
        if let Some(directories) = &change.directories {
            self.directories.clone_from(directories);
            self.directories.resize(self.replicas.len(), DIRECTORY_UNASSIGNED);
        }
        replace(&mut self.isr, change.isr.as_deref());
        replace(&mut self.removing_replicas, change.removing_replicas.as_deref());
        replace(&mut self.adding_replicas, change.adding_replicas.as_deref());
        replace(&mut self.elr, change.eligible_leader_replicas.as_deref());
        replace(&mut self.last_known_elr, change.last_known_elr.as_deref());
        if change.leader != NO_LEADER_CHANGE {
            self.leader = NodeId(change.leader);
            self.leader_epoch = LeaderEpoch(self.leader_epoch.0.saturating_add(1));
        }
        if change.leader_recovery_state >= 0 {
            self.leader_recovery_state = change.leader_recovery_state;
        }
        self.partition_epoch = self.partition_epoch.saturating_add(1);
    }

    fn replace_replicas(&mut self, replicas: Vec<NodeId>) {
        let directories =
            replicas.iter().map(|&node| self.directory_of(node).unwrap_or(DIRECTORY_UNASSIGNED)).collect();
        self.directories = directories;
        self.replicas = replicas;
    }

    pub(super) fn to_record(&self, topic: TopicId, index: PartitionIndex) -> PartitionRecord {
        let tagged = |nodes: &[NodeId]| (!nodes.is_empty()).then(|| ids(nodes));
        PartitionRecord {
            partition_id: index.0,
            topic_id: topic.0,
            replicas: ids(&self.replicas),
            isr: ids(&self.isr),
            removing_replicas: ids(&self.removing_replicas),
            adding_replicas: ids(&self.adding_replicas),
            leader: self.leader.0,
            leader_recovery_state: self.leader_recovery_state,
            leader_epoch: self.leader_epoch.0,
            partition_epoch: self.partition_epoch,
            directories: self.directories.clone(),
            eligible_leader_replicas: tagged(&self.elr),
            last_known_elr: tagged(&self.last_known_elr),
        }
    }
}

/// Replica lists as the wire and the records carry them.
pub fn ids(nodes: &[NodeId]) -> Vec<i32> {
    nodes.iter().map(|node| node.0).collect()
}

fn nodes(ids: &[i32]) -> Vec<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

fn replace(current: &mut Vec<NodeId>, change: Option<&[i32]>) {
    if let Some(change) = change {
        *current = nodes(change);
    }
}
