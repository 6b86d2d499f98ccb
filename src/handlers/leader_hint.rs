//! Tells a client that asked the wrong broker who leads a partition, and where that broker is (KIP-951).

use crate::metadata::cluster::Endpoint;
use crate::metadata::image::Image;
use crate::metadata::topics::TopicImage;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::primitives::Str;
use odradek_shards::types::{NodeId, PartitionIndex};
use std::collections::BTreeSet;

/// First versions with room for the hint.
pub const PRODUCE_FROM: i16 = 10;
pub const FETCH_FROM: i16 = 16;

/// True for the errors that a client answers by looking for the leader.
pub fn is_due(error: i16) -> bool {
    error == ErrorCode::NotLeaderOrFollower.code() || error == ErrorCode::FencedLeaderEpoch.code()
}

/// The leaders named in one response, for its list of endpoints.
pub struct Endpoints<'a> {
    image: &'a Image,
    listener: &'a str,
    nodes: BTreeSet<NodeId>,
}

impl<'a> Endpoints<'a> {
    pub fn new(image: &'a Image, listener: &'a str) -> Self {
        Self { image, listener, nodes: BTreeSet::new() }
    }

    /// Leader and epoch of a partition.
    pub fn leader(&mut self, topic: &TopicImage, partition: i32) -> Option<(i32, i32)> {
        let partition = topic.partition(PartitionIndex(partition))?;
        self.nodes.insert(partition.leader);
        Some((partition.leader.0, partition.leader_epoch.0))
    }

    /// Node, endpoint and rack of every leader named.
    pub fn found(&self) -> impl Iterator<Item = (i32, &'a Endpoint, Option<Str>)> {
        let brokers = self.nodes.iter().filter_map(|node| self.image.cluster().broker(*node));
        brokers.filter_map(|broker| Some((broker.id.0, broker.listener(self.listener)?, broker.rack.clone())))
    }
}
