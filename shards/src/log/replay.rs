//! What a log remembers besides its batches, rebuilt from them: producers from the last snapshot on, leader epochs from
//! the first batch that the checkpoint may not know.

use super::append::marker_in;
use super::error::{Doing, StorageError};
use super::leader_epoch::LeaderEpochs;
use super::limits::CHECKPOINT_BYTES_MAX;
use super::names;
use super::notes::Notes;
use super::producer_snapshot;
use super::producer_state::ProducerStates;
use super::scan::{Found, Scan};
use super::segment::Segment;
use super::transaction_index::Aborted;
use crate::record::BatchHeader;
use crate::runtime::{Directory, Entry};
use crate::types::Offset;

pub(super) struct Replay {
    pub epochs: LeaderEpochs,
    pub producers: ProducerStates,
    /// Batches below are in `producers` already.
    pub producers_from: Offset,
    /// Batches below are in `epochs` already.
    pub epochs_from: Offset,
    /// Of batches that are read.
    pub notes: Notes,
}

impl Replay {
    /// Loads what the files know of the log below `offset`. `epochs` is the checkpoint when it can be used, `first` the
    /// log's first offset.
    pub async fn load(
        dir: &Directory,
        entries: &[Entry],
        epochs: Option<LeaderEpochs>,
        first: Offset,
        offset: Offset,
    ) -> Result<Self, StorageError> {
        let mut replay = Self {
            epochs_from: if epochs.is_some() { offset } else { first },
            epochs: epochs.unwrap_or_default(),
            producers: ProducerStates::default(),
            producers_from: first,
            notes: Notes::none(),
        };
        replay.epochs.truncate_from_end(offset);
        let snapshots = snapshots(entries).into_iter().rev().filter(|(at, _)| *at <= offset);
        for (at, name) in snapshots {
            let bytes = dir.read_whole(name, CHECKPOINT_BYTES_MAX).await.doing("reading a producer snapshot")?;
            if let Ok(producers) = producer_snapshot::parse(&bytes) {
                replay.producers = producers;
                replay.producers_from = at.max(first);
                break;
            }
            tracing::warn!(log = %dir.path().display(), name, "a damaged producer snapshot is passed over");
        }
        Ok(replay)
    }

    /// The first offset that something is missing from.
    fn from(&self) -> Offset {
        self.producers_from.min(self.epochs_from)
    }

    /// Takes note of the batch at `scan`'s position. Returns the transaction that it aborts.
    pub async fn batch(&mut self, scan: &mut Scan, header: &BatchHeader) -> Result<Option<Aborted>, StorageError> {
        if header.base_offset >= self.epochs_from {
            self.epochs.assign(header.leader_epoch, header.base_offset);
        }
        if header.base_offset >= self.producers_from && header.has_producer_id() {
            let marker = match header.attributes.is_control() {
                true => marker_in(&scan.batch(header).await.doing("reading a segment")?),
                false => None,
            };
            return Ok(self.producers.update(header, marker, header.max_timestamp));
        }
        Ok(None)
    }

    /// Reads the batches of these segments that are not known yet; they need no checking.
    pub async fn catch_up(&mut self, segments: &[Segment], end: Offset) -> Result<(), StorageError> {
        if self.from() >= end {
            return Ok(());
        }
        let first = segments.partition_point(|segment| segment.base <= self.from()).saturating_sub(1);
        for segment in &segments[first..] {
            let file = segment.file.reader().await.doing("opening a segment")?;
            let mut scan = Scan::whole(file, 0, segment.size);
            while let Found::Batch(header) = scan.peek().await.doing("reading a segment")? {
                self.batch(&mut scan, &header).await?;
                scan.skip(&header);
            }
            segment.file.release();
        }
        (self.producers_from, self.epochs_from) = (end, end);
        Ok(())
    }
}

/// The snapshot files, by offset.
pub(super) fn snapshots(entries: &[Entry]) -> Vec<(Offset, &str)> {
    let parsed = entries.iter().filter_map(|entry| Some((names::parse_file(&entry.name)?, &entry.name)));
    let snapshots = parsed.filter(|((_, extension), _)| *extension == names::SNAPSHOT);
    let mut snapshots: Vec<_> = snapshots.map(|((offset, _), name)| (offset, name.as_str())).collect();
    snapshots.sort_unstable();
    snapshots
}
