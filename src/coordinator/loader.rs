//! Records of a partition into a machine: what the bytes of its batches mean. `loader/driver.rs` brings the bytes.

mod driver;

pub use driver::load;

use super::machine::{Machine, RawRecord, Source};
use bytes::Bytes;
use odradek_protocol::codec::DecodeError;
use odradek_shards::error::ReadError;
use odradek_shards::record::{Batch, BatchError, ControlRecord, Corruption, batches};
use odradek_shards::types::Offset;

/// Why a partition was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error("the shard is shutting down")]
    Closed,
}

/// A machine that has read its partition.
pub struct Loaded<M> {
    pub machine: M,
    /// The end of what was read.
    pub position: i64,
    pub records: u64,
}

impl From<Corruption> for LoadError {
    fn from(corruption: Corruption) -> Self {
        Self::Batch(corruption.into())
    }
}

/// Records that mean nothing to this release, and the first reason.
#[derive(Debug, Default)]
pub struct Unread {
    pub count: u64,
    pub first: Option<DecodeError>,
}

impl<M: Machine> Loaded<M> {
    /// Takes whole batches; one that the bytes cut short is left for the next read.
    fn take(&mut self, bytes: &Bytes, inflated_bytes_max: usize, unread: &mut Unread) -> Result<(), LoadError> {
        for batch in batches(bytes) {
            match batch {
                Err(BatchError::Incomplete { .. }) => return Ok(()),
                Err(error) => return Err(error.into()),
                Ok(batch) => self.take_batch(&batch, inflated_bytes_max, unread)?,
            }
        }
        Ok(())
    }

    fn take_batch(&mut self, batch: &Batch, inflated_bytes_max: usize, unread: &mut Unread) -> Result<(), LoadError> {
        let header = &batch.header;
        let producer = header.attributes.is_transactional().then_some(header.producer_id);
        for record in batch.records(inflated_bytes_max) {
            let record = record?;
            if header.attributes.is_control() {
                if let Some(marker) = ControlRecord::parse(&record)?.marker()? {
                    self.machine.end_transaction(header.producer_id, marker.committed);
                }
                continue;
            }
            let Some(key) = record.key else { continue };
            let source = Source { position: record.offset.0, producer };
            match M::decode(RawRecord { key, value: record.value }) {
                Ok(Some(record)) => self.machine.replay(record, source),
                Ok(None) => {}
                Err(error) => {
                    unread.count += 1;
                    unread.first.get_or_insert(error);
                }
            }
            self.records += 1;
        }
        self.position = header.next_offset().0;
        Ok(())
    }

    fn next(&self) -> Offset {
        Offset(self.position)
    }
}
