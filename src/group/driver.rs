//! The way to every group: finds the partition of its id, and the shard that coordinates it.

use super::lag::{CommittedAt, Ends, Lags, Place};
use super::limits::LAGS_MAX;
use super::machine::GroupMachine;
use super::request::{Refusal, Reply, Request};
use super::settings::TOPIC;
use crate::config::BrokerConfig;
use crate::coordinator::{self, Coordinators, Scene, java_hash};
use crate::metadata::Image;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::primitives::Str;
use odradek_shards::Shards;
use odradek_shards::message::{self, Isolation, ListOffsetsPart, OffsetQuery};
use odradek_shards::types::{NodeId, PartitionIndex, ShardId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A shard's way to the groups, on its way to the shard's thread.
pub struct Berth(coordinator::Berth<GroupMachine>);

/// One per shard, by index.
pub fn mesh(shards: u16) -> Vec<Berth> {
    coordinator::mesh(shards).into_iter().map(Berth).collect()
}

impl Berth {
    pub fn attach(self, node: NodeId) -> Groups {
        Groups { coordinators: self.0.attach(node) }
    }
}

/// What a shard asks groups through, and coordinates its own with; clones share it.
#[derive(Clone)]
pub struct Groups {
    coordinators: Coordinators<GroupMachine>,
}

impl Groups {
    /// Starts to serve.
    pub fn open(&self, shards: Shards) {
        self.coordinators.open(shards);
    }

    /// Another image or configuration is in force.
    pub fn publish(&self, scene: &Scene) {
        self.coordinators.publish(scene);
    }

    /// Ends all coordinators here: requests that wait are answered.
    pub fn close(&self) {
        self.coordinators.close();
    }

    /// Asks the coordinator of `group`; the request is on its way when this returns.
    pub fn ask(
        &self,
        (image, config): (&Image, &BrokerConfig),
        group: &str,
        request: Request,
    ) -> impl Future<Output = Reply> + use<> {
        let checked = request.check(config);
        let refusal = Refusal::of(&request, checked.err().unwrap_or(ErrorCode::NotCoordinator));
        let partition = checked.ok().and_then(|()| partition_of(image, group));
        let asked = partition.map(|partition| self.coordinators.ask(partition, request));
        async move {
            match asked {
                Some(asked) => asked.await.unwrap_or_else(|| refusal.reply()),
                None => refusal.reply(),
            }
        }
    }

    /// The answer of `group`'s coordinator to what decides nothing, if it can be had without waiting; see
    /// [`Coordinators::answer_at_once`].
    pub fn answer_at_once(
        &self,
        (image, config): (&Image, &BrokerConfig),
        group: &str,
        request: &Request,
    ) -> Option<Reply> {
        request.check(config).ok()?;
        self.coordinators.answer_at_once(partition_of(image, group)?, request)
    }

    /// How far all groups are behind: one question per partition of the groups' topic, one per shard for the ends.
    pub fn lags(&self, image: &Arc<Image>, shards: &Shards) -> impl Future<Output = Lags> + use<> {
        let partitions: Vec<_> = image.topics().by_name(TOPIC).into_iter().flat_map(partitions).collect();
        let (coordinators, image, shards) = (self.coordinators.clone(), image.clone(), shards.clone());
        async move {
            let mut committed = Vec::new();
            for partition in partitions {
                let left = LAGS_MAX - committed.len();
                if let Some(Reply::Committed(more)) =
                    coordinators.ask(partition, Request::Committed { max: left }).await
                {
                    committed.extend(more);
                }
                if committed.len() >= LAGS_MAX {
                    break;
                }
            }
            let is_cut = committed.len() >= LAGS_MAX;
            let ends = ends(&committed, &image, &shards).await;
            Lags::of(committed, &ends, is_cut)
        }
    }

    /// Asks the coordinators of all partitions.
    pub fn ask_all(&self, image: &Image, request: &Request) -> impl Future<Output = Vec<Reply>> + use<> {
        let partitions: Vec<_> = image.topics().by_name(TOPIC).into_iter().flat_map(partitions).collect();
        let refusal = GroupMachine::refusal(request);
        let asked: Vec<_> =
            partitions.into_iter().map(|partition| self.coordinators.ask(partition, request.clone())).collect();
        async move {
            let mut replies = Vec::with_capacity(asked.len());
            for reply in asked {
                replies.push(reply.await.unwrap_or_else(|| refusal.clone()));
            }
            replies
        }
    }
}

impl GroupMachine {
    fn refusal(request: &Request) -> Reply {
        request.refusal(ErrorCode::NotCoordinator)
    }
}

/// Of the partitions in which something was committed.
async fn ends(committed: &[CommittedAt], image: &Image, shards: &Shards) -> Ends {
    let named: BTreeSet<(&Str, i32)> = committed.iter().map(|at| (&at.topic, at.partition)).collect();
    let mut asked: BTreeMap<ShardId, Vec<(Place, ListOffsetsPart)>> = BTreeMap::new();
    for (name, index) in named {
        let Some(topic) = image.topics().by_name(name) else { continue };
        let partition = TopicPartition { topic: topic.id, partition: PartitionIndex(index) };
        let part = ListOffsetsPart {
            partition,
            query: OffsetQuery::Latest,
            current_leader_epoch: None,
            isolation: Isolation::ReadUncommitted,
        };
        asked.entry(shards.owner(partition)).or_default().push(((name.clone(), index), part));
    }
    let mut ends = Ends::new();
    for (shard, asked) in asked {
        let (places, parts): (Vec<Place>, Vec<_>) = asked.into_iter().unzip();
        let message::Reply::ListOffsets(told) = shards.call(shard, message::Request::ListOffsets(parts)).await else {
            continue;
        };
        let found = places.into_iter().zip(told);
        ends.extend(found.filter_map(|(place, listed)| Some((place, listed.ok()?.offset?.0))));
    }
    ends
}

fn partitions(topic: &crate::metadata::topics::TopicImage) -> impl Iterator<Item = TopicPartition> {
    topic.partitions().map(|(partition, _)| TopicPartition { topic: topic.id, partition })
}

/// Where a group lives; none before the topic is there.
pub fn partition_of(image: &Image, group: &str) -> Option<TopicPartition> {
    let topic = image.topics().by_name(TOPIC)?;
    let count = i32::try_from(topic.partition_count()).ok().filter(|count| *count > 0)?;
    let partition = PartitionIndex(java_hash::partition_of(group, count));
    Some(TopicPartition { topic: topic.id, partition })
}

#[cfg(test)]
mod tests;
