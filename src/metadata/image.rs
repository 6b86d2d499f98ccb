//! The cluster at one offset of the metadata log: immutable, shared by every shard.

use super::cluster::ClusterImage;
use super::configs::ConfigsImage;
use super::features::FeaturesImage;
use super::kept::KeptImage;
use super::producer_ids::ProducerIdsImage;
use super::topics::TopicsImage;
use bytes::Bytes;
use odradek_protocol::primitives::Str;
use odradek_protocol::records::metadata::{ConfigRecord, FeatureLevelRecord, MetadataRecord, TopicRecord};
use odradek_shards::types::{LeaderEpoch, Offset, Timestamp};

/// One subject each; two replays of the same log give equal images with equal digests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    pub(super) provenance: Provenance,
    pub(super) features: FeaturesImage,
    pub(super) cluster: ClusterImage,
    pub(super) topics: TopicsImage,
    pub(super) configs: ConfigsImage,
    pub(super) producer_ids: ProducerIdsImage,
    pub(super) kept: KeptImage,
}

/// The last record an image contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// -1 when it contains none.
    pub offset: Offset,
    pub epoch: LeaderEpoch,
    pub timestamp: Timestamp,
}

impl Default for Provenance {
    fn default() -> Self {
        Self { offset: Offset(-1), epoch: LeaderEpoch::NONE, timestamp: Timestamp::NONE }
    }
}

impl Image {
    pub fn provenance(&self) -> Provenance {
        self.provenance
    }

    pub fn offset(&self) -> Offset {
        self.provenance.offset
    }

    pub fn epoch(&self) -> LeaderEpoch {
        self.provenance.epoch
    }

    pub fn features(&self) -> &FeaturesImage {
        &self.features
    }

    pub fn cluster(&self) -> &ClusterImage {
        &self.cluster
    }

    pub fn topics(&self) -> &TopicsImage {
        &self.topics
    }

    pub fn configs(&self) -> &ConfigsImage {
        &self.configs
    }

    pub fn producer_ids(&self) -> &ProducerIdsImage {
        &self.producer_ids
    }

    /// Subjects that nothing serves yet.
    pub fn kept(&self) -> &KeptImage {
        &self.kept
    }

    /// Nothing was ever recorded: the cluster needs its bootstrap records.
    pub fn is_empty(&self) -> bool {
        self.features.metadata_version() == 0
    }

    /// Hands out the records that would rebuild this image, in the order a snapshot holds them.
    pub fn write(&self, out: &mut dyn FnMut(MetadataRecord)) {
        for (name, level) in self.features.recorded() {
            out(MetadataRecord::FeatureLevel(FeatureLevelRecord { name: name.clone(), feature_level: level }));
        }
        self.cluster.controllers().for_each(|c| out(MetadataRecord::RegisterController(c.to_record())));
        self.cluster.brokers().for_each(|b| out(MetadataRecord::RegisterBroker(b.to_record())));
        self.write_topics(out);
        self.write_configs(out);
        if let Some(record) = self.producer_ids.to_record() {
            out(MetadataRecord::ProducerIds(record));
        }
        self.kept.iter().for_each(|record| out(record.clone()));
    }

    /// A fingerprint of everything but the provenance; equal on every machine for equal images.
    pub fn digest(&self) -> u64 {
        let mut digest = Digest::default();
        digest.add(&self.features.level(super::features::KRAFT_VERSION).to_be_bytes());
        self.write(&mut |record| {
            let version = super::replay::record_version(&record, &self.features);
            let bytes: Bytes = record.encode_value(version).expect("an image holds only what a record once carried");
            digest.add(&bytes);
        });
        digest.0
    }

    fn write_topics(&self, out: &mut dyn FnMut(MetadataRecord)) {
        for topic in self.topics.iter() {
            out(MetadataRecord::Topic(TopicRecord { name: topic.name.clone(), topic_id: topic.id.0 }));
            for (index, partition) in topic.partitions() {
                out(MetadataRecord::Partition(partition.to_record(topic.id, index)));
            }
        }
    }

    fn write_configs(&self, out: &mut dyn FnMut(MetadataRecord)) {
        for (resource, values) in self.configs.iter() {
            for (name, value) in values {
                out(MetadataRecord::Config(ConfigRecord {
                    resource_type: resource.kind.code(),
                    resource_name: resource.name.clone(),
                    name: Str::from(name.as_str()),
                    value: Some(Str::from(value.as_str())),
                }));
            }
        }
    }
}

/// FNV-1a over length-prefixed pieces.
struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    fn add(&mut self, piece: &[u8]) {
        let length = (piece.len() as u64).to_be_bytes();
        for byte in length.iter().chain(piece) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
