//! Checkpoint files (KIP-630): what a snapshot holds, how it is named, and the two that a format writes.

use super::leader::{encoded, kraft_version_record};
use super::log_reader::{Unreadable, read_batches};
use super::voters::VoterSet;
use crate::metadata::Provenance;
use bytes::{Bytes, BytesMut};
use odradek_protocol::codec::{DecodeError, Message, Reader};
use odradek_protocol::messages::{KRaftVersionRecord, SnapshotFooterRecord, SnapshotHeaderRecord};
use odradek_protocol::records::metadata::MetadataRecord;
use odradek_shards::record::{BatchBuilder, ControlRecord, ControlRecordType, NewRecord};
use odradek_shards::types::{LeaderEpoch, Offset, Timestamp};

/// Everything below `end`, whose last record is of `epoch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    pub end: Offset,
    pub epoch: LeaderEpoch,
}

impl SnapshotId {
    /// Of the snapshot that a format leaves in an empty log.
    pub const BOOTSTRAP: Self = Self { end: Offset::ZERO, epoch: LeaderEpoch(0) };

    pub fn file_name(self) -> String {
        format!("{:020}-{:010}.checkpoint", self.end.0, self.epoch.0)
    }

    /// `None` for any other file, unfinished snapshots among them.
    pub fn parse(file_name: &str) -> Option<Self> {
        let (end, epoch) = file_name.strip_suffix(".checkpoint")?.split_once('-')?;
        let id = Self { end: Offset(end.parse().ok()?), epoch: LeaderEpoch(epoch.parse().ok()?) };
        (id.file_name() == file_name).then_some(id)
    }
}

/// A read snapshot.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub id: Option<SnapshotId>,
    pub last_contained_timestamp: Option<Timestamp>,
    pub kraft_version: Option<i16>,
    pub voters: Option<VoterSet>,
    pub records: Vec<MetadataRecord>,
}

#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("a control record: {0}")]
    Control(#[from] DecodeError),
    /// Writing it was cut short, or something was appended.
    #[error("it does not begin with a header or does not end with a footer")]
    Incomplete,
}

impl Snapshot {
    pub fn parse(id: SnapshotId, bytes: &Bytes) -> Result<Self, SnapshotError> {
        let batches = read_batches(bytes)?;
        let controls: Vec<&ControlRecord> = batches.iter().flat_map(|batch| &batch.controls).collect();
        let kind = |control: Option<&&ControlRecord>| control.map(|control| control.kind);
        let has_ends = kind(controls.first()) == Some(ControlRecordType::SnapshotHeader)
            && kind(controls.last()) == Some(ControlRecordType::SnapshotFooter)
            && batches.last().is_some_and(|batch| !batch.controls.is_empty());
        if !has_ends {
            return Err(SnapshotError::Incomplete);
        }
        let mut snapshot = Self { id: Some(id), ..Self::default() };
        for control in controls {
            snapshot.take(control)?;
        }
        snapshot.records = batches.into_iter().flat_map(|batch| batch.records).collect();
        Ok(snapshot)
    }

    fn take(&mut self, control: &ControlRecord) -> Result<(), DecodeError> {
        match control.kind {
            ControlRecordType::SnapshotHeader => {
                let header = SnapshotHeaderRecord::decode(&mut Reader::new(control.value.clone()), 0)?;
                self.last_contained_timestamp = Some(Timestamp(header.last_contained_log_timestamp));
            }
            ControlRecordType::KRaftVersion => self.kraft_version = Some(kraft_version(control)?),
            ControlRecordType::KRaftVoters => self.voters = Some(VoterSet::from_record(control.value.clone())?),
            _ => {}
        }
        Ok(())
    }

    /// The last record it contains.
    pub fn provenance(&self) -> Provenance {
        match self.id {
            Some(SnapshotId { end, epoch }) if end > Offset::ZERO => Provenance {
                offset: Offset(end.0 - 1),
                epoch,
                timestamp: self.last_contained_timestamp.unwrap_or(Timestamp::NONE),
            },
            _ => Provenance::default(),
        }
    }
}

/// The level in a KRaftVersion control record.
pub fn kraft_version(control: &ControlRecord) -> Result<i16, DecodeError> {
    Ok(KRaftVersionRecord::decode(&mut Reader::new(control.value.clone()), 0)?.kraft_version)
}

/// The snapshot of an empty log whose quorum is recorded: `00000000000000000000-0000000000.checkpoint`.
pub fn quorum_snapshot(voters: &VoterSet, now: Timestamp) -> Bytes {
    let quorum = [
        (ControlRecordType::KRaftVersion, kraft_version_record(1)),
        (ControlRecordType::KRaftVoters, voters.to_record()),
    ];
    write(&quorum, &[], now, now)
}

/// `bootstrap.checkpoint`: the records a new cluster begins with.
pub fn bootstrap_snapshot(records: &[MetadataRecord], now: Timestamp) -> Bytes {
    write(&[], records, Timestamp(0), now)
}

fn write(
    quorum: &[(ControlRecordType, Bytes)],
    records: &[MetadataRecord],
    contained: Timestamp,
    now: Timestamp,
) -> Bytes {
    let mut out = BytesMut::new();
    let mut next = Offset::ZERO;
    let mut push = |batch: BatchBuilder| {
        let batch = batch.base_offset(next).leader_epoch(LeaderEpoch(0)).build();
        next = batch.header.next_offset();
        out.extend_from_slice(&batch.bytes);
    };
    let header = SnapshotHeaderRecord { version: 0, last_contained_log_timestamp: contained.0 };
    let mut head = BatchBuilder::new().control();
    head.append_control(now, ControlRecordType::SnapshotHeader, &encoded(&header));
    quorum.iter().for_each(|(kind, value)| head.append_control(now, *kind, value));
    push(head);
    if !records.is_empty() {
        let mut body = BatchBuilder::new();
        for record in records {
            let value = record.encode_value(0).expect("bootstrap records are of version 0");
            body.append(&NewRecord { timestamp: now, key: None, value: Some(&value), headers: &[] });
        }
        push(body);
    }
    let mut foot = BatchBuilder::new().control();
    foot.append_control(now, ControlRecordType::SnapshotFooter, &encoded(&SnapshotFooterRecord { version: 0 }));
    push(foot);
    out.freeze()
}

#[cfg(test)]
mod tests;
