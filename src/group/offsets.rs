//! Committed offsets: of every group, topic and partition, and those of transactions that have not ended.

mod commit;
mod delete;
mod expiry;
mod fetch;

pub use expiry::Round;

use super::record::GroupRecord;
use super::weight::ENTRY_BYTES;
use crate::coordinator::Source;
use odradek_protocol::primitives::Str;
use odradek_protocol::records::group::{OffsetCommitKey, OffsetCommitValue};
use odradek_shards::types::ProducerId;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// By topic and partition.
pub type Topics = BTreeMap<Str, BTreeMap<i32, Committed>>;

/// Where a group is in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: Str,
    /// When it was committed, by our clock, in milliseconds.
    pub committed_ms: i64,
    /// When it expires, if the commit said so (OffsetCommit 2-4).
    pub expires_ms: Option<i64>,
    /// Nil when it was committed by name.
    pub topic_id: Uuid,
    /// Of the record: a later one wins, whichever transaction ends first.
    position: i64,
}

impl Committed {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.metadata.len()
    }

    fn of(value: &OffsetCommitValue, position: i64) -> Self {
        Self {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.detached(),
            committed_ms: value.commit_timestamp,
            expires_ms: Some(value.expire_timestamp).filter(|expires| *expires >= 0),
            topic_id: value.topic_id,
            position,
        }
    }
}

#[derive(Debug, Default)]
pub struct Offsets {
    groups: BTreeMap<Str, Topics>,
    /// By producer and group.
    pending: BTreeMap<ProducerId, BTreeMap<Str, Topics>>,
    /// Producers with pending offsets, by group.
    open: BTreeMap<Str, BTreeSet<ProducerId>>,
    /// What all that takes, about.
    bytes: usize,
}

impl Offsets {
    pub fn of(&self, group: &str) -> Option<&Topics> {
        self.groups.get(group)
    }

    /// What they take in memory, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.groups.get(group)?.get(topic)?.get(&partition)
    }

    /// A transaction that has not ended would move this offset.
    pub fn is_pending(&self, group: &str, topic: &str, partition: i32) -> bool {
        let moves = |producer: &ProducerId| {
            let topics = self.pending.get(producer).and_then(|groups| groups.get(group));
            topics.and_then(|topics| topics.get(topic)).is_some_and(|partitions| partitions.contains_key(&partition))
        };
        self.open.get(group).is_some_and(|producers| producers.iter().any(moves))
    }

    pub fn has_open_transactions(&self, group: &str) -> bool {
        self.open.contains_key(group)
    }

    pub fn replay(&mut self, key: &OffsetCommitKey, value: Option<&OffsetCommitValue>, source: Source) {
        match (value, source.producer) {
            (Some(value), None) => {
                let change = put(&mut self.groups, key, Committed::of(value, source.position));
                self.take(change);
            }
            (Some(value), Some(producer)) => {
                let groups = self.pending.entry(producer).or_default();
                let change = put(groups, key, Committed::of(value, source.position));
                self.take(change);
                self.open.entry(key.group.detached()).or_default().insert(producer);
            }
            (None, _) => self.delete(key),
        }
    }

    fn take(&mut self, (after, before): (usize, usize)) {
        self.bytes = self.bytes + after - before;
    }

    fn delete(&mut self, key: &OffsetCommitKey) {
        self.bytes -= remove(&mut self.groups, key);
        for producer in self.open.get(&key.group).into_iter().flatten() {
            if let Some(groups) = self.pending.get_mut(producer) {
                self.bytes -= remove(groups, key);
            }
        }
    }

    /// The pending offsets of a producer count, or are forgotten.
    pub fn end_transaction(&mut self, producer: ProducerId, committed: bool) {
        let Some(groups) = self.pending.remove(&producer) else { return };
        self.bytes -= weigh(&groups);
        self.open.retain(|_, producers| {
            producers.remove(&producer);
            !producers.is_empty()
        });
        for (group, topics) in groups.into_iter().filter(|_| committed) {
            for (topic, partitions) in topics {
                for (partition, offset) in partitions {
                    let before = self.committed(&group, &topic, partition);
                    if before.is_none_or(|before| before.position < offset.position) {
                        let key = OffsetCommitKey { group: group.clone(), topic: topic.clone(), partition };
                        let change = put(&mut self.groups, &key, offset);
                        self.take(change);
                    }
                }
            }
        }
    }

    /// Records that delete every offset of a group.
    pub fn tombstones(&self, group: &Str) -> Vec<GroupRecord> {
        let pending = self.pending.values().filter_map(|groups| groups.get(group));
        let topics = self.groups.get(group).into_iter().chain(pending);
        let partitions =
            topics.flatten().flat_map(|(topic, partitions)| partitions.keys().map(move |index| (topic, *index)));
        let distinct: BTreeSet<(&Str, i32)> = partitions.collect();
        distinct.into_iter().map(|(topic, partition)| tombstone(group, topic, partition)).collect()
    }
}

fn tombstone(group: &Str, topic: &Str, partition: i32) -> GroupRecord {
    GroupRecord::Offset(OffsetCommitKey { group: group.clone(), topic: topic.clone(), partition }, None)
}

/// What they take then, and what of that they took before.
fn put(groups: &mut BTreeMap<Str, Topics>, key: &OffsetCommitKey, offset: Committed) -> (usize, usize) {
    let mut more = offset.bytes();
    if !groups.contains_key(&key.group) {
        more += ENTRY_BYTES + key.group.len();
        groups.insert(key.group.detached(), Topics::new());
    }
    let topics = groups.get_mut(&key.group).expect("it has just been put there");
    if !topics.contains_key(&key.topic) {
        more += ENTRY_BYTES + key.topic.len();
        topics.insert(key.topic.detached(), BTreeMap::new());
    }
    let partitions = topics.get_mut(&key.topic).expect("it has just been put there");
    let before = partitions.insert(key.partition, offset);
    (more, before.map_or(0, |before| before.bytes()))
}

/// What it makes them take less.
fn remove(groups: &mut BTreeMap<Str, Topics>, key: &OffsetCommitKey) -> usize {
    let Some(topics) = groups.get_mut(&key.group) else { return 0 };
    let Some(partitions) = topics.get_mut(&key.topic) else { return 0 };
    let mut less = partitions.remove(&key.partition).map_or(0, |offset| offset.bytes());
    if partitions.is_empty() {
        less += ENTRY_BYTES + key.topic.len();
        topics.remove(&key.topic);
    }
    if topics.is_empty() {
        less += ENTRY_BYTES + key.group.len();
        groups.remove(&key.group);
    }
    less
}

fn weigh(groups: &BTreeMap<Str, Topics>) -> usize {
    let mut bytes = 0;
    for (group, topics) in groups {
        bytes += ENTRY_BYTES + group.len();
        for (topic, partitions) in topics {
            bytes += ENTRY_BYTES + topic.len() + partitions.values().map(Committed::bytes).sum::<usize>();
        }
    }
    bytes
}

#[cfg(test)]
impl Offsets {
    /// What must hold after every turn.
    pub fn check(&self) {
        let pending: usize = self.pending.values().map(weigh).sum();
        assert_eq!(self.bytes, weigh(&self.groups) + pending, "what offsets take is counted as they change");
    }
}
