//! Finding the aborted transactions that a `read_committed` reader must be told of (KIP-98).

use super::error::{Doing, StorageError};
use super::index_file;
use super::limits::BLOCK;
use super::log::Log;
use super::names;
use super::segment::Segment;
use super::segment_file::SegmentFile;
use super::transaction_index::{ABORTED_ENTRY, Aborted, TransactionIndex};
use crate::runtime::File;
use crate::types::Offset;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// A planned search; leases the segments it looks into.
#[must_use]
pub struct AbortedRead {
    from: Offset,
    views: Vec<View>,
}

struct View {
    file: Rc<SegmentFile>,
    generation: u32,
    /// Of a segment that is not sealed; what it has not in its file is here.
    open: Option<Rc<RefCell<TransactionIndex>>>,
}

/// What touches the records of a read.
struct Found {
    from: Offset,
    end: Offset,
    aborted: Vec<Aborted>,
    /// No transaction with a later marker can touch them.
    complete: bool,
}

impl Log {
    /// Plans to find the aborted transactions that touch records from `from` on.
    pub fn plan_aborted(&self, from: Offset) -> AbortedRead {
        let segments = self.segments.from(from).filter(|segment| segment.file.has_aborted());
        AbortedRead { from, views: segments.map(Segment::aborted_view).collect() }
    }
}

impl Segment {
    fn aborted_view(&self) -> View {
        let open = self.open().map(|open| open.aborted.clone());
        View { generation: self.file.generation(), file: self.file.clone(), open }
    }
}

impl AbortedRead {
    /// Those that touch records below `end`, ordered by their markers, if that is known without the disk.
    pub fn at_once(&self, end: Offset) -> Option<Vec<Aborted>> {
        let mut found = Found::new(self.from, end);
        for view in &self.views {
            let open = view.open.as_ref()?.borrow();
            if open.entries.len_stored() > 0 {
                return None;
            }
            if found.take(open.added_from(self.from)) {
                break;
            }
        }
        Some(found.aborted)
    }

    /// The same by way of the disk. `None` when the segments were cut, replaced or deleted meanwhile: who asks again
    /// learns what became of them.
    pub async fn run(self, end: Offset) -> Result<Option<Vec<Aborted>>, StorageError> {
        let mut found = Found::new(self.from, end);
        for view in &self.views {
            let read = view.read(&mut found).await;
            if view.is_void() {
                return Ok(None);
            }
            if !read? {
                return Ok(None);
            }
            if found.complete {
                break;
            }
        }
        Ok(Some(found.aborted))
    }
}

impl View {
    fn is_void(&self) -> bool {
        self.file.generation() != self.generation || self.file.is_deleted()
    }

    /// False when the file is not what it is to be.
    async fn read(&self, found: &mut Found) -> Result<bool, StorageError> {
        loop {
            let stored = self.open.as_ref().map(|open| open.borrow().entries.len_stored());
            let known = found.aborted.len();
            if stored != Some(0) && !self.read_file(stored, found).await? {
                return Ok(false);
            }
            let Some(open) = &self.open else { return Ok(true) };
            let open = open.borrow();
            if Some(open.entries.len_stored()) == stored {
                if !found.complete {
                    found.take(open.added_from(found.from));
                }
                return Ok(true);
            }
            // What was in memory went to the file while it was read.
            found.aborted.truncate(known);
            found.complete = false;
        }
    }

    /// `stored` entries, or all that are there.
    async fn read_file(&self, stored: Option<u32>, found: &mut Found) -> Result<bool, StorageError> {
        let index = match self.file.open(names::TRANSACTION_INDEX).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            index => index.doing("opening a transaction index")?,
        };
        let whole = self.search(&index, stored, found).await.doing("reading a transaction index")?;
        index.close().await.doing("closing a transaction index")?;
        Ok(whole)
    }

    async fn search(&self, index: &File, stored: Option<u32>, found: &mut Found) -> io::Result<bool> {
        const ENTRIES: u32 = BLOCK as u32 / ABORTED_ENTRY as u32;
        let there = u32::try_from(index.len().await? / ABORTED_ENTRY as u64).unwrap_or(u32::MAX);
        let count = stored.unwrap_or(there);
        if there < count {
            return Ok(false);
        }
        let from = found.from;
        let ends_before =
            |entry: &[u8; ABORTED_ENTRY]| Aborted::parse(entry).is_some_and(|aborted| aborted.last < from);
        let mut at = index_file::search(index, count, ends_before).await?.map_or(0, |(last, _)| last + 1);
        while at < count && !found.complete {
            let entries = ENTRIES.min(count - at);
            let bytes = index.read_at(u64::from(at) * ABORTED_ENTRY as u64, entries as usize * ABORTED_ENTRY).await?;
            found.take(bytes.as_chunks().0.iter().filter_map(Aborted::parse));
            at += entries;
        }
        Ok(true)
    }
}

impl Found {
    fn new(from: Offset, end: Offset) -> Self {
        Self { from, end, aborted: Vec::new(), complete: false }
    }

    /// Returns whether it is complete.
    fn take(&mut self, aborted: impl Iterator<Item = Aborted>) -> bool {
        for aborted in aborted {
            if aborted.touches(self.from, self.end) {
                self.aborted.push(aborted);
            }
            if aborted.last_stable >= self.end {
                self.complete = true;
                break;
            }
        }
        self.complete
    }
}
