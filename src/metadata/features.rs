//! Feature levels: what this build can run, and what the cluster has settled on.

use super::cluster::VersionRange;
use super::replay::ReplayError;
use odradek_protocol::primitives::Str;
use odradek_protocol::records::metadata::FeatureLevelRecord;
use std::collections::BTreeMap;

pub const METADATA_VERSION: &str = "metadata.version";
pub const KRAFT_VERSION: &str = "kraft.version";
pub const ELIGIBLE_LEADER_REPLICAS_VERSION: &str = "eligible.leader.replicas.version";
pub const GROUP_VERSION: &str = "group.version";
pub const SHARE_VERSION: &str = "share.version";
pub const STREAMS_VERSION: &str = "streams.version";
pub const TRANSACTION_VERSION: &str = "transaction.version";

/// The levels this build can run: those of Kafka 4.3.
pub const SUPPORTED: [(&str, VersionRange); 7] = [
    (ELIGIBLE_LEADER_REPLICAS_VERSION, VersionRange { min: 0, max: 1 }),
    (GROUP_VERSION, VersionRange { min: 0, max: 1 }),
    (KRAFT_VERSION, VersionRange { min: 0, max: 1 }),
    (METADATA_VERSION, VersionRange { min: 7, max: 30 }),
    (SHARE_VERSION, VersionRange { min: 0, max: 1 }),
    (STREAMS_VERSION, VersionRange { min: 0, max: 1 }),
    (TRANSACTION_VERSION, VersionRange { min: 0, max: 2 }),
];

/// The levels a new cluster starts at, in the order they are recorded; metadata.version 30 is 4.3-IV0.
pub const BOOTSTRAP: [(&str, i16); 6] = [
    (METADATA_VERSION, 30),
    (ELIGIBLE_LEADER_REPLICAS_VERSION, 1),
    (GROUP_VERSION, 1),
    (SHARE_VERSION, 1),
    (STREAMS_VERSION, 1),
    (TRANSACTION_VERSION, 2),
];

const DIRECTORIES_SINCE: i16 = 17;

/// The range this build can run of `feature`, if it knows it.
pub fn supported(feature: &str) -> Option<VersionRange> {
    SUPPORTED.iter().find(|(name, _)| *name == feature).map(|(_, range)| *range)
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeaturesImage {
    finalized: BTreeMap<Str, i16>,
    kraft_version: i16,
}

impl FeaturesImage {
    /// 0 when never set.
    pub fn level(&self, feature: &str) -> i16 {
        if feature == KRAFT_VERSION { self.kraft_version } else { self.finalized.get(feature).copied().unwrap_or(0) }
    }

    pub fn metadata_version(&self) -> i16 {
        self.level(METADATA_VERSION)
    }

    /// From metadata.version 3.7-IV2 on the controller records which log directory each replica lies in (KIP-858).
    pub fn records_directories(&self) -> bool {
        self.metadata_version() >= DIRECTORIES_SINCE
    }

    /// Settled levels above 0, by name, as ApiVersions shows them.
    pub fn finalized(&self) -> impl Iterator<Item = (&str, i16)> {
        let kraft = (self.kraft_version > 0).then_some((KRAFT_VERSION, self.kraft_version));
        self.finalized.iter().map(|(name, level)| (name.as_ref() as &str, *level)).chain(kraft)
    }

    /// Levels that live in FeatureLevel records; kraft.version lives in the quorum's control records.
    pub(super) fn recorded(&self) -> impl Iterator<Item = (&Str, i16)> {
        self.finalized.iter().map(|(name, level)| (name, *level))
    }

    pub(super) fn set_kraft_version(&mut self, level: i16) {
        self.kraft_version = level;
    }

    pub fn replay(&mut self, record: &FeatureLevelRecord) -> Result<(), ReplayError> {
        let (name, level) = (record.name.as_ref() as &str, record.feature_level);
        if name == METADATA_VERSION && !supported(METADATA_VERSION).is_some_and(|range| range.contains(level)) {
            return Err(ReplayError::UnsupportedMetadataVersion(level));
        }
        match level {
            0 => self.finalized.remove(name),
            _ => self.finalized.insert(record.name.clone(), level),
        };
        Ok(())
    }
}
