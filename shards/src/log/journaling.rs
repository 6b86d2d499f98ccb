//! What a journal keeps of the log's tail: handed over in order, acknowledged when it is stored there, and taken back after
//! a crash. The log knows no journal; it says what there is to store and hears how far that came.
//!
//! Invariant: everything from `flushed` to `stable` is in a journal, unless the log promises no more than being written.

use super::error::StorageError;
use super::log::Log;
use super::write::copy;
use crate::record::batches;
use crate::types::{Offset, Timestamp};
use bytes::Bytes;

/// Batches that a journal does not have yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unjournaled {
    /// Where the log ends before them.
    pub from: Offset,
    /// The offset after them.
    pub next: Offset,
    /// Their bytes; 0 when there are none.
    pub bytes: usize,
}

/// How far a log was written at some moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SyncPoint {
    written: Offset,
    cuts: u32,
}

/// What became of an entry of a journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restored {
    /// This many bytes of it were appended; the others were there already.
    Taken { bytes: usize },
    /// It does not continue this log: something before it is missing, or the log went another way.
    Unfit,
}

impl Log {
    /// Where the next batches for a journal begin; `None` when what lies before them would be neither in a journal nor
    /// synced, so that a recovery could not reach them.
    fn next_to_journal(&self) -> Option<Offset> {
        let next = self.submitted.max(self.stable);
        self.sound().ok()?;
        (next == self.submitted || next <= self.flushed).then_some(next)
    }

    /// Whether batches may go to a journal now.
    pub fn may_journal(&self) -> bool {
        self.next_to_journal().is_some()
    }

    /// The next batches for a journal: at most `bytes_max`, but one at least.
    pub fn unjournaled(&self, bytes_max: usize) -> Unjournaled {
        let from = self.next_to_journal().unwrap_or(self.end);
        let mut found = Unjournaled { from, next: from, bytes: 0 };
        for batch in self.tail.from(from) {
            if found.bytes > 0 && found.bytes + batch.size() > bytes_max {
                break;
            }
            found.bytes += batch.size();
            found.next = batch.last.plus(1);
        }
        found
    }

    /// Copies what [`Log::unjournaled`] has just told, as it will lie in the segment, and counts it as handed over.
    pub fn hand_over(&mut self, batches: Unjournaled, into: &mut [u8]) {
        assert_eq!(into.len(), batches.bytes, "there is room for these batches and no more");
        let parts = self.tail.from(batches.from).take_while(|batch| batch.last < batches.next);
        assert_eq!(copy(parts.flat_map(|batch| batch.parts()), into), batches.bytes);
        self.submitted = batches.next;
    }

    /// Everything handed over below `next` is stored. Returns `stable_offset`.
    pub fn finish_journaling(&mut self, next: Offset) -> Offset {
        assert!(next <= self.submitted, "only what was handed over is stored");
        self.stabilise(next);
        self.check();
        self.stable
    }

    /// What a sync of the whole file system will cover that begins now.
    pub fn sync_point(&self) -> SyncPoint {
        SyncPoint { written: self.written, cuts: self.cuts }
    }

    /// Something is written and not known to be on stable storage.
    pub fn is_unsynced(&self) -> bool {
        self.flushed < self.written
    }

    /// The file system has been synced from `point` on, or will be before anybody uses the log.
    pub fn finish_sync(&mut self, point: SyncPoint) {
        self.footing.synced();
        if point.cuts != self.cuts || point.written <= self.flushed {
            return;
        }
        self.flushed = point.written;
        self.notes.synced_below(self.flushed);
        self.check();
    }

    /// Takes back what a journal has of this log: `bytes` are whole batches, after the end `from`. To be done between
    /// opening the log after a crash and its first append; [`super::write_back`] brings it to the segments.
    pub fn restore(&mut self, from: Offset, bytes: &Bytes, now: Timestamp) -> Result<Restored, StorageError> {
        self.sound()?;
        let restored = self.put_back(from, bytes, now);
        // Whatever was appended of it, the journal has.
        self.submitted = self.end;
        self.stabilise(self.end);
        Ok(restored)
    }

    fn put_back(&mut self, from: Offset, bytes: &Bytes, now: Timestamp) -> Restored {
        if from > self.end {
            return Restored::Unfit;
        }
        let mut taken = 0;
        for batch in batches(bytes) {
            let Some(batch) = batch.ok().and_then(|batch| batch.trusted().ok()) else { return Restored::Unfit };
            let header = batch.header;
            if header.next_offset() <= self.end {
                continue;
            }
            let is_older = self.epochs.latest().is_some_and(|latest| header.leader_epoch < latest.epoch);
            if header.base_offset < self.end || is_older {
                return Restored::Unfit;
            }
            taken += batch.bytes.len();
            self.put(&header, &batch, now);
        }
        Restored::Taken { bytes: taken }
    }
}
