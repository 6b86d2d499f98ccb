//! Records in, images out: batches, metadata transactions (KIP-868), and records that make no sense.

use super::delta::Delta;
use super::features::FeaturesImage;
use super::image::{Image, Provenance};
use odradek_protocol::primitives::Str;
use odradek_protocol::records::metadata::MetadataRecord;
use odradek_shards::types::{NodeId, TopicId, TopicPartition};
use std::sync::Arc;

/// The log contradicts itself: nothing that was read from it can be trusted, so the node stops.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    #[error("no topic has the id {0}")]
    UnknownTopic(TopicId),
    #[error("no topic has the name {0}")]
    UnknownTopicName(Str),
    #[error("topic {0} is created a second time")]
    DuplicateTopic(TopicId),
    #[error("topic {} has no partition {}", .0.topic, .0.partition)]
    UnknownPartition(TopicPartition),
    #[error("broker {0} is not registered")]
    UnknownBroker(NodeId),
    #[error("broker {broker} is at epoch {current}, the record says {found}")]
    StaleBrokerEpoch { broker: NodeId, current: i64, found: i64 },
    #[error("unknown value {value} of {field} in a broker registration change")]
    UnknownChange { field: &'static str, value: i8 },
    #[error("metadata.version {0} is not one this build can run")]
    UnsupportedMetadataVersion(i16),
    #[error("a metadata transaction begins inside another")]
    NestedTransaction,
    #[error("a metadata transaction ends that never began")]
    NoTransaction,
}

/// Turns a stream of records into images; nothing inside an open metadata transaction is ever shown.
#[derive(Clone, Debug)]
pub struct Replayer {
    delta: Delta,
    /// As it was before the open transaction.
    before_transaction: Option<Delta>,
    provenance: Provenance,
}

impl Replayer {
    pub fn new(image: Arc<Image>) -> Self {
        let provenance = image.provenance();
        Self { delta: Delta::new(image), before_transaction: None, provenance }
    }

    /// With every replayed record, those of an open transaction too.
    pub fn latest(&self) -> &Image {
        self.delta.image()
    }

    /// Without the records of an open transaction.
    pub fn settled(&self) -> &Image {
        self.before_transaction.as_ref().unwrap_or(&self.delta).image()
    }

    pub fn in_transaction(&self) -> bool {
        self.before_transaction.is_some()
    }

    pub fn provenance(&self) -> Provenance {
        self.provenance
    }

    pub fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::BeginTransaction(_) if self.in_transaction() => Err(ReplayError::NestedTransaction),
            MetadataRecord::BeginTransaction(_) => {
                self.before_transaction = Some(self.delta.clone());
                Ok(())
            }
            MetadataRecord::EndTransaction(_) => {
                self.before_transaction.take().map(drop).ok_or(ReplayError::NoTransaction)
            }
            MetadataRecord::AbortTransaction(_) => {
                self.delta = self.before_transaction.take().ok_or(ReplayError::NoTransaction)?;
                Ok(())
            }
            other => self.delta.replay(other),
        }
    }

    /// The quorum's own level, which travels in control records.
    pub fn set_kraft_version(&mut self, level: i16) {
        self.delta.set_kraft_version(level);
        if let Some(before) = &mut self.before_transaction {
            before.set_kraft_version(level);
        }
    }

    /// A whole batch was replayed; control batches move the provenance too.
    pub fn end_batch(&mut self, last: Provenance) {
        assert!(last.offset >= self.provenance.offset, "batches are replayed in the order of the log");
        self.provenance = last;
    }

    /// What is new since the last call, unless a transaction is open or no batch ended since.
    pub fn publish(&mut self) -> Option<(Arc<Delta>, Arc<Image>)> {
        if self.in_transaction() || self.provenance == self.delta.base().provenance() {
            return None;
        }
        let delta = std::mem::replace(&mut self.delta, Delta::new(Arc::default()));
        let (delta, image) = delta.finish(self.provenance);
        self.delta = Delta::new(image.clone());
        Some((delta, image))
    }
}

/// The version a record is written at: the newest that the cluster's metadata.version allows.
pub fn record_version(record: &MetadataRecord, features: &FeaturesImage) -> i16 {
    use MetadataRecord as M;
    // Ascending: from this metadata.version on, this version.
    let steps: &[(i16, i16)] = match record {
        // Migrating brokers, log directories, cordoned log directories.
        M::RegisterBroker(_) => &[(7, 1), (8, 2), (17, 3), (30, 4)],
        M::BrokerRegistrationChange(_) => &[(7, 1), (17, 2), (30, 3)],
        // Log directories, eligible leader replicas.
        M::Partition(_) | M::PartitionChange(_) => &[(17, 1), (23, 2)],
        _ => &[],
    };
    let level = features.metadata_version();
    steps.iter().rev().find(|(from, _)| level >= *from).map_or(0, |(_, version)| *version)
}

#[cfg(test)]
mod tests;
