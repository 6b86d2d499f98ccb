//! Putting a cleaned segment in the place of those it was made of, so that a crash at any moment leaves the one or the
//! others.
//!
//! ```text
//!  .cleaned -> .swap      from here on a start completes the rest (see leftovers.rs)
//!  the old -> .deleted
//!  .log.swap -> final name
//!  the same of its indexes
//! ```
//! The directory is synced after each line.

use super::cleaned_segment::Complete;
use super::delete::{self, absent_is_fine};
use super::doomed::Doomed;
use super::error::{Doing, StorageError};
use super::log::Log;
use super::names;
use super::segment::Segment;
use super::segment_file::SegmentFile;
use std::rc::Rc;

/// Segments about to be replaced. To be run and handed to [`Log::finish_replacement`].
#[must_use]
pub(super) struct Replacement {
    old: Vec<Rc<SegmentFile>>,
    new: Complete,
}

/// What became of a [`Replacement`].
#[must_use]
pub(super) struct Replaced {
    old: Vec<Rc<SegmentFile>>,
    new: Complete,
    result: Result<(), StorageError>,
}

/// A segment's own files, the log first. The snapshot is not of the segment but of all before it.
const EXTENSIONS: [&str; 4] = [names::LOG, names::INDEX, names::TIME_INDEX, names::TRANSACTION_INDEX];

impl Log {
    /// `None` when the old segments are not neighbours in the log any more, or when something else is at them.
    pub(super) fn begin_replacement(&mut self, old: Vec<Rc<SegmentFile>>, new: Complete) -> Option<Replacement> {
        let first = old.first()?.base();
        let neighbours = self.segments.from(first).zip(&old);
        let all_there = neighbours.filter(|(segment, old)| Rc::ptr_eq(&segment.file, old)).count() == old.len();
        if !all_there || self.jobs.removing || self.jobs.replacing || self.failed.is_some() {
            return None;
        }
        self.jobs.replacing = true;
        Some(Replacement { old, new })
    }

    /// From now on reads find the new segment. Returns the old files.
    pub(super) fn finish_replacement(&mut self, replaced: Replaced) -> Result<Doomed, StorageError> {
        self.jobs.replacing = false;
        replaced.result.map_err(|error| self.fail(error))?;
        let Complete { file, size } = replaced.new;
        let (first, last) = (replaced.old.first(), replaced.old.last());
        let (first, last) = first.zip(last).expect("a replacement replaces something");
        // Who reads from memory must not see what was cleaned away: the transaction index knows it no more.
        let end = self.segments.replace(first.base(), last.base(), Segment::cleaned(file, size));
        self.tail.drop_below(end);
        self.check();
        Ok(Doomed::segments(self.dir.clone(), &replaced.old))
    }

    /// Segments are being renamed: none must be deleted, nor the log closed.
    pub fn is_replacing(&self) -> bool {
        self.jobs.replacing
    }
}

impl Replacement {
    pub async fn run(self) -> Replaced {
        let Self { old, new } = self;
        let result = replace(&old, &new.file).await;
        Replaced { old, new, result }
    }
}

async fn replace(old: &[Rc<SegmentFile>], new: &SegmentFile) -> Result<(), StorageError> {
    let dir = new.dir();
    new.rename_to(names::SWAP);
    rename(new, &EXTENSIONS, names::CLEANED).await?;
    dir.sync().await.doing("syncing a log's directory")?;
    for (at, old) in old.iter().enumerate() {
        old.mark_replaced();
        old.mark_deleted();
        // The first one's snapshot is the new one's too.
        rename(old, if at > 0 { &delete::EXTENSIONS } else { &EXTENSIONS }, "").await?;
    }
    dir.sync().await.doing("syncing a log's directory")?;
    // Were its indexes first, a start would take them for those of the old.
    let (log, indexes) = EXTENSIONS.split_at(1);
    new.rename_to("");
    for extensions in [log, indexes] {
        rename(new, extensions, names::SWAP).await?;
        dir.sync().await.doing("syncing a log's directory")?;
    }
    Ok(())
}

/// Gives the files that there are the names that the segment has now.
async fn rename(file: &SegmentFile, extensions: &[&str], from: &str) -> Result<(), StorageError> {
    for extension in extensions {
        let before = names::file(file.base(), extension) + from;
        let renamed = file.dir().rename(&before, &file.name(extension)).await;
        absent_is_fine(renamed).doing("renaming a cleaned segment")?;
    }
    Ok(())
}
