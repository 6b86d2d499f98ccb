//! What a group subscribes to, and a fingerprint of those topics: when it changes, the group has to be assigned anew.

use super::{ConsumerGroup, Member, Resolved};
use crate::group::assignor::Topic;
use crate::metadata::Image;
use crate::metadata::topics::TopicImage;
use odradek_protocol::primitives::Str;
use odradek_shards::types::{NodeId, TopicId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use uuid::Uuid;

impl ConsumerGroup {
    /// Whether one member subscribes to a topic, and the topic exists.
    pub(super) fn subscribes(&self, member: &Member, topic: Uuid, image: &Image) -> bool {
        let matched = member.expression().and_then(|expression| self.regexes.get(expression));
        let is_matched = |name: &Str| matched.is_some_and(|resolved| resolved.topics.contains(name));
        let is_wanted = |name: &Str| member.topics.contains(name) || is_matched(name);
        image.topics().name_of(TopicId(topic)).is_some_and(is_wanted)
    }

    /// Topics of `ids` that each member subscribes to; those who name the same share them.
    pub(super) fn topics_of_members(&self, ids: &HashMap<&str, Uuid>) -> Vec<Rc<BTreeSet<Uuid>>> {
        let mut known = HashMap::new();
        let of_member = |member: &Member| {
            let names = (!member.topics.is_empty()).then_some(Rc::as_ptr(&member.topics));
            let find = || {
                let matched = member.expression().and_then(|expression| self.regexes.get(expression));
                let names = member.topics.iter().chain(matched.into_iter().flat_map(|resolved| &resolved.topics));
                Rc::new(names.filter_map(|name| ids.get(name.as_str())).copied().collect::<BTreeSet<Uuid>>())
            };
            known.entry((names, member.expression().cloned())).or_insert_with(find).clone()
        };
        self.members.values().map(of_member).collect()
    }

    /// Topics that exist of those that anybody subscribes to, by name: members may name any number that do not.
    pub fn subscribed<'a>(&self, image: &'a Image) -> BTreeMap<&'a str, &'a TopicImage> {
        let named = existing(self.subscribers.keys(), |name| self.subscribers.contains_key(name), image);
        let matched = self.matched().flat_map(|resolved| &resolved.topics);
        let matched = matched.filter_map(|name| image.topics().by_name(name));
        named.into_iter().chain(matched).map(|topic| (topic.name.as_str(), topic)).collect()
    }

    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.subscribers.contains_key(topic) || self.matched().any(|resolved| resolved.topics.contains(topic))
    }

    pub(super) fn is_subscribed_to_any(&self, topics: &BTreeSet<&Str>) -> bool {
        let matched: Vec<_> = self.matched().collect();
        let is_matched = |name: &Str| matched.iter().any(|resolved| resolved.topics.contains(name));
        topics.iter().any(|name| self.subscribers.contains_key(*name) || is_matched(name))
    }

    /// What the expressions of members have matched.
    fn matched(&self) -> impl Iterator<Item = &Resolved> {
        let used: BTreeSet<&Str> = self.members.values().filter_map(Member::expression).collect();
        used.into_iter().filter_map(|expression| self.regexes.get(expression))
    }

    /// A member names `after` instead of `before`.
    pub(super) fn count_subscribers(&mut self, before: &BTreeSet<Str>, after: &BTreeSet<Str>) {
        for name in after.difference(before) {
            *self.subscribers.entry(name.clone()).or_default() += 1;
        }
        for name in before.difference(after) {
            let count = self.subscribers.get_mut(name).expect("who names a topic is counted");
            *count -= 1;
            if *count == 0 {
                self.subscribers.remove(name);
            }
        }
    }

    /// 0 when none of its topics exists.
    pub(super) fn hash_metadata(&self, image: &Image) -> i64 {
        let mut hash = None;
        for topic in self.subscribed(image).into_values() {
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

/// Those that exist, by way of the names or of the topics, whichever are fewer.
fn existing<'a, 'n>(
    names: impl IntoIterator<Item = &'n Str, IntoIter: ExactSizeIterator>,
    is_named: impl Fn(&str) -> bool,
    image: &'a Image,
) -> Vec<&'a TopicImage> {
    let names = names.into_iter();
    if names.len() > image.topics().len() {
        image.topics().iter().filter(|topic| is_named(&topic.name)).collect()
    } else {
        names.filter_map(|name| image.topics().by_name(name)).collect()
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
