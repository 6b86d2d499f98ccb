//! Committed batches as state machines take them: records decoded, control records named, nothing cut in half.

use crate::metadata::Provenance;
use bytes::Bytes;
use odradek_protocol::codec::DecodeError;
use odradek_protocol::records::metadata::MetadataRecord;
use odradek_shards::record::{Batch, BatchError, ControlRecord, Corruption, batches};
use odradek_shards::types::Offset;

/// Bytes one batch may inflate to.
const INFLATED_BYTES_MAX: usize = 64 << 20;

/// One batch of the metadata log.
#[derive(Clone, Debug)]
pub struct CommittedBatch {
    pub base_offset: Offset,
    /// Its last record.
    pub last: Provenance,
    pub records: Vec<MetadataRecord>,
    /// Of a control batch; then there are no records.
    pub controls: Vec<ControlRecord>,
}

/// The log holds what no log of metadata can hold.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("at offset {offset}: {error}")]
    Batch { offset: Offset, error: BatchError },
    #[error("at offset {offset}: {error}")]
    Control { offset: Offset, error: Corruption },
    #[error("at offset {offset}: {error}")]
    Record { offset: Offset, error: DecodeError },
    #[error("at offset {offset}: a record without a value")]
    NoValue { offset: Offset },
}

/// All batches in `bytes`, which begin and end with a whole one.
pub fn read_batches(bytes: &Bytes) -> Result<Vec<CommittedBatch>, Unreadable> {
    let mut read = Vec::new();
    let mut next = Offset::ZERO;
    for batch in batches(bytes) {
        let batch = batch.map_err(|error| Unreadable::Batch { offset: next, error })?;
        next = batch.header.next_offset();
        read.push(read_batch(&batch)?);
    }
    Ok(read)
}

fn read_batch(batch: &Batch) -> Result<CommittedBatch, Unreadable> {
    let header = &batch.header;
    let base_offset = header.base_offset;
    batch.check_crc().map_err(|error| Unreadable::Control { offset: base_offset, error })?;
    let last = Provenance { offset: header.last_offset(), epoch: header.leader_epoch, timestamp: header.max_timestamp };
    let mut read = CommittedBatch { base_offset, last, records: Vec::new(), controls: Vec::new() };
    for record in batch.records(INFLATED_BYTES_MAX) {
        let record = record.map_err(|error| Unreadable::Batch { offset: base_offset, error })?;
        let offset = record.offset;
        if header.attributes.is_control() {
            let control = ControlRecord::parse(&record).map_err(|error| Unreadable::Control { offset, error })?;
            read.controls.push(control);
            continue;
        }
        let value = record.value.ok_or(Unreadable::NoValue { offset })?;
        // A copy: what is kept of the record must not keep the whole read alive.
        let value = Bytes::copy_from_slice(&value);
        let record = MetadataRecord::decode_value(value).map_err(|error| Unreadable::Record { offset, error })?;
        read.records.push(record);
    }
    Ok(read)
}
