//! The records of a batch, one at a time: slices of the batch, or of what it inflates to.

use super::batch::{Batch, BatchError, BatchHeader, Corruption, HEADER_LEN};
use super::compression::Inflater;
use super::varint::{Broken, Slice, Source, read_i32, read_i64};
use crate::record::TimestampType;
use crate::types::{Offset, Sequence, Timestamp};
use bytes::Bytes;

/// One record; keys and values are slices, not copies, when the batch is not compressed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    pub offset: Offset,
    pub timestamp: Timestamp,
    /// -1 without a producer id.
    pub sequence: Sequence,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
}

/// KIP-82; the key is meant to be UTF-8, which no broker checks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

/// Ends after the first error.
pub struct RecordIter {
    header: BatchHeader,
    records: Records,
    index: i32,
    bytes_max: usize,
}

enum Records {
    Plain(Bytes),
    Packed(Box<Inflater>),
    Broken(Corruption),
}

impl RecordIter {
    pub(super) fn new(batch: &Batch, bytes_max: usize) -> Self {
        let bytes = batch.bytes.slice(HEADER_LEN..);
        let records = match batch.header.attributes.codec() {
            Ok(super::Codec::None) => Records::Plain(bytes),
            Ok(codec) => Records::Packed(Box::new(Inflater::new(codec, bytes, bytes_max))),
            Err(corruption) => Records::Broken(corruption),
        };
        Self { header: batch.header, records, index: 0, bytes_max }
    }

    fn read(&mut self) -> Result<Record, BatchError> {
        let body = self.records.next_body().map_err(|broken| self.error(broken))?;
        let record = parse_body(&self.header, body).map_err(|broken| self.error(broken))?;
        self.index += 1;
        if self.index == self.header.record_count && !self.records.is_at_end().map_err(|broken| self.error(broken))? {
            return Err(Corruption::Trailing.into());
        }
        Ok(record)
    }

    fn error(&self, broken: Broken) -> BatchError {
        match (&self.records, broken) {
            (Records::Broken(corruption), _) => (*corruption).into(),
            (_, Broken::Malformed) => Corruption::Record(self.index).into(),
            (_, Broken::Compression) => Corruption::Compression.into(),
            (_, Broken::TooLarge) => BatchError::InflatedTooLarge { max: self.bytes_max },
        }
    }
}

impl Iterator for RecordIter {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.header.record_count {
            return None;
        }
        let record = self.read();
        if record.is_err() {
            self.index = self.header.record_count;
        }
        Some(record)
    }
}

impl Records {
    /// The bytes of the next record after its length.
    fn next_body(&mut self) -> Result<Bytes, Broken> {
        match self {
            Self::Plain(rest) => {
                let mut source = Slice::new(rest);
                let len = usize::try_from(read_i32(&mut source)?).map_err(|_| Broken::Malformed)?;
                let start = source.position() as usize;
                let end = start.checked_add(len).filter(|end| *end <= rest.len()).ok_or(Broken::Malformed)?;
                let body = rest.slice(start..end);
                *rest = rest.slice(end..);
                Ok(body)
            }
            Self::Packed(inflater) => {
                let len = read_i32(inflater.as_mut())?;
                inflater.take(usize::try_from(len).map_err(|_| Broken::Malformed)?)
            }
            Self::Broken(_) => Err(Broken::Malformed),
        }
    }

    fn is_at_end(&mut self) -> Result<bool, Broken> {
        match self {
            Self::Plain(rest) => Ok(rest.is_empty()),
            Self::Packed(inflater) => inflater.is_at_end(),
            Self::Broken(_) => Err(Broken::Malformed),
        }
    }
}

fn parse_body(header: &BatchHeader, body: Bytes) -> Result<Record, Broken> {
    let mut source = Slice::new(&body);
    let _attributes = source.byte()?;
    let timestamp_delta = read_i64(&mut source)?;
    let offset_delta = read_i32(&mut source)?;
    if !(0..=header.last_offset_delta).contains(&offset_delta) {
        return Err(Broken::Malformed);
    }
    let key = read_nullable(&mut source, &body)?;
    let value = read_nullable(&mut source, &body)?;
    let count = read_i32(&mut source)?;
    if count < 0 {
        return Err(Broken::Malformed);
    }
    let mut headers = Vec::new();
    for _ in 0..count {
        let key = read_nullable(&mut source, &body)?.ok_or(Broken::Malformed)?;
        headers.push(Header { key, value: read_nullable(&mut source, &body)? });
    }
    if source.position() != body.len() as u64 {
        return Err(Broken::Malformed);
    }
    let timestamp = match header.timestamp_type() {
        TimestampType::CreateTime => Timestamp(header.base_timestamp.0.wrapping_add(timestamp_delta)),
        TimestampType::LogAppendTime => header.max_timestamp,
    };
    Ok(Record {
        offset: header.base_offset.plus(i64::from(offset_delta)),
        timestamp,
        sequence: header.base_sequence.plus_wrapping(offset_delta),
        key,
        value,
        headers,
    })
}

fn read_nullable(source: &mut Slice<'_>, body: &Bytes) -> Result<Option<Bytes>, Broken> {
    let Ok(len) = u32::try_from(read_i32(source)?) else { return Ok(None) };
    let start = source.position() as usize;
    source.skip(len)?;
    Ok(Some(body.slice(start..start + len as usize)))
}

#[cfg(test)]
mod tests;
