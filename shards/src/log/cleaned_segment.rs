//! A segment that a cleaner writes: `.cleaned` files beside the log, complete and synced before they replace anything.

use super::config::LogConfig;
use super::error::{Doing, StorageError};
use super::index_file;
use super::limits::{BLOCK, PREALLOCATE_STEP_MAX, WRITE_BYTES_MAX};
use super::names;
use super::segment::Segment;
use super::segment_file::SegmentFile;
use super::transaction_index::Aborted;
use crate::record::Batch;
use crate::runtime::{Directory, File, OpenMode};
use crate::types::{Offset, Timestamp};
use std::rc::Rc;

/// A segment being written.
pub(super) struct CleanedSegment {
    segment: Segment,
    log: File,
    /// Bytes on disk; a whole number of blocks.
    written: u64,
    allocated: u64,
    /// What comes after them.
    pending: Vec<u8>,
    index_interval_bytes: u32,
}

/// A complete one.
pub(super) struct Complete {
    pub file: Rc<SegmentFile>,
    pub size: u64,
}

impl CleanedSegment {
    pub async fn create(
        dir: &Directory,
        base: Offset,
        config: &LogConfig,
        now: Timestamp,
    ) -> Result<Self, StorageError> {
        let segment = Segment::new(dir, base, config, now, 0);
        segment.file.rename_to(names::CLEANED);
        let mode = OpenMode::Write { create: true, synced: false };
        let log = dir.open_file(&segment.file.name(names::LOG), mode).await.doing("creating a cleaned segment")?;
        log.truncate(0).await.doing("creating a cleaned segment")?;
        let index_interval_bytes = config.index_interval_bytes;
        Ok(Self { segment, log, written: 0, allocated: 0, pending: Vec::new(), index_interval_bytes })
    }

    pub fn size(&self) -> u64 {
        self.segment.size
    }

    pub async fn append(&mut self, batch: &Batch) -> Result<(), StorageError> {
        if self.segment.size + batch.bytes.len() as u64 > i32::MAX as u64 {
            // Batches grow when their timestamps have to be written again; a position has 31 bits.
            return Err(StorageError::Full { doing: "putting segments together, as positions have 31 bits" });
        }
        self.segment.append(&batch.header, self.index_interval_bytes);
        self.pending.extend_from_slice(&batch.bytes);
        while self.pending.len() >= WRITE_BYTES_MAX {
            self.write(WRITE_BYTES_MAX).await?;
        }
        Ok(())
    }

    pub fn note_aborted(&mut self, aborted: Vec<Aborted>) {
        aborted.into_iter().for_each(|aborted| self.segment.note_aborted(aborted));
    }

    /// Writes the first `len` pending bytes, with zeros up to the end of a block.
    async fn write(&mut self, len: usize) -> Result<(), StorageError> {
        let padded = (len as u64).next_multiple_of(BLOCK);
        let end = self.written + padded;
        if end > self.allocated {
            let step = self.allocated.clamp(BLOCK, PREALLOCATE_STEP_MAX);
            self.allocated = (self.allocated + step).max(end).next_multiple_of(BLOCK);
            self.log.pre_allocate(self.allocated).await.doing("allocating a cleaned segment")?;
        }
        let mut buffer = self.log.allocate(padded as usize);
        buffer[..len].copy_from_slice(&self.pending[..len]);
        buffer[len..].fill(0);
        self.log.write_at(buffer, self.written).await.doing("writing a cleaned segment")?;
        self.pending.drain(..len);
        self.written = end;
        Ok(())
    }

    /// Writes what is left and the indexes, all of it durable. The files count as written at `modified`: what they hold
    /// is as old as what they replace.
    pub async fn complete(mut self, modified: Option<Timestamp>) -> Result<Complete, StorageError> {
        while !self.pending.is_empty() {
            self.write(self.pending.len().min(WRITE_BYTES_MAX)).await?;
        }
        self.log.truncate(self.segment.size).await.doing("cutting a cleaned segment")?;
        self.log.sync().await.doing("syncing a cleaned segment")?;
        self.log.close().await.doing("closing a cleaned segment")?;
        let file = self.segment.file.clone();
        let open = self.segment.open_mut().expect("a segment is open while it is written");
        open.complete_time_index();
        let largest = open.largest.map_or(Timestamp::NONE, |largest| largest.timestamp);
        let dir = file.dir();
        let extensions = [names::INDEX, names::TIME_INDEX, names::TRANSACTION_INDEX];
        for (extension, index) in extensions.into_iter().zip(open.index_bytes()) {
            if extension != names::TRANSACTION_INDEX || !index.added.is_empty() {
                index_file::write(dir, &file.name(extension), &index, true).await?;
            }
        }
        if let Some(modified) = modified {
            dir.set_modified(&file.name(names::LOG), modified).await.doing("dating a cleaned segment")?;
        }
        dir.sync().await.doing("syncing a log's directory")?;
        file.set_largest_timestamp(largest);
        Ok(Complete { file, size: self.segment.size })
    }

    /// Nothing is to be replaced.
    pub async fn discard(self) -> Result<(), StorageError> {
        let file = self.segment.file.clone();
        self.log.close().await.doing("closing a cleaned segment")?;
        file.dir().remove_file(&file.name(names::LOG)).await.doing("removing a cleaned segment")
    }
}

/// Removes what earlier cleanings have left unfinished. Must be done before another begins: a start after a crash would
/// take them for a sign that later replacements are not complete.
pub(super) async fn remove_unfinished(dir: &Directory) -> Result<(), StorageError> {
    let mut removed = false;
    for entry in dir.list().await.doing("listing a log's directory")? {
        if entry.name.ends_with(names::CLEANED) {
            dir.remove_file(&entry.name).await.doing("removing an unfinished cleaned segment")?;
            removed = true;
        }
    }
    match removed {
        true => dir.sync().await.doing("syncing a log's directory"),
        false => Ok(()),
    }
}
