//! Carrying the tail to the segments' files: begun under a borrow, run without one, finished under another.
//!
//! ```text
//!  file   | acked ................ | partial block | preallocated zeros ......... |
//!  write                           |<- partial again, then new batches, zeros ->|
//! ```
//! One write is under way per log; what is appended meanwhile goes out with the next. The last block is written again
//! with the same acked bytes, so that a torn write can only hurt what nobody was promised. The file's size is always
//! ahead of the write.
//!
//! What a write leaves unsynced is made durable by a later one that syncs: every file that may hold such bytes, in
//! order, so that `flushed` never has a hole below it. Where power cuts count, a new segment has a file only when all
//! before it is durable: a start could not tell one whose end was lost from one that compaction has shortened.

use super::config::Durability;
use super::error::{Doing, StorageError};
use super::footing::Footing;
use super::limits::{BLOCK, JOB_BYTES_MAX, PREALLOCATE_STEP_MAX, PREALLOCATE_STEP_MIN, WRITE_BYTES_MAX};
use super::log::Log;
use super::names;
use super::open_files::OpenFiles;
use super::segment::{OnDisk, Writer};
use super::segment_file::SegmentFile;
use super::tail::TailBatch;
use crate::runtime::{self, File, OpenMode};
use crate::types::Offset;
use futures_util::future::join_all;
use std::rc::Rc;

/// Batches of one segment on their way to its file. Run it in a task of its own and hand the outcome to
/// [`Log::finish_write`]; dropped half-way it leaves the log waiting for ever.
#[must_use]
pub struct Write {
    batches: Vec<TailBatch>,
    target: Target,
    keeps_promise: bool,
}

/// The file a write goes to, and where in it.
struct Target {
    file: Rc<SegmentFile>,
    footing: Rc<Footing>,
    /// A crash that takes the directory's name or its topic id takes nothing that was acknowledged.
    is_journaled: bool,
    disk: OnDisk,
    /// Bytes of the segment that are on disk.
    position: u64,
    segment_bytes: u64,
    preallocate: bool,
    sync: Sync,
    /// Older segments with bytes that may not be synced yet.
    older: Vec<Rc<SegmentFile>>,
    open_files: Rc<OpenFiles>,
}

/// When a write is on stable storage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sync {
    /// Not before a later write syncs.
    Later,
    /// When it has completed: nothing before it is unsynced.
    Itself,
    /// After a sync of the file, and of those before it.
    After,
}

/// What became of a [`Write`].
#[must_use]
pub struct Written {
    segment: Offset,
    batches: usize,
    /// After the last batch written.
    next: Option<Offset>,
    position: u64,
    disk: OnDisk,
    flushed: bool,
    /// The write made the batches as safe as the log's durability promises.
    keeps_promise: bool,
    result: Result<(), StorageError>,
}

impl Log {
    /// The next write, after which its batches are as safe as the log's durability promises; `None` when nothing is
    /// pending, a write is under way, or one has failed.
    pub fn begin_write(&mut self) -> Option<Write> {
        let batches = self.next_batches(self.end);
        if batches.is_empty() && !self.jobs.wants_file {
            return None;
        }
        let sync = match self.config.durability {
            Durability::Synced if self.flushed == self.written => Sync::Itself,
            Durability::Synced => Sync::After,
            Durability::Written if self.must_flush(&batches) => Sync::After,
            Durability::Written => Sync::Later,
        };
        let base = batches.first().map_or(self.segments.active().base, |first| first.segment);
        self.begin(base, batches, sync, true)
    }

    /// As `begin_write`, when something must be written before all below the log start can be deleted.
    pub fn begin_write_below_start(&mut self) -> Option<Write> {
        let is_due = self.written < self.start || self.jobs.wants_file;
        if is_due { self.begin_write() } else { None }
    }

    /// As `begin_write`, of what a journal keeps already: nobody waits for it, and it is not synced.
    pub fn begin_write_back(&mut self) -> Option<Write> {
        let batches = self.next_batches(self.stable);
        let base = batches.first()?.segment;
        self.begin(base, batches, Sync::Later, false)
    }

    /// Syncs what has been written; `None` when all of that is synced, or is being sealed.
    pub fn begin_sync(&mut self) -> Option<Write> {
        let last = self.segments.iter().rev().find(|segment| segment.written > 0)?;
        let base = last.base;
        let is_sealed = last.is_sealed() || (self.jobs.sealing && base != self.segments.active().base);
        if self.flushed == self.written || is_sealed {
            return None;
        }
        self.begin(base, Vec::new(), Sync::After, false)
    }

    fn begin(&mut self, base: Offset, batches: Vec<TailBatch>, sync: Sync, keeps_promise: bool) -> Option<Write> {
        if self.jobs.writing || self.jobs.removing || self.failed.is_some() {
            return None;
        }
        let config = self.config.clone();
        let older = match sync {
            Sync::After => self.unsealed_below(base),
            Sync::Later if config.durability == Durability::Synced => self.unsealed_below(base),
            Sync::Itself | Sync::Later => Vec::new(),
        };
        let segment = self.segments.get_mut(base).expect("a batch in the tail belongs to a segment");
        let written = segment.written;
        let open = segment.open_mut().expect("a segment is sealed after its last write");
        assert!(written == 0 || open.disk.allocated.is_some(), "one job at a time has a segment's file");
        let target = Target {
            disk: std::mem::take(&mut open.disk),
            file: segment.file.clone(),
            footing: self.footing.clone(),
            is_journaled: config.durability == Durability::Synced,
            position: written,
            segment_bytes: u64::from(config.segment_bytes),
            preallocate: config.preallocate,
            sync,
            older,
            open_files: self.open_files.clone(),
        };
        self.jobs.writing = true;
        Some(Write { batches, target, keeps_promise })
    }

    fn unsealed_below(&self, base: Offset) -> Vec<Rc<SegmentFile>> {
        let unsealed = self.segments.iter().filter(|segment| segment.base < base && !segment.is_sealed());
        unsealed.filter(|segment| segment.written > 0).map(|segment| segment.file.clone()).collect()
    }

    /// The unwritten batches below `below` that lie in one segment and fit a job.
    fn next_batches(&self, below: Offset) -> Vec<TailBatch> {
        let mut bytes = 0;
        let mut batches: Vec<TailBatch> = Vec::new();
        for batch in self.tail.unwritten().take_while(|batch| batch.last < below) {
            bytes += batch.size();
            let wanted = batches.first().is_none_or(|first| first.segment == batch.segment && bytes <= JOB_BYTES_MAX);
            if !wanted {
                break;
            }
            batches.push(batch.clone());
        }
        batches
    }

    /// Whether `flush.messages` are exceeded with this write, or it is the last one to a segment before they may be: a
    /// later sync reaches only the next file.
    fn must_flush(&self, batches: &[TailBatch]) -> bool {
        let Some(last) = batches.last() else { return false };
        let limit = self.config.flush_messages;
        let ends_segment = last.segment != self.segments.active().base;
        limit < i64::MAX && (last.last.plus(1) - self.flushed >= limit || ends_segment)
    }

    /// Takes back what a write brought. The only place where `written_offset` advances; returns `stable_offset`.
    pub fn finish_write(&mut self, written: Written) -> Result<Offset, StorageError> {
        assert!(self.jobs.writing, "a write is under way");
        self.jobs.writing = false;
        if let Err(error @ StorageError::Shortage { .. }) = written.result {
            // It never began.
            let segment = self.segments.get_mut(written.segment).expect("a segment with a write under way stays");
            segment.open_mut().expect("a segment with a write under way is open").disk = written.disk;
            return Err(error);
        }
        written.result.map_err(|error| self.fail(error))?;
        let segment = self.segments.get_mut(written.segment).expect("a segment with a write under way stays");
        assert!(segment.written <= written.position && written.position <= segment.size);
        segment.written = written.position;
        segment.open_mut().expect("a segment with a write under way is open").disk = written.disk;
        if written.segment == self.segments.active().base {
            self.jobs.wants_file = false;
        }
        self.written = written.next.unwrap_or(self.written);
        self.notes.written(self.tail.unwritten().take(written.batches));
        if written.flushed {
            self.notes.synced_below(self.written);
            self.flushed = self.written;
        }
        if written.keeps_promise {
            self.stabilise(self.written);
        }
        self.tail.advance(written.batches);
        self.check();
        Ok(self.stable)
    }
}

impl Write {
    /// Bytes of the batches on their way.
    pub fn len(&self) -> usize {
        self.batches.iter().map(TailBatch::size).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub async fn run(self) -> Written {
        let Self { batches, mut target, keeps_promise } = self;
        let result = target.write(&batches).await;
        Written {
            segment: target.file.base(),
            batches: batches.len(),
            next: batches.last().map(|batch| batch.last.plus(1)),
            position: target.position,
            flushed: target.sync != Sync::Later,
            disk: target.disk,
            keeps_promise,
            result,
        }
    }
}

impl Target {
    async fn write(&mut self, batches: &[TailBatch]) -> Result<(), StorageError> {
        if self.sync != Sync::Later || !self.is_journaled {
            self.footing.secure(self.file.dir()).await?;
        }
        let is_there = self.disk.allocated.is_some();
        if batches.is_empty() && self.sync == Sync::After && self.disk.writers.is_closed() && is_there {
            return self.sync_closed().await;
        }
        let older = match !is_there || self.sync == Sync::After {
            true => self.open_older().await?,
            false => Vec::new(),
        };
        if !is_there && !older.is_empty() {
            self.secure(&older).await.map_err(StorageError::for_good)?;
        }
        let file = self.writer().await?;
        self.write_to(file, older, batches).await.map_err(StorageError::for_good)
    }

    /// What comes before a new segment is durable, with its names.
    async fn secure(&self, older: &[File]) -> Result<(), StorageError> {
        for older in older {
            older.sync().await.doing("syncing a segment")?;
        }
        self.file.dir().sync().await.doing("syncing a log's directory")
    }

    /// Everything is open: from here on what fails is of the disk.
    async fn write_to(&mut self, file: File, older: Vec<File>, batches: &[TailBatch]) -> Result<(), StorageError> {
        if let (Some(first), Some(last)) = (batches.first(), batches.last()) {
            assert_eq!(first.position, self.position, "a write goes on where the last one ended");
            let end = last.end_position();
            self.allocate(&file, end.next_multiple_of(BLOCK)).await?;
            let partial = self.partial(&file).await?;
            self.write_blocks(&file, partial, batches, end).await?;
        }
        self.make_durable(&file, older).await?;
        drop(file);
        if self.open_files.has_many_writers() {
            self.disk.writers.close().await.doing("closing a segment")?;
        }
        Ok(())
    }

    /// Syncs a file that nobody writes to now, and leaves it closed.
    async fn sync_closed(&mut self) -> Result<(), StorageError> {
        let file = self.file.reader().await.doing("opening a segment")?;
        let older = self.open_older().await?;
        self.make_durable(&file, older).await.map_err(StorageError::for_good)?;
        self.file.release();
        Ok(())
    }

    /// The file, open for writing; created when the segment is new.
    async fn writer(&mut self) -> Result<File, StorageError> {
        let synced = self.sync == Sync::Itself;
        let open = if synced { &self.disk.writers.synced } else { &self.disk.writers.plain };
        if let Some(file) = open {
            return Ok(file.file.clone());
        }
        let is_new = self.disk.allocated.is_none();
        let mode = OpenMode::Write { create: is_new, synced };
        let file = self.file.dir().open_file(&self.file.name(names::LOG), mode).await.doing("opening a segment")?;
        if is_new {
            // What a crash may have left under this name is no part of the log.
            file.truncate(0).await.doing("cutting a segment").map_err(StorageError::for_good)?;
            self.disk.allocated = Some(0);
        }
        let writers = &mut self.disk.writers;
        let place = if synced { &mut writers.synced } else { &mut writers.plain };
        *place = Some(Writer { file: file.clone(), slot: self.open_files.writer() });
        Ok(file)
    }

    /// Those that are to be synced before the file itself.
    async fn open_older(&self) -> Result<Vec<File>, StorageError> {
        let mut files = Vec::new();
        for older in &self.older {
            files.push(older.reader().await.doing("opening a segment")?);
        }
        Ok(files)
    }

    async fn make_durable(&mut self, file: &File, older: Vec<File>) -> Result<(), StorageError> {
        if self.sync == Sync::Later {
            return Ok(());
        }
        if self.sync == Sync::After {
            for older in older {
                older.sync().await.doing("syncing a segment")?;
            }
            file.sync().await.doing("syncing a segment")?;
        }
        if !self.disk.named {
            self.file.dir().sync().await.doing("syncing a log's directory")?;
            self.disk.named = true;
        }
        Ok(())
    }

    /// Grows the file to hold `end`, in steps that double.
    async fn allocate(&mut self, file: &File, end: u64) -> Result<(), StorageError> {
        let allocated = self.disk.allocated.expect("an open file has a size");
        if end <= allocated {
            return Ok(());
        }
        let limit = self.segment_bytes.next_multiple_of(BLOCK);
        let step = self.disk.step.clamp(PREALLOCATE_STEP_MIN, PREALLOCATE_STEP_MAX);
        let wanted = if self.preallocate { limit } else { (allocated + step).next_multiple_of(BLOCK).min(limit) };
        let size = wanted.max(end);
        file.pre_allocate(size).await.doing("allocating a segment")?;
        self.disk.allocated = Some(size);
        self.disk.step = step * 2;
        Ok(())
    }

    /// The bytes of the block that the write begins in.
    async fn partial(&mut self, file: &File) -> Result<Vec<u8>, StorageError> {
        if let Some(partial) = self.disk.partial.take() {
            return Ok(partial);
        }
        let block = self.position - self.position % BLOCK;
        let bytes =
            file.read_at(block, (self.position - block) as usize).await.doing("reading a segment's last block")?;
        if block + bytes.len() as u64 != self.position {
            return Err(StorageError::Damaged { file: self.file.name(names::LOG), position: self.position });
        }
        Ok(bytes.to_vec())
    }

    async fn write_blocks(
        &mut self,
        file: &File,
        partial: Vec<u8>,
        batches: &[TailBatch],
        end: u64,
    ) -> Result<(), StorageError> {
        let mut at = self.position - partial.len() as u64;
        assert!(at.is_multiple_of(BLOCK), "a write begins with a block");
        let parts = batches.iter().flat_map(TailBatch::parts);
        let mut source = Source::new(std::iter::once(&partial[..]).chain(parts));
        // A write over written and preallocated blocks at once goes to a kernel worker thread; so the block that is
        // written again goes by itself, and all of them together.
        let mut size_max = if partial.is_empty() { WRITE_BYTES_MAX } else { BLOCK as usize };
        let mut writes = Vec::new();
        while at < end {
            let size = ((end - at).next_multiple_of(BLOCK) as usize).min(size_max);
            let mut buffer = file.allocate(size);
            let filled = source.fill(&mut buffer, runtime::copy_past_caches);
            buffer.zero_from(filled);
            if at + size as u64 >= end {
                let last_block = (filled as u64 - end % BLOCK) as usize;
                self.disk.partial = Some(buffer[last_block..filled].to_vec());
            }
            writes.push(file.write_at(buffer, at));
            at += size as u64;
            size_max = WRITE_BYTES_MAX;
        }
        for written in join_all(writes).await {
            written.doing("writing a segment")?;
        }
        self.position = end;
        Ok(())
    }
}

/// Copies `parts` one after another into `into`, as far as both go, and says how much.
pub(super) fn copy<'a>(parts: impl Iterator<Item = &'a [u8]>, into: &mut [u8]) -> usize {
    Source::new(parts).fill(into, <[u8]>::copy_from_slice)
}

/// Slices to be copied one after another.
struct Source<'a, I> {
    parts: I,
    rest: &'a [u8],
}

impl<'a, I: Iterator<Item = &'a [u8]>> Source<'a, I> {
    fn new(parts: I) -> Self {
        Self { parts, rest: &[] }
    }

    /// Fills as much of `buffer` as there is to copy, and says how much.
    fn fill(&mut self, buffer: &mut [u8], copy: impl Fn(&mut [u8], &[u8])) -> usize {
        let mut filled = 0;
        while filled < buffer.len() {
            if self.rest.is_empty() {
                let Some(part) = self.parts.next() else { break };
                self.rest = part;
                continue;
            }
            let count = self.rest.len().min(buffer.len() - filled);
            let (now, later) = self.rest.split_at(count);
            copy(&mut buffer[filled..filled + count], now);
            self.rest = later;
            filled += count;
        }
        filled
    }
}
