//! Making a segment's files what they are to be: the log cut to its exact size, the indexes beside it. Done to a rolled
//! segment for good, to the active one whenever it falls idle (another reader of the directory then sees clean files),
//! and at a clean stop.

use super::error::{Doing, StorageError};
use super::footing::Footing;
use super::index_file::{self, IndexBytes};
use super::log::Log;
use super::names;
use super::producer_snapshot;
use super::segment::{OnDisk, Rolled, Segment, Stage};
use super::segment_file::SegmentFile;
use crate::runtime::OpenMode;
use crate::types::{Offset, Timestamp};
use std::rc::Rc;

/// A segment's files on their way to their final form. To be run and handed to [`Log::finish_seal`].
#[must_use]
pub struct Seal {
    purpose: Purpose,
    file: Rc<SegmentFile>,
    /// None for a segment of a log that is only being opened.
    footing: Option<Rc<Footing>>,
    disk: OnDisk,
    size: u64,
    /// Of offsets, times and transactions; of the last there is a file only when it has entries.
    indexes: Option<[IndexBytes; 3]>,
    /// Producers at an offset.
    snapshot: Option<(Offset, Vec<u8>)>,
    epochs: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    /// A rolled segment, for good.
    Seal,
    /// The active one, because nothing happens; not synced.
    Trim,
    /// The active one, before the log is closed.
    Close,
    /// The same; the whole file system is synced after it.
    CloseUnsynced,
}

/// What became of a [`Seal`].
#[must_use]
pub struct Sealed {
    purpose: Purpose,
    segment: Offset,
    disk: OnDisk,
    /// Entries that the index files hold now.
    stored: Option<[u32; 3]>,
    /// As in [`Seal`], for another try.
    snapshot: Option<(Offset, Vec<u8>)>,
    has_epochs: bool,
    result: Result<(), StorageError>,
}

impl Log {
    /// The oldest rolled segment that is written but not sealed. May run beside a write; only one at a time.
    pub fn begin_seal(&mut self) -> Option<Seal> {
        if self.jobs.sealing || self.jobs.removing || self.failed.is_some() {
            return None;
        }
        let rolled = self.segments.iter().find(|segment| !segment.is_sealed())?;
        let ready = rolled.written == rolled.size && rolled.open()?.rolled.is_some();
        // A write without batches may still be creating its file.
        if !ready || (self.jobs.writing && rolled.open()?.disk.allocated.is_none()) {
            return None;
        }
        let base = rolled.base;
        self.jobs.sealing = true;
        Some(self.seal(base, Purpose::Seal))
    }

    /// Tidies the active segment of a log that has been idle: exact size, indexes on disk, nothing kept in memory.
    /// `None` when it is tidy already or something is pending or under way.
    pub fn begin_trim(&mut self) -> Option<Seal> {
        if !self.is_settled() {
            return None;
        }
        self.tail.shrink_to(0);
        self.segments.iter().for_each(|segment| segment.file.release());
        if self.is_tidy() {
            return None;
        }
        self.jobs.writing = true;
        Some(self.seal(self.segments.active().base, Purpose::Trim))
    }

    /// The active segment's files are what they are to be.
    pub fn is_tidy(&self) -> bool {
        let active = self.segments.active();
        let Some(open) = active.open() else { return true };
        let is_exact = open.disk.allocated.is_none_or(|size| size == active.size);
        open.disk.writers.is_closed() && is_exact && !open.is_dirty()
    }

    /// Nothing pending, nothing under way, nothing failed.
    pub fn is_settled(&self) -> bool {
        let sealed = self.segments.iter().rev().skip(1).all(|segment| segment.is_sealed());
        sealed && !self.has_pending() && self.failed.is_none()
    }

    /// A write is under way, or there is something to begin one for.
    pub fn has_pending(&self) -> bool {
        let under_way = self.jobs.writing || self.jobs.sealing || self.jobs.removing || self.jobs.replacing;
        under_way || self.tail.has_unwritten() || self.jobs.wants_file
    }

    /// The last job of a log: as a trim, synced, with a snapshot of the producers at its end.
    pub(super) fn begin_close(&mut self) -> Seal {
        self.begin_last(Purpose::Close)
    }

    /// As `begin_close`, but not synced: that is for [`Log::finish_close`]. `None` when the files are what they are to be.
    pub(super) fn begin_close_unsynced(&mut self) -> Option<Seal> {
        let is_due = !self.is_tidy() || self.epochs.is_dirty() || self.recovery_point < self.end;
        is_due.then(|| self.begin_last(Purpose::CloseUnsynced))
    }

    fn begin_last(&mut self, purpose: Purpose) -> Seal {
        assert!(self.is_settled(), "everything is written and sealed before the log is closed");
        self.jobs.writing = true;
        self.seal(self.segments.active().base, purpose)
    }

    /// The file system has been synced since [`super::close_unsynced`].
    pub fn finish_close(&mut self) {
        self.finish_sync(self.sync_point());
        self.recovery_point = self.end;
        self.check();
    }

    fn seal(&mut self, base: Offset, purpose: Purpose) -> Seal {
        let segment = self.segments.get_mut(base).expect("the caller names a segment");
        let mut seal = Seal::of(segment, purpose);
        seal.footing = Some(self.footing.clone());
        let is_last = matches!(purpose, Purpose::Close | Purpose::CloseUnsynced);
        if is_last && self.recovery_point < self.end {
            seal.snapshot = Some((self.end, producer_snapshot::write(&self.producers)));
        }
        seal.epochs = self.epochs.take_dirty().then(|| self.epochs.text());
        seal
    }

    /// Takes back what a seal or trim brought.
    pub fn finish_seal(&mut self, mut sealed: Sealed) -> Result<(), StorageError> {
        match sealed.purpose {
            Purpose::Seal => self.jobs.sealing = false,
            Purpose::Trim | Purpose::Close | Purpose::CloseUnsynced => self.jobs.writing = false,
        }
        match std::mem::replace(&mut sealed.result, Ok(())) {
            Err(error) if error.is_shortage() => {
                if sealed.has_epochs {
                    self.epochs.mark_dirty();
                }
                let segment = self.segments.get_mut(sealed.segment).expect("a segment that is being sealed stays");
                segment.unseal(sealed);
                return Err(error);
            }
            result => result.map_err(|error| self.fail(error))?,
        }
        let purpose = sealed.purpose;
        let segment = self.segments.get_mut(sealed.segment).expect("a segment that is being sealed stays");
        segment.take_back(sealed);
        match purpose {
            Purpose::Seal => self.recovery_point = self.sealed_end(),
            Purpose::Close => self.recovery_point = self.end,
            Purpose::Trim | Purpose::CloseUnsynced => {}
        }
        // All that is sealed, or marked, has been synced.
        self.flushed = self.flushed.max(self.recovery_point.min(self.written));
        self.stabilise(self.flushed);
        self.check();
        Ok(())
    }

    /// Where the first segment begins that is not sealed.
    fn sealed_end(&self) -> Offset {
        let first_open = self.segments.iter().find(|segment| !segment.is_sealed());
        first_open.map_or(self.end, |segment| segment.base).max(self.recovery_point)
    }
}

impl Segment {
    /// Seals a segment that no other job can be at, as its log is only being opened.
    pub(super) async fn seal_at_once(&mut self) -> Result<(), StorageError> {
        self.at_once(Purpose::Seal).await
    }

    /// As `seal_at_once`, but not synced, and batches may still come to it.
    pub(super) async fn trim_at_once(&mut self) -> Result<(), StorageError> {
        self.at_once(Purpose::Trim).await
    }

    /// As `trim_at_once`, and synced.
    pub(super) async fn close_at_once(&mut self) -> Result<(), StorageError> {
        self.at_once(Purpose::Close).await
    }

    async fn at_once(&mut self, purpose: Purpose) -> Result<(), StorageError> {
        let mut sealed = Seal::of(self, purpose).run().await;
        std::mem::replace(&mut sealed.result, Ok(()))?;
        self.take_back(sealed);
        Ok(())
    }

    fn take_back(&mut self, sealed: Sealed) {
        let Stage::Open(open) = &mut self.stage else { panic!("only an open segment is sealed") };
        if sealed.purpose == Purpose::Seal {
            let largest = open.largest.map_or(Timestamp::NONE, |largest| largest.timestamp);
            self.file.set_largest_timestamp(largest);
            // Reads under way that share the transaction index find it in the file now.
            sealed.stored.into_iter().for_each(|stored| open.mark_stored(stored));
            self.stage = Stage::Sealed;
            return;
        }
        open.disk = sealed.disk;
        if let Some(stored) = sealed.stored {
            open.mark_stored(stored);
        }
    }

    /// As it was before: another try does everything again.
    fn unseal(&mut self, sealed: Sealed) {
        let open = self.open_mut().expect("what was not sealed is open");
        open.disk = sealed.disk;
        if sealed.purpose == Purpose::Seal {
            open.rolled = sealed.snapshot.map(|(next, snapshot)| Rolled { next, snapshot });
        }
    }
}

impl Seal {
    fn of(segment: &mut Segment, purpose: Purpose) -> Self {
        let (size, file) = (segment.size, segment.file.clone());
        let open = segment.open_mut().expect("only an open segment is sealed");
        open.complete_time_index();
        let has_file = open.disk.allocated.is_some();
        Self {
            purpose,
            file,
            footing: None,
            size,
            disk: std::mem::take(&mut open.disk),
            indexes: has_file.then(|| open.index_bytes()),
            snapshot: open.rolled.take().map(|rolled| (rolled.next, rolled.snapshot)),
            epochs: None,
        }
    }

    pub async fn run(mut self) -> Sealed {
        let stored = self.indexes.as_ref().map(|indexes| indexes.each_ref().map(|index| index.entries));
        let result = self.work().await;
        Sealed {
            purpose: self.purpose,
            segment: self.file.base(),
            disk: self.disk,
            stored,
            snapshot: self.snapshot,
            has_epochs: self.epochs.is_some(),
            result,
        }
    }

    async fn work(&mut self) -> Result<(), StorageError> {
        let durable = matches!(self.purpose, Purpose::Seal | Purpose::Close);
        let dir = self.file.dir().clone();
        if let Some(footing) = self.footing.as_ref().filter(|_| durable) {
            footing.secure(&dir).await?;
        }
        if self.indexes.is_some() {
            self.cut_log(durable).await?;
        }
        if let Some([offsets, times, aborted]) = &self.indexes {
            index_file::write(&dir, &self.file.name(names::INDEX), offsets, durable).await?;
            index_file::write(&dir, &self.file.name(names::TIME_INDEX), times, durable).await?;
            if !aborted.added.is_empty() {
                index_file::write(&dir, &self.file.name(names::TRANSACTION_INDEX), aborted, durable).await?;
            }
        }
        if let Some((offset, bytes)) = &self.snapshot {
            let name = names::file(*offset, names::SNAPSHOT);
            let written = if durable { dir.write_whole(&name, bytes).await } else { dir.put_whole(&name, bytes).await };
            written.doing("writing a producer snapshot")?;
        }
        if let Some(text) = &self.epochs {
            let (name, bytes) = (names::LEADER_EPOCHS, text.as_bytes());
            // Without older epochs a start after a crash would have to read the whole log.
            let may_lose = !durable && !dir.exists(name).await.doing("looking for the leader epochs")?;
            let written = if may_lose { dir.put_whole(name, bytes).await } else { dir.write_whole(name, bytes).await };
            written.doing("writing the leader epochs")?;
        }
        if durable {
            dir.sync().await.doing("syncing a log's directory")?;
        }
        Ok(())
    }

    /// The `.log` file without preallocated bytes, and closed.
    async fn cut_log(&mut self, durable: bool) -> Result<(), StorageError> {
        let file = match self.disk.writers.any() {
            Some(file) => file,
            None => {
                let mode = OpenMode::Write { create: false, synced: false };
                self.file.dir().open_file(&self.file.name(names::LOG), mode).await.doing("opening a segment")?
            }
        };
        file.truncate(self.size).await.doing("cutting a segment")?;
        if durable {
            file.sync().await.doing("syncing a segment")?;
        }
        self.disk.writers.close().await.doing("closing a segment")?;
        file.close().await.doing("closing a segment")?;
        self.disk = OnDisk { allocated: Some(self.size), named: self.disk.named, ..OnDisk::default() };
        if self.size == 0 {
            self.disk.partial = Some(Vec::new());
        }
        Ok(())
    }
}
