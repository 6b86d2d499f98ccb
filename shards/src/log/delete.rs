//! Taking segments below the log start offset out of a log, and whole logs out of their directory. Files are renamed first,
//! and removed later, when whoever still reads them is done.

use super::doomed::Doomed;
use super::error::{Doing, StorageError};
use super::limits::SEGMENTS_REMOVED_AT_ONCE;
use super::log::Log;
use super::names;
use super::segment_file::SegmentFile;
use crate::runtime::Directory;
use crate::types::{Offset, PartitionIndex, Timestamp};
use std::io;
use std::rc::Rc;

/// What belongs to one segment.
pub(super) const EXTENSIONS: [&str; 5] =
    [names::LOG, names::INDEX, names::TIME_INDEX, names::TRANSACTION_INDEX, names::SNAPSHOT];

/// Segments that have left the log, to be renamed. To be run and handed to [`Log::finish_deletion`].
#[must_use]
pub struct Deletion {
    files: Vec<Rc<SegmentFile>>,
}

/// What became of a [`Deletion`].
#[must_use]
pub struct Deleted {
    files: Vec<Rc<SegmentFile>>,
    result: Result<(), StorageError>,
}

impl Log {
    /// Moves the log start offset up (DeleteRecords); records below are not read any more. The caller keeps it at or
    /// below the high watermark. Returns the log start offset.
    pub fn advance_start(&mut self, start: Offset) -> Offset {
        assert!(start <= self.end, "a log does not start past its end");
        if start > self.start {
            self.start = start;
            self.epochs.truncate_from_start(start);
        }
        self.start
    }

    /// Takes segments out that lie below the log start offset as a whole, a few at a time. When that is all of them, a new one is
    /// begun first, so that the end offset is not lost: then `None` comes until its file is written.
    pub fn begin_deletion(&mut self, now: Timestamp) -> Option<Deletion> {
        let busy = self.jobs.writing || self.jobs.sealing || self.jobs.removing || self.jobs.replacing;
        if busy || self.failed.is_some() {
            return None;
        }
        let active = self.segments.active();
        if self.start == self.end && active.size > 0 && active.written == active.size {
            self.roll(self.end, now);
            self.jobs.wants_file = true;
        }
        let count = self.segments.count_below(self.start).min(SEGMENTS_REMOVED_AT_ONCE);
        // One that is not sealed ends with zeros: if it outlived the next one, a start would take that for a loss.
        let settled = self.segments.iter().take(count).take_while(|segment| segment.is_sealed()).count();
        if settled == 0 || !self.segments.active().has_file() {
            return None;
        }
        let files = self.segments.take_first(settled).into_iter().map(|segment| segment.file).collect();
        self.recovery_point = self.recovery_point.max(self.segments.first().base);
        self.jobs.removing = true;
        Some(Deletion { files })
    }

    /// Takes back what a deletion brought.
    pub fn finish_deletion(&mut self, deleted: Deleted) -> Result<Doomed, StorageError> {
        self.jobs.removing = false;
        deleted.result.map_err(|error| self.fail(error))?;
        // What was not synced of them is not missed any more.
        self.flushed = self.flushed.max(self.segments.first().base.min(self.written));
        self.check();
        Ok(Doomed::segments(self.dir.clone(), &deleted.files))
    }
}

impl Deletion {
    pub async fn run(self) -> Deleted {
        let mut result = Ok(());
        for file in &self.files {
            result = rename(file).await;
            if result.is_err() {
                // Going on would leave a segment behind a gap.
                break;
            }
        }
        if let (Ok(()), Some(file)) = (&result, self.files.first()) {
            result = file.dir().sync().await.doing("syncing a log's directory");
        }
        Deleted { files: self.files, result }
    }
}

/// The oldest file of a segment goes last: while it is there, a crash finds the segment whole.
async fn rename(file: &SegmentFile) -> Result<(), StorageError> {
    let names = EXTENSIONS.map(|extension| file.name(extension));
    file.mark_deleted();
    for (name, extension) in names.iter().zip(EXTENSIONS) {
        let renamed = file.dir().rename(name, &file.name(extension)).await;
        absent_is_fine(renamed).doing("renaming a deleted segment")?;
    }
    Ok(())
}

pub(super) fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Takes a whole log out of its log directory `parent` by renaming it, as Kafka does when a topic is deleted. Jobs and
/// reads under way go on in the renamed directory. Returns the new name, for
/// [`Doomed::log`]. `unique` must be random.
pub async fn retire(
    parent: &Directory,
    topic: &str,
    partition: PartitionIndex,
    unique: u128,
) -> Result<String, StorageError> {
    let name = names::deleted_directory(topic, partition, unique);
    parent.rename(&names::directory(topic, partition), &name).await.doing("renaming a deleted log")?;
    parent.sync().await.doing("syncing a log directory")?;
    Ok(name)
}
