//! One change of the image: the next image as it grows record by record, and what was touched on the way.

use super::cluster::{BrokerRegistration, ClusterDelta};
use super::configs::ConfigsDelta;
use super::image::{Image, Provenance};
use super::replay::ReplayError;
use super::topics::{PartitionImage, TopicImage, TopicsDelta};
use odradek_protocol::records::metadata::MetadataRecord;
use odradek_shards::types::{NodeId, PartitionIndex, TopicPartition};
use std::sync::Arc;

/// Copies of it share everything that was not touched.
#[derive(Clone, Debug)]
pub struct Delta {
    base: Arc<Image>,
    image: Image,
    topics: TopicsDelta,
    cluster: ClusterDelta,
    configs: ConfigsDelta,
    features_changed: bool,
    producer_ids_changed: bool,
    kept_changed: bool,
}

impl Delta {
    pub fn new(base: Arc<Image>) -> Self {
        let image = base.as_ref().clone();
        Self {
            base,
            image,
            topics: TopicsDelta::default(),
            cluster: ClusterDelta::default(),
            configs: ConfigsDelta::default(),
            features_changed: false,
            producer_ids_changed: false,
            kept_changed: false,
        }
    }

    /// The image before.
    pub fn base(&self) -> &Arc<Image> {
        &self.base
    }

    /// The image after what was replayed so far.
    pub fn image(&self) -> &Image {
        &self.image
    }

    pub fn topics(&self) -> &TopicsDelta {
        &self.topics
    }

    pub fn cluster(&self) -> &ClusterDelta {
        &self.cluster
    }

    pub fn configs(&self) -> &ConfigsDelta {
        &self.configs
    }

    pub fn features_changed(&self) -> bool {
        self.features_changed
    }

    pub fn producer_ids_changed(&self) -> bool {
        self.producer_ids_changed
    }

    /// Nothing but the offset moved.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
            && self.cluster.is_empty()
            && self.configs.is_empty()
            && !(self.features_changed || self.producer_ids_changed || self.kept_changed)
    }

    /// What changed for the replicas that `node` holds.
    pub fn local_changes(&self, node: NodeId) -> LocalChanges {
        let mut changes = LocalChanges::default();
        for topic in self.topics.deleted.values() {
            changes.removed.extend(held_by(topic, node));
        }
        for (id, touched) in &self.topics.changed {
            let Some(topic) = self.image.topics.by_id(*id) else { continue };
            for index in &touched.partitions {
                self.add_local_change(node, topic, *index, &mut changes);
            }
        }
        changes
    }

    fn add_local_change(&self, node: NodeId, topic: &TopicImage, index: PartitionIndex, out: &mut LocalChanges) {
        let here = TopicPartition { topic: topic.id, partition: index };
        let holds = |partition: &&PartitionImage| partition.replicas.contains(&node);
        let before = self.base.topics.partition(here).filter(holds);
        match (before, topic.partition(index).filter(holds)) {
            (None, Some(_)) => out.added.push(here),
            (Some(before), Some(after)) if before != after => out.changed.push(here),
            (Some(_), None) => out.removed.push(here),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }

    /// A broker's registration before and after, for those touched.
    pub fn broker_changes(&self) -> impl Iterator<Item = (Option<&BrokerRegistration>, Option<&BrokerRegistration>)> {
        let both = |id: &NodeId| (self.base.cluster.broker(*id), self.image.cluster.broker(*id));
        self.cluster.changed_brokers.iter().map(both)
    }

    /// The image after, at the last record it contains.
    pub fn finish(mut self, provenance: Provenance) -> (Arc<Delta>, Arc<Image>) {
        self.image.provenance = provenance;
        let image = Arc::new(self.image.clone());
        (Arc::new(self), image)
    }

    pub(super) fn set_kraft_version(&mut self, level: i16) {
        self.image.features.set_kraft_version(level);
        self.features_changed = true;
    }

    /// Applies one record. Transactions and markers are the replayer's business and change nothing here.
    pub(super) fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        use MetadataRecord as M;
        let Self { image, topics, cluster, configs, .. } = self;
        match record {
            M::Topic(r) => topics.replay_topic(&mut image.topics, r),
            M::Partition(r) => topics.replay_partition(&mut image.topics, r),
            M::PartitionChange(r) => topics.replay_partition_change(&mut image.topics, r),
            M::ClearElr(r) => topics.replay_clear_elr(&mut image.topics, r),
            M::RemoveTopic(r) => {
                let name = topics.replay_remove(&mut image.topics, r)?;
                configs.remove_topic(&mut image.configs, &name);
                Ok(())
            }
            M::RegisterBroker(r) => {
                cluster.replay_register_broker(&mut image.cluster, r);
                Ok(())
            }
            M::UnregisterBroker(r) => cluster.replay_unregister_broker(&mut image.cluster, r),
            M::FenceBroker(r) => cluster.replay_fenced(&mut image.cluster, r.id, r.epoch, true),
            M::UnfenceBroker(r) => cluster.replay_fenced(&mut image.cluster, r.id, r.epoch, false),
            M::BrokerRegistrationChange(r) => cluster.replay_registration_change(&mut image.cluster, r),
            M::RegisterController(r) => {
                cluster.replay_register_controller(&mut image.cluster, r);
                Ok(())
            }
            M::Config(r) => {
                configs.replay(&mut image.configs, r);
                Ok(())
            }
            other => self.replay_rest(other),
        }
    }

    fn replay_rest(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::FeatureLevel(r) => {
                self.features_changed = true;
                self.image.features.replay(r)
            }
            MetadataRecord::ProducerIds(r) => {
                self.producer_ids_changed = true;
                self.image.producer_ids.replay(r);
                Ok(())
            }
            other => {
                // NoOp and ZooKeeper migration states say nothing about a 4.x cluster.
                self.kept_changed |= self.image.kept.replay(other);
                Ok(())
            }
        }
    }
}

/// Partitions of one node, by what a delta did to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalChanges {
    pub added: Vec<TopicPartition>,
    /// Leader, epoch, ISR or replicas differ.
    pub changed: Vec<TopicPartition>,
    /// The topic is gone, or the replica moved away.
    pub removed: Vec<TopicPartition>,
}

fn held_by(topic: &TopicImage, node: NodeId) -> impl Iterator<Item = TopicPartition> {
    let holds = move |partition: &PartitionImage| partition.replicas.contains(&node);
    let id = topic.id;
    topic
        .partitions()
        .filter(move |(_, p)| holds(p))
        .map(move |(index, _)| TopicPartition { topic: id, partition: index })
}
