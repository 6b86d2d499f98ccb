//! Control records: transaction markers, and what KRaft writes into the metadata log.

use super::batch::Corruption;
use super::builder::BatchBuilder;
use super::iterator::Record;
use super::validator::ValidBatch;
use crate::types::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use bytes::Bytes;

/// The kind in a control record's key. KRaft's values are bodies of their own messages, coded by the caller.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ControlRecordType {
    /// KIP-98.
    Abort,
    Commit,
    /// KIP-595.
    LeaderChange,
    /// KIP-630.
    SnapshotHeader,
    SnapshotFooter,
    /// KIP-853.
    KRaftVersion,
    KRaftVoters,
    /// Of a later release: to be passed over.
    Unknown(i16),
}

impl ControlRecordType {
    pub fn code(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KRaftVersion => 5,
            Self::KRaftVoters => 6,
            Self::Unknown(code) => code,
        }
    }

    pub fn from_code(code: i16) -> Self {
        match code {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KRaftVersion,
            6 => Self::KRaftVoters,
            unknown => Self::Unknown(unknown),
        }
    }

    /// Version 0 and the type, 2 bytes each.
    pub fn key(self) -> [u8; 4] {
        let [high, low] = self.code().to_be_bytes();
        [0, 0, high, low]
    }
}

/// A control record taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ControlRecord {
    pub kind: ControlRecordType,
    pub value: Bytes,
}

impl ControlRecord {
    /// From a record of a control batch.
    pub fn parse(record: &Record) -> Result<Self, Corruption> {
        let key: &[u8; 4] = record.key.as_deref().and_then(<[u8]>::first_chunk).ok_or(Corruption::Control)?;
        if i16::from_be_bytes([key[0], key[1]]) < 0 {
            return Err(Corruption::Control);
        }
        let kind = ControlRecordType::from_code(i16::from_be_bytes([key[2], key[3]]));
        Ok(Self { kind, value: record.value.clone().unwrap_or_default() })
    }

    /// The transaction marker this is, if it is one.
    pub fn marker(&self) -> Result<Option<EndTransactionMarker>, Corruption> {
        let committed = match self.kind {
            ControlRecordType::Commit => true,
            ControlRecordType::Abort => false,
            _ => return Ok(None),
        };
        let value: &[u8; 6] = self.value.first_chunk().ok_or(Corruption::Control)?;
        if i16::from_be_bytes([value[0], value[1]]) < 0 {
            return Err(Corruption::Control);
        }
        let coordinator_epoch = i32::from_be_bytes([value[2], value[3], value[4], value[5]]);
        Ok(Some(EndTransactionMarker { committed, coordinator_epoch }))
    }
}

/// Ends a producer's transaction in one partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndTransactionMarker {
    pub committed: bool,
    /// Leader epoch of the transaction's coordinator partition; fences older coordinators.
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// The control batch that carries the marker.
    pub fn batch(self, producer_id: ProducerId, producer_epoch: ProducerEpoch, now: Timestamp) -> ValidBatch {
        let kind = if self.committed { ControlRecordType::Commit } else { ControlRecordType::Abort };
        let mut value = [0; 6];
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        let mut builder =
            BatchBuilder::new().producer(producer_id, producer_epoch, Sequence(-1)).transactional().control();
        builder.append_control(now, kind, &value);
        builder.build()
    }
}

#[cfg(test)]
mod tests;
