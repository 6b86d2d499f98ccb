//! A batch as it lies in a segment and on the wire: its 61 header bytes as fields, and the walk from batch to batch.

use super::attributes::{Attributes, TimestampType};
use super::crc;
use super::iterator::RecordIter;
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use bytes::Bytes;

/// Bytes before the first record.
pub const HEADER_LEN: usize = 61;
/// Base offset and length: what `length` does not count.
pub const LOG_OVERHEAD: usize = 12;
/// The one format written since Kafka 0.11.
pub const MAGIC: i8 = 2;

/// Where each field starts. Base offset and leader epoch lie outside the checksum: the leader assigns both.
pub(super) mod field {
    pub const BASE_OFFSET: usize = 0;
    pub const LENGTH: usize = 8;
    pub const LEADER_EPOCH: usize = 12;
    pub const MAGIC: usize = 16;
    pub const CRC: usize = 17;
    pub const ATTRIBUTES: usize = 21;
    pub const LAST_OFFSET_DELTA: usize = 23;
    pub const BASE_TIMESTAMP: usize = 27;
    pub const MAX_TIMESTAMP: usize = 35;
    pub const PRODUCER_ID: usize = 43;
    pub const PRODUCER_EPOCH: usize = 51;
    pub const BASE_SEQUENCE: usize = 53;
    pub const RECORD_COUNT: usize = 57;
}
const _: () = assert!(field::RECORD_COUNT + 4 == HEADER_LEN);

/// Why bytes are no batch, by what the reader can do about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BatchError {
    /// The bytes end first: a torn tail, or a fetch cut short.
    #[error("the batch needs {needed} bytes and the data ends before")]
    Incomplete { needed: usize },
    /// Magic 0 or 1, which no client has written since 0.11.
    #[error("message format v{0} is not served")]
    OldFormat(i8),
    #[error("corrupt batch: {0}")]
    Corrupt(#[from] Corruption),
    /// The records inflate past the reader's bound.
    #[error("the records inflate to more than {max} bytes")]
    InflatedTooLarge { max: usize },
}

/// What is broken in a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Corruption {
    #[error("impossible length {0}")]
    Length(i32),
    #[error("unknown magic {0}")]
    Magic(i8),
    #[error("checksum {computed:#010x} where the header says {stored:#010x}")]
    Crc { stored: u32, computed: u32 },
    #[error("unknown codec {0}")]
    Codec(u8),
    #[error("offsets from {base} with a last delta of {last_delta}")]
    Offsets { base: i64, last_delta: i32 },
    #[error("a count of {0} records")]
    Count(i32),
    #[error("the compressed records do not inflate")]
    Compression,
    #[error("malformed record {0}")]
    Record(i32),
    #[error("bytes left after the last record")]
    Trailing,
    #[error("malformed control record")]
    Control,
}

/// The header's fields; a plain value. `parse` vouches for offsets, length and count, `ValidBatch` for all of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchHeader {
    pub base_offset: Offset,
    /// Bytes after the length field itself.
    pub length: i32,
    pub leader_epoch: LeaderEpoch,
    pub magic: i8,
    pub crc: u32,
    pub attributes: Attributes,
    pub last_offset_delta: i32,
    /// Time of the first record, or the delete horizon when the attributes say so.
    pub base_timestamp: Timestamp,
    pub max_timestamp: Timestamp,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record; -1 without a producer id.
    pub base_sequence: Sequence,
    /// May be less than the span of offsets after compaction, even 0.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`; the records need not be there yet.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        check_frame(bytes)?;
        let header = Self::read(bytes).ok_or(BatchError::Incomplete { needed: HEADER_LEN })?;
        header.check()?;
        Ok(header)
    }

    /// The fields as they are, believed in nothing; `None` when `bytes` is shorter than a header.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_LEN] = bytes.first_chunk()?;
        Some(Self {
            base_offset: Offset(get_i64(bytes, field::BASE_OFFSET)),
            length: get_i32(bytes, field::LENGTH),
            leader_epoch: LeaderEpoch(get_i32(bytes, field::LEADER_EPOCH)),
            magic: bytes[field::MAGIC] as i8,
            crc: get_i32(bytes, field::CRC) as u32,
            attributes: Attributes(get_i16(bytes, field::ATTRIBUTES)),
            last_offset_delta: get_i32(bytes, field::LAST_OFFSET_DELTA),
            base_timestamp: Timestamp(get_i64(bytes, field::BASE_TIMESTAMP)),
            max_timestamp: Timestamp(get_i64(bytes, field::MAX_TIMESTAMP)),
            producer_id: ProducerId(get_i64(bytes, field::PRODUCER_ID)),
            producer_epoch: ProducerEpoch(get_i16(bytes, field::PRODUCER_EPOCH)),
            base_sequence: Sequence(get_i32(bytes, field::BASE_SEQUENCE)),
            record_count: get_i32(bytes, field::RECORD_COUNT),
        })
    }

    /// Puts the fields into the first `HEADER_LEN` bytes.
    pub fn write(&self, bytes: &mut [u8; HEADER_LEN]) {
        put(bytes, field::BASE_OFFSET, &self.base_offset.0.to_be_bytes());
        put(bytes, field::LENGTH, &self.length.to_be_bytes());
        put(bytes, field::LEADER_EPOCH, &self.leader_epoch.0.to_be_bytes());
        put(bytes, field::MAGIC, &self.magic.to_be_bytes());
        put(bytes, field::CRC, &self.crc.to_be_bytes());
        put(bytes, field::ATTRIBUTES, &self.attributes.0.to_be_bytes());
        put(bytes, field::LAST_OFFSET_DELTA, &self.last_offset_delta.to_be_bytes());
        put(bytes, field::BASE_TIMESTAMP, &self.base_timestamp.0.to_be_bytes());
        put(bytes, field::MAX_TIMESTAMP, &self.max_timestamp.0.to_be_bytes());
        put(bytes, field::PRODUCER_ID, &self.producer_id.0.to_be_bytes());
        put(bytes, field::PRODUCER_EPOCH, &self.producer_epoch.0.to_be_bytes());
        put(bytes, field::BASE_SEQUENCE, &self.base_sequence.0.to_be_bytes());
        put(bytes, field::RECORD_COUNT, &self.record_count.to_be_bytes());
    }

    fn check(&self) -> Result<(), Corruption> {
        let (base, last_delta) = (self.base_offset.0, self.last_offset_delta);
        if base < 0 || last_delta < 0 || base.checked_add(i64::from(last_delta) + 1).is_none() {
            return Err(Corruption::Offsets { base, last_delta });
        }
        if self.record_count < 0 || i64::from(self.record_count) > i64::from(last_delta) + 1 {
            return Err(Corruption::Count(self.record_count));
        }
        Ok(())
    }

    /// Bytes of the whole batch.
    pub fn size(&self) -> usize {
        LOG_OVERHEAD + usize::try_from(self.length).expect("a parsed length is at least a header's")
    }

    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta))
    }

    /// The offset after the batch.
    pub fn next_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta) + 1)
    }

    /// From an idempotent producer.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id.0 >= 0
    }

    /// Sequence of the last record; -1 when there are none. Wraps from `i32::MAX` to 0.
    pub fn last_sequence(&self) -> Sequence {
        self.base_sequence.plus_wrapping(self.last_offset_delta)
    }

    pub fn timestamp_type(&self) -> TimestampType {
        self.attributes.timestamp_type()
    }
}

impl Sequence {
    /// The sequence `increment` records later; -1 stays -1.
    pub fn plus_wrapping(self, increment: i32) -> Self {
        if self.0 < 0 { Self(-1) } else { Self((self.0.wrapping_add(increment)) & i32::MAX) }
    }
}

/// Length and magic, in the order a reader meets them.
pub(super) fn check_frame(bytes: &[u8]) -> Result<usize, BatchError> {
    let Some(prefix) = bytes.first_chunk::<LOG_OVERHEAD>() else {
        return Err(BatchError::Incomplete { needed: HEADER_LEN });
    };
    let length = get_i32(prefix, field::LENGTH);
    let Some(&magic) = bytes.get(field::MAGIC) else {
        // Format v0's smallest record: anything below was never a batch of any format.
        return Err(if length < 14 {
            Corruption::Length(length).into()
        } else {
            BatchError::Incomplete { needed: HEADER_LEN }
        });
    };
    match magic as i8 {
        _ if length < 14 => Err(Corruption::Length(length).into()),
        MAGIC if (length as usize) < HEADER_LEN - LOG_OVERHEAD => Err(Corruption::Length(length).into()),
        MAGIC => Ok(LOG_OVERHEAD + length as usize),
        old @ (0 | 1) => Err(BatchError::OldFormat(old)),
        unknown => Err(Corruption::Magic(unknown).into()),
    }
}

/// A whole batch: its bytes and the header read from them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    pub header: BatchHeader,
    /// Exactly `header.size()` bytes.
    pub bytes: Bytes,
}

impl Batch {
    /// The batch at the start of `bytes`, which may go on after it. The checksum is not looked at.
    pub fn parse(bytes: &Bytes) -> Result<Self, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        let needed = header.size();
        if bytes.len() < needed {
            return Err(BatchError::Incomplete { needed });
        }
        Ok(Self { header, bytes: bytes.slice(..needed) })
    }

    pub fn check_crc(&self) -> Result<(), Corruption> {
        let (stored, computed) = (self.header.crc, crc::compute(&self.bytes));
        if stored == computed { Ok(()) } else { Err(Corruption::Crc { stored, computed }) }
    }

    /// The records, one at a time; at most `inflated_bytes_max` bytes are ever inflated.
    pub fn records(&self, inflated_bytes_max: usize) -> RecordIter {
        RecordIter::new(self, inflated_bytes_max)
    }
}

/// The batches that lie one after another in `bytes`. Ends after the first error; a cut last batch is `Incomplete`.
pub fn batches(bytes: &Bytes) -> Batches {
    Batches { rest: bytes.clone() }
}

#[derive(Clone, Debug)]
pub struct Batches {
    rest: Bytes,
}

impl Iterator for Batches {
    type Item = Result<Batch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = Batch::parse(&self.rest);
        self.rest = match &batch {
            Ok(batch) => self.rest.slice(batch.bytes.len()..),
            Err(_) => Bytes::new(),
        };
        Some(batch)
    }
}

fn get_i16(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn get_i32(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn get_i64(bytes: &[u8], at: usize) -> i64 {
    i64::from(get_i32(bytes, at)) << 32 | i64::from(get_i32(bytes, at + 4) as u32)
}

fn put(bytes: &mut [u8; HEADER_LEN], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

#[cfg(test)]
mod tests;
