//! Batches this broker writes itself: metadata, coordinator state, markers, and what tests produce.

use super::attributes::{Attributes, Codec, TimestampType};
use super::batch::{BatchHeader, HEADER_LEN, LOG_OVERHEAD, MAGIC, field};
use super::control::ControlRecordType;
use super::deflater::deflate;
use super::validator::ValidBatch;
use super::{crc, varint};
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// A record to be written; `None` is null.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewRecord<'a> {
    pub timestamp: Timestamp,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(&'a [u8], Option<&'a [u8]>)],
}

/// Gathers records into one batch. Offsets count up from the base offset without gaps.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    codec: Codec,
    level: Option<i32>,
    records: Vec<u8>,
    body: Vec<u8>,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    /// An uncompressed batch at offset 0, of no epoch and no producer.
    pub fn new() -> Self {
        let header = BatchHeader {
            base_offset: Offset::ZERO,
            length: 0,
            leader_epoch: LeaderEpoch::NONE,
            magic: MAGIC,
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: -1,
            base_timestamp: Timestamp::NONE,
            max_timestamp: Timestamp::NONE,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch(-1),
            base_sequence: Sequence(-1),
            record_count: 0,
        };
        Self { header, codec: Codec::None, level: None, records: Vec::new(), body: Vec::new() }
    }

    pub fn base_offset(mut self, offset: Offset) -> Self {
        self.header.base_offset = offset;
        self
    }

    pub fn leader_epoch(mut self, epoch: LeaderEpoch) -> Self {
        self.header.leader_epoch = epoch;
        self
    }

    /// `level` `None` = the codec's own.
    pub fn codec(mut self, codec: Codec, level: Option<i32>) -> Self {
        (self.codec, self.level) = (codec, level);
        self
    }

    pub fn timestamp_type(mut self, timestamp_type: TimestampType) -> Self {
        self.header.attributes = self.header.attributes.with_timestamp_type(timestamp_type);
        self
    }

    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: Sequence) -> Self {
        (self.header.producer_id, self.header.producer_epoch, self.header.base_sequence) = (id, epoch, base_sequence);
        self
    }

    pub fn transactional(mut self) -> Self {
        self.header.attributes = self.header.attributes.with_transactional(true);
        self
    }

    pub fn control(mut self) -> Self {
        self.header.attributes = self.header.attributes.with_control(true);
        self
    }

    /// Adds a record at the next offset.
    pub fn append(&mut self, record: &NewRecord<'_>) {
        let header = &mut self.header;
        if header.record_count == 0 {
            header.base_timestamp = record.timestamp;
        }
        header.record_count += 1;
        header.last_offset_delta += 1;
        header.max_timestamp = header.max_timestamp.max(record.timestamp);
        let timestamp_delta = record.timestamp.0.wrapping_sub(header.base_timestamp.0);
        self.body.clear();
        write_body(&mut self.body, timestamp_delta, header.last_offset_delta, record);
        varint::write_i64(&mut self.records, self.body.len() as i64);
        self.records.extend_from_slice(&self.body);
    }

    /// Adds a control record; the batch must have been made a control batch.
    pub fn append_control(&mut self, timestamp: Timestamp, kind: ControlRecordType, value: &[u8]) {
        assert!(self.header.attributes.is_control(), "control records live in control batches");
        self.append(&NewRecord { timestamp, key: Some(&kind.key()), value: Some(value), headers: &[] });
    }

    pub fn is_empty(&self) -> bool {
        self.header.record_count == 0
    }

    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// Bytes of the batch if it were built uncompressed.
    pub fn plain_size(&self) -> usize {
        HEADER_LEN + self.records.len()
    }

    /// Bytes `record` would add, at most.
    pub fn size_of(record: &NewRecord<'_>) -> usize {
        // Length, attributes, both deltas, header count at their longest.
        const FIXED: usize = 5 + 1 + 10 + 5 + 5;
        let headers = record.headers.iter().map(|(key, value)| nullable_size(Some(key)) + nullable_size(*value));
        FIXED + nullable_size(record.key) + nullable_size(record.value) + headers.sum::<usize>()
    }

    /// The batch with its checksum. Panics when no record was added: an empty batch is compaction's alone.
    pub fn build(mut self) -> ValidBatch {
        assert!(!self.is_empty(), "a batch holds a record");
        let mut bytes = vec![0; HEADER_LEN];
        if self.codec == Codec::None {
            bytes.append(&mut self.records);
        } else {
            bytes.append(&mut deflate(self.codec, self.level, &self.records));
        }
        self.header.attributes = self.header.attributes.with_codec(self.codec);
        self.header.length = i32::try_from(bytes.len() - LOG_OVERHEAD).expect("callers bound a batch far below 2 GiB");
        seal(&mut self.header, &mut bytes);
        ValidBatch { header: self.header, bytes: bytes.into() }
    }
}

/// Writes `header` into `bytes` and puts the checksum right in both.
pub(super) fn seal(header: &mut BatchHeader, bytes: &mut [u8]) {
    header.write(bytes.first_chunk_mut().expect("the caller left room for the header"));
    header.crc = crc::compute(bytes);
    bytes[field::CRC..field::CRC + 4].copy_from_slice(&header.crc.to_be_bytes());
}

fn write_body(out: &mut Vec<u8>, timestamp_delta: i64, offset_delta: i32, record: &NewRecord<'_>) {
    out.push(0);
    varint::write_i64(out, timestamp_delta);
    varint::write_i64(out, i64::from(offset_delta));
    write_nullable(out, record.key);
    write_nullable(out, record.value);
    varint::write_i64(out, record.headers.len() as i64);
    for (key, value) in record.headers {
        write_nullable(out, Some(key));
        write_nullable(out, *value);
    }
}

fn write_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            varint::write_i64(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
        None => varint::write_i64(out, -1),
    }
}

fn nullable_size(bytes: Option<&[u8]>) -> usize {
    5 + bytes.map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests;
