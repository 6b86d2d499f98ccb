//! Becoming another log's copy, in another log directory: batches as they are, and at the end what cannot be told from
//! them.

use super::error::StorageError;
use super::log::Log;
use crate::record::batches;
use crate::types::{Offset, Timestamp};
use bytes::Bytes;

impl Log {
    /// Takes the batches of `bytes` that lie past the end of this log, as their log stored them. Returns the new end.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] where a batch is not what was written.
    pub fn take_copy(&mut self, bytes: &Bytes, now: Timestamp) -> Result<Offset, StorageError> {
        self.sound()?;
        for batch in batches(bytes) {
            let batch = batch.ok().and_then(|batch| batch.trusted().ok()).ok_or_else(|| self.damaged())?;
            if batch.header.next_offset() <= self.end {
                continue;
            }
            if batch.header.base_offset < self.end {
                return Err(self.damaged());
            }
            self.put(&batch.header, &batch, now);
        }
        Ok(self.end)
    }

    fn damaged(&self) -> StorageError {
        StorageError::Damaged { file: format!("the log behind {}", self.dir.path().display()), position: self.size() }
    }

    /// Knows from now on what `original` knows: producers and epochs that left no batch, and where the log starts. Both
    /// end at the same offset.
    pub fn adopt(&mut self, original: &Self) {
        assert_eq!(self.end, original.end, "a copy is complete before it takes its original's place");
        self.producers = original.producers.clone();
        self.epochs = original.epochs.clone();
        self.epochs.mark_dirty();
        self.advance_start(original.start);
    }
}
