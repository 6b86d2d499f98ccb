//! What a job knows of a segment once the log's borrow has ended.

use super::error::{Doing, StorageError};
use super::index_file;
use super::names;
use super::offset_index::{OFFSET_ENTRY, OffsetEntry};
use super::segment_file::SegmentFile;
use crate::types::Offset;
use std::io;
use std::rc::Rc;

/// A segment as it was when the job was planned; leases its file.
pub(super) struct SegmentView {
    pub file: Rc<SegmentFile>,
    /// Bytes on disk.
    pub limit: u64,
    pub start: Start,
    generation: u32,
}

/// Where to begin to look for an offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Start {
    /// The batch begins here.
    Exactly(u64),
    /// A batch begins here, and the sought one is it or comes after it.
    AtOrBefore(u64),
    /// To be searched in the index file: in its first `stored` entries, or in all of them.
    Search { stored: Option<u32> },
}

impl SegmentView {
    pub fn new(file: Rc<SegmentFile>, limit: u64, start: Start) -> Self {
        let generation = file.generation();
        Self { file, limit, start, generation }
    }

    /// A batch's position, from which a walk finds `offset`. Only a hint: an index file that is missing or points
    /// outside the file means the start of the file.
    pub async fn locate(&self, offset: Offset) -> Result<u64, StorageError> {
        match self.start {
            Start::Exactly(position) | Start::AtOrBefore(position) => Ok(position),
            Start::Search { stored } => self.search(offset, stored).await,
        }
    }

    async fn search(&self, offset: Offset, stored: Option<u32>) -> Result<u64, StorageError> {
        if stored == Some(0) {
            return Ok(0);
        }
        let base = self.file.base();
        let index = match self.file.open(names::INDEX).await {
            Ok(index) => index,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error).doing("opening an offset index"),
        };
        let len = index.len().await.doing("reading an offset index")?;
        let count = u32::try_from(len / OFFSET_ENTRY as u64).unwrap_or(u32::MAX).min(stored.unwrap_or(u32::MAX));
        let at_most = |bytes: &[u8; OFFSET_ENTRY]| {
            OffsetEntry::parse_padded(base, bytes).is_some_and(|entry| entry.offset <= offset)
        };
        let found = index_file::search(&index, count, at_most).await.doing("reading an offset index")?;
        index.close().await.doing("closing an offset index")?;
        let position = found.map_or(0, |(_, bytes)| u64::from(OffsetEntry::parse(base, &bytes).position));
        Ok(if position < self.limit { position } else { 0 })
    }

    /// The log was cut since: what is in the file now is not what was planned to be read.
    pub fn is_void(&self) -> bool {
        self.file.generation() != self.generation
    }

    pub fn damaged(&self, position: u64) -> StorageError {
        StorageError::Damaged { file: self.file.name(names::LOG), position }
    }
}
