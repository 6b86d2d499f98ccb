//! What a group subscribes to, and a fingerprint of those topics: when it changes, the group has to be assigned anew.

use super::{ConsumerGroup, Member};
use crate::group::assignor::Topic;
use crate::metadata::Image;
use crate::metadata::topics::TopicImage;
use odradek_protocol::primitives::Str;
use odradek_shards::types::NodeId;
use std::collections::{BTreeMap, BTreeSet};

impl ConsumerGroup {
    /// Names of one member, those its expression matches included.
    pub(super) fn topics_of<'a>(&'a self, member: &'a Member) -> impl Iterator<Item = &'a Str> {
        let matched = member.expression().and_then(|expression| self.regexes.get(expression));
        member.topics.iter().chain(matched.into_iter().flat_map(|resolved| &resolved.topics))
    }

    pub fn subscribed_topics(&self) -> BTreeSet<&Str> {
        self.members.values().flat_map(|member| self.topics_of(member)).collect()
    }

    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.members.values().any(|member| self.topics_of(member).any(|name| name.as_str() == topic))
    }

    /// 0 when none of its topics exists.
    pub(super) fn hash_metadata(&self, image: &Image) -> i64 {
        let topics = self.subscribed_topics().into_iter().filter_map(|name| image.topics().by_name(name));
        let mut hash = None;
        for topic in topics {
            let hash = hash.get_or_insert(Fingerprint::default());
            hash.add(topic.name.as_bytes());
            hash.add(topic.id.0.as_bytes());
            let state = describe(image, topic);
            hash.add(&state.partitions.to_be_bytes());
            for (index, racks) in &state.racks {
                hash.add(&index.to_be_bytes());
                racks.iter().for_each(|rack| hash.add(rack.as_bytes()));
            }
        }
        hash.map_or(0, |hash| hash.0 as i64)
    }
}

/// A topic as assignors see it.
pub(super) fn describe(image: &Image, topic: &TopicImage) -> Topic {
    let rack = |node: &NodeId| image.cluster().broker(*node).and_then(|broker| broker.rack.clone());
    let mut racks = BTreeMap::new();
    for (index, partition) in topic.partitions() {
        let of_partition: BTreeSet<Str> = partition.replicas.iter().filter_map(rack).collect();
        if !of_partition.is_empty() {
            racks.insert(index.0, of_partition);
        }
    }
    let partitions = i32::try_from(topic.partition_count()).unwrap_or(i32::MAX);
    Topic { partitions, racks }
}

/// FNV-1a over length-prefixed pieces.
struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    fn add(&mut self, piece: &[u8]) {
        let length = (piece.len() as u64).to_be_bytes();
        for byte in length.iter().chain(piece) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
