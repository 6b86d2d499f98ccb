//! The state of one partition's log, and what can be asked of it at once. What changes it stands in files of its own:
//! append, write, seal, read, lookup, delete, truncate, close.

use super::config::LogConfig;
use super::doomed::Doomed;
use super::error::{OpenError, StorageError};
use super::footing::Footing;
use super::leader_epoch::LeaderEpochs;
use super::loader;
use super::notes::{Noted, Notes};
use super::open_files::OpenFiles;
use super::producer_state::ProducerStates;
use super::read_ahead::ReadAhead;
use super::segments::Segments;
use super::tail::Tail;
use crate::runtime::Directory;
use crate::types::{LeaderEpoch, Offset, Timestamp};
use std::rc::Rc;
use std::sync::Arc;

/// One partition's log, owned by one shard.
///
/// Kept in an `Rc<RefCell<Log>>` whose borrow never lives across an await: whatever takes I/O is a job that is begun
/// under a borrow, runs without one, and is finished under another ([`Log::begin_write`] and [`Log::finish_write`], ...).
pub struct Log {
    pub(super) dir: Directory,
    pub(super) footing: Rc<Footing>,
    pub(super) config: Arc<LogConfig>,
    pub(super) segments: Segments,
    pub(super) tail: Tail,
    pub(super) epochs: LeaderEpochs,
    pub(super) producers: ProducerStates,
    pub(super) start: Offset,
    pub(super) end: Offset,
    /// Everything below is in the segments' files.
    pub(super) written: Offset,
    /// Everything below is as safe as the log's durability promises: in the segments' files, or in a journal.
    pub(super) stable: Offset,
    /// Everything below is on stable storage in the segments' files.
    pub(super) flushed: Offset,
    /// Everything from `flushed` to here has been handed to a journal, if this lies past it.
    pub(super) submitted: Offset,
    /// Everything below is on stable storage with its indexes; a scan after a crash starts there.
    pub(super) recovery_point: Offset,
    pub(super) read_ahead: Rc<ReadAhead>,
    pub(super) open_files: Rc<OpenFiles>,
    /// Below it the log has been compacted.
    pub(super) cleaned: Offset,
    /// Bytes of the active segment that lie below the recovery point.
    pub(super) marked: u64,
    /// Offsets of the snapshots that were written for recovery points within segments, oldest first.
    pub(super) marks: Vec<Offset>,
    pub(super) notes: Notes,
    /// Counts truncations.
    pub(super) cuts: u32,
    pub(super) jobs: Jobs,
    pub(super) failed: Option<StorageError>,
    /// Removed files of an earlier run.
    pub(super) found: Vec<String>,
}

/// The jobs under way.
#[derive(Default)]
pub(super) struct Jobs {
    /// A write or a trim holds the active segment's file.
    pub writing: bool,
    /// A rolled segment is being sealed.
    pub sealing: bool,
    /// Segments are being renamed or cut.
    pub removing: bool,
    /// A cleaned segment takes the place of others.
    pub replacing: bool,
    /// The active segment needs its file although there is nothing to write.
    pub wants_file: bool,
}

/// How a log is opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// The log directory was closed in order: files are believed as they are.
    pub clean: bool,
    /// From `recovery-point-offset-checkpoint`, 0 if unknown: where the scan of an unclean log starts.
    pub recovery_point: Offset,
    /// From `log-start-offset-checkpoint`, 0 if unknown.
    pub log_start: Offset,
    /// Whoever opens it syncs the whole file system before the log is used: what is found or made here need not be synced
    /// by itself.
    pub synced_later: bool,
    pub now: Timestamp,
}

impl Log {
    /// Opens the log in `dir`, which may be empty. Nothing is created before the first write.
    pub async fn open(dir: Directory, config: Arc<LogConfig>, how: Opening) -> Result<Self, OpenError> {
        loader::open(dir, config, how, Noted::default()).await
    }

    /// As `open`; what is noted of batches past the recovery point is not read.
    pub async fn open_noted(
        dir: Directory,
        config: Arc<LogConfig>,
        how: Opening,
        noted: Noted,
    ) -> Result<Self, OpenError> {
        loader::open(dir, config, how, noted).await
    }

    /// What an earlier run should have removed and did not come to.
    pub fn take_found(&mut self) -> Option<Doomed> {
        let names = std::mem::take(&mut self.found);
        (!names.is_empty()).then(|| Doomed::found(self.dir.clone(), names))
    }

    /// The first offset that can be read.
    pub fn start_offset(&self) -> Offset {
        self.start
    }

    /// The offset of the next batch.
    pub fn end_offset(&self) -> Offset {
        self.end
    }

    /// Everything below is in the segments' files. What lies at or past it is in memory.
    pub fn written_offset(&self) -> Offset {
        self.written
    }

    /// Everything below may be acknowledged: it is as safe as the log's durability promises.
    pub fn stable_offset(&self) -> Offset {
        self.stable
    }

    /// Everything below is on stable storage in the segments' files: no journal needs to keep it.
    pub fn flushed_offset(&self) -> Offset {
        self.flushed
    }

    /// Everything below is on stable storage: what `recovery-point-offset-checkpoint` may say.
    pub fn recovery_point(&self) -> Offset {
        self.recovery_point
    }

    /// Where the last compaction ended: what `cleaner-offset-checkpoint` says of a compacted log.
    pub fn cleaned(&self) -> Offset {
        self.cleaned
    }

    /// What the checkpoint of an earlier run says.
    pub fn set_cleaned(&mut self, offset: Offset) {
        self.cleaned = offset;
    }

    /// Bytes of all batches, those in memory included.
    pub fn size(&self) -> u64 {
        self.segments.size()
    }

    /// Bytes of the segments past the last compaction, but for the active one.
    pub fn dirty_bytes(&self) -> u64 {
        let dirty: u64 = self.segments.from(self.cleaned).map(|segment| segment.size).sum();
        dirty - self.segments.active().size
    }

    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    pub fn directory(&self) -> &Directory {
        &self.dir
    }

    pub fn epochs(&self) -> &LeaderEpochs {
        &self.epochs
    }

    pub fn producers(&self) -> &ProducerStates {
        &self.producers
    }

    /// Why the log takes nothing more, after a failed write.
    pub fn failure(&self) -> Option<&StorageError> {
        self.failed.as_ref()
    }

    /// Its log directory failed: it takes nothing more, and begins nothing more.
    pub fn abandon(&mut self) {
        self.failed.get_or_insert_with(StorageError::elsewhere);
    }

    /// New settings hold from the next batch on.
    pub fn reconfigure(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// Begins a leader epoch at the end of the log, before its first batch (KIP-101).
    pub fn assign_epoch(&mut self, epoch: LeaderEpoch) {
        self.epochs.assign(epoch, self.end);
    }

    /// Where an epoch ends; (-1, -1) when that cannot be known. See [`LeaderEpochs::end_offset_for`].
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> (LeaderEpoch, Offset) {
        self.epochs.end_offset_for(epoch, self.end)
    }

    /// Nothing at or past it may be read by a client that wants committed records only.
    pub fn last_stable_offset(&self, high_watermark: Offset) -> Offset {
        self.producers.first_unstable().map_or(high_watermark, |first| first.min(high_watermark))
    }

    /// Transactions that ended below are decided for good.
    pub fn advance_high_watermark(&mut self, high_watermark: Offset) {
        self.producers.advance_high_watermark(high_watermark);
    }

    /// Forgets producers that have been idle for `producer.id.expiration.ms`.
    pub fn expire_producers(&mut self, now: Timestamp) {
        self.producers.expire(now, self.config.producer_id_expiration_ms);
    }

    /// Bytes of batches that are in no segment's file yet.
    pub fn unwritten_bytes(&self) -> usize {
        self.tail.unwritten_bytes()
    }

    /// Some batches are in a journal and in no segment's file.
    pub fn is_behind(&self) -> bool {
        self.written < self.stable
    }

    /// Bytes of memory the tail is charged with, written batches kept for readers included.
    pub fn tail_bytes(&self) -> usize {
        self.tail.bytes()
    }

    /// Bytes of memory held besides the tail: the indexes of segments that are not sealed.
    pub fn index_bytes(&self) -> usize {
        self.segments.iter().filter_map(|segment| segment.open()).map(|open| open.memory()).sum()
    }

    /// Frees written batches of the tail until at most `bytes` are charged; unwritten ones stay. Returns what was freed.
    pub fn shrink_tail(&mut self, bytes: usize) -> usize {
        self.tail.shrink_to(bytes)
    }

    /// What written batches in the tail may take from now on.
    pub fn set_tail_share(&mut self, bytes: usize) {
        self.tail.set_share(bytes);
    }

    /// Its directory is not durable yet. Before the first job.
    pub fn set_footing(&mut self, footing: Footing) {
        self.footing = Rc::new(footing);
    }

    /// Its open files count among those of others from now on.
    pub fn set_open_files(&mut self, open_files: Rc<OpenFiles>) {
        self.open_files = open_files;
    }

    /// Where its readers in sequence find what they will ask for next.
    pub fn set_read_ahead(&mut self, read_ahead: Rc<ReadAhead>) {
        self.read_ahead = read_ahead;
    }

    /// Lets go of memory and files.
    pub(super) fn release(&mut self) {
        self.tail.shrink_to(0);
        self.segments.iter().for_each(|segment| segment.file.release());
    }

    /// The invariants between the fields.
    pub(super) fn check(&self) {
        assert!(self.segments.first().base <= self.start || self.start == self.end);
        assert!(self.start <= self.end && self.written <= self.end && self.stable <= self.end);
        assert!(self.flushed <= self.written && self.recovery_point <= self.end);
        assert!(self.tail.floor() <= self.written, "what is not written is in the tail");
        assert!(self.segments.active().open().is_some(), "batches can be appended to the active segment");
    }

    /// The only place where `stable` advances.
    pub(super) fn stabilise(&mut self, to: Offset) {
        self.stable = self.stable.max(to);
    }

    pub(super) fn sound(&self) -> Result<(), StorageError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// The first error decides: the disk's state is unknown from there on. Whoever drives the log says it.
    pub(super) fn fail(&mut self, error: StorageError) -> StorageError {
        tracing::debug!(log = %self.dir.path().display(), %error, "the log takes no more writes");
        self.failed.get_or_insert(error.for_good()).clone()
    }
}
