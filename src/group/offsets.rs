//! Committed offsets: of every group, topic and partition, and those of transactions that have not ended.

mod commit;
mod delete;
mod expiry;
mod fetch;

pub use expiry::Round;

use super::record::GroupRecord;
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
}

impl Offsets {
    pub fn of(&self, group: &str) -> Option<&Topics> {
        self.groups.get(group)
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
            (Some(value), None) => put(&mut self.groups, key, Committed::of(value, source.position)),
            (Some(value), Some(producer)) => {
                put(self.pending.entry(producer).or_default(), key, Committed::of(value, source.position));
                self.open.entry(key.group.detached()).or_default().insert(producer);
            }
            (None, _) => self.delete(key),
        }
    }

    fn delete(&mut self, key: &OffsetCommitKey) {
        remove(&mut self.groups, key);
        for producer in self.open.get(&key.group).into_iter().flatten() {
            if let Some(groups) = self.pending.get_mut(producer) {
                remove(groups, key);
            }
        }
    }

    /// The pending offsets of a producer count, or are forgotten.
    pub fn end_transaction(&mut self, producer: ProducerId, committed: bool) {
        let Some(groups) = self.pending.remove(&producer) else { return };
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
                        put(&mut self.groups, &key, offset);
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

fn put(groups: &mut BTreeMap<Str, Topics>, key: &OffsetCommitKey, offset: Committed) {
    if !groups.contains_key(&key.group) {
        groups.insert(key.group.detached(), Topics::new());
    }
    let topics = groups.get_mut(&key.group).expect("it has just been put there");
    if !topics.contains_key(&key.topic) {
        topics.insert(key.topic.detached(), BTreeMap::new());
    }
    topics.get_mut(&key.topic).expect("it has just been put there").insert(key.partition, offset);
}

fn remove(groups: &mut BTreeMap<Str, Topics>, key: &OffsetCommitKey) {
    let Some(topics) = groups.get_mut(&key.group) else { return };
    let Some(partitions) = topics.get_mut(&key.topic) else { return };
    partitions.remove(&key.partition);
    if partitions.is_empty() {
        topics.remove(&key.topic);
    }
    if topics.is_empty() {
        groups.remove(&key.group);
    }
}
