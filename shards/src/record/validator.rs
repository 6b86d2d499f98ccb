//! The door for produced batches: parsed and checked once, in the order and with the outcomes of Kafka's broker.

use super::attributes::{Codec, TimestampType};
use super::batch::{Batch, BatchError, BatchHeader, Corruption, HEADER_LEN, check_frame};
use super::builder::seal;
use super::compression::Inflater;
use super::crc;
use super::rejected::{RECORD_ERRORS_MAX, RecordError, Rejected};
use super::rules::{Origin, Rules};
use super::varint::{Broken, Slice, Source};
use super::walk::{Outline, next_outline};
use crate::types::Timestamp;
use bytes::Bytes;

/// A batch that may be appended: whole, its checksum right, its records counted and read through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValidBatch {
    pub header: BatchHeader,
    /// Exactly `header.size()` bytes; offset and leader epoch are still the maker's.
    pub bytes: Bytes,
}

impl From<ValidBatch> for Batch {
    fn from(batch: ValidBatch) -> Self {
        Self { header: batch.header, bytes: batch.bytes }
    }
}

impl Batch {
    /// A batch another broker has validated: only the checksum is left to be seen to.
    pub fn trusted(self) -> Result<ValidBatch, Corruption> {
        self.check_crc()?;
        Ok(ValidBatch { header: self.header, bytes: self.bytes })
    }
}

/// Checks what a client sent for one partition: exactly one batch, good by `rules` at the time `now`.
///
/// The bytes are kept as they came unless the timestamps in the header have to change (LogAppendTime, or a maximum
/// that is not the records'); then they are copied with a new checksum.
pub fn validate(records: Bytes, rules: &Rules, now: Timestamp) -> Result<ValidBatch, Rejected> {
    let (header, bytes) = only_batch(&records, rules)?;
    check_whole(&header, &bytes, rules)?;
    let codec = header.attributes.codec().map_err(BatchError::from)?;
    check_header(&header, rules)?;
    let max_timestamp = check_records(&header, codec, &bytes, rules, now)?;
    if bytes.len() > rules.segment_bytes {
        let message = format!("the batch has {} bytes, a segment at most {}", bytes.len(), rules.segment_bytes);
        return Err(Rejected::new(RecordError::LargerThanSegment, message));
    }
    Ok(match rules.timestamp_type {
        TimestampType::CreateTime => stamped(header, bytes, max_timestamp, TimestampType::CreateTime),
        TimestampType::LogAppendTime => stamped(header, bytes, now, TimestampType::LogAppendTime),
    })
}

/// Cuts the one batch out. A last piece too short to be a batch is dropped, as Kafka does.
fn only_batch(records: &Bytes, rules: &Rules) -> Result<(BatchHeader, Bytes), Rejected> {
    let size = check_frame(records)?;
    let header = match BatchHeader::read(records) {
        Some(header) if size <= records.len() => header,
        _ => return Err(BatchError::Incomplete { needed: size }.into()),
    };
    if header.attributes.codec() == Ok(Codec::Zstd) && !rules.zstd_allowed {
        let message = "zstd needs Produce version 7 or later";
        return Err(Rejected::new(RecordError::UnsupportedCompression, message));
    }
    match check_frame(&records[size..]) {
        Err(BatchError::Incomplete { .. }) => {}
        Err(error @ BatchError::Corrupt(_)) => return Err(error.into()),
        Ok(next) if size + next > records.len() => {}
        Ok(_) | Err(_) => return Err(invalid("a partition takes exactly one batch in a request")),
    }
    Ok((header, records.slice(..size)))
}

fn check_whole(header: &BatchHeader, bytes: &[u8], rules: &Rules) -> Result<(), Rejected> {
    if rules.origin == Origin::Client && header.base_offset.0 != 0 {
        return Err(invalid(format!("a produced batch starts at offset 0, not {}", header.base_offset)));
    }
    if bytes.len() > rules.max_message_bytes {
        let message = format!("the batch has {} bytes, the topic takes {}", bytes.len(), rules.max_message_bytes);
        return Err(Rejected::new(RecordError::TooLarge, message));
    }
    let (stored, computed) = (header.crc, crc::compute(bytes));
    if stored != computed {
        return Err(BatchError::from(Corruption::Crc { stored, computed }).into());
    }
    Ok(())
}

fn check_header(header: &BatchHeader, rules: &Rules) -> Result<(), Rejected> {
    if header.last_offset_delta < 0 {
        return Err(invalid(format!("a last offset delta of {}", header.last_offset_delta)));
    }
    if header.record_count <= 0 || header.record_count - 1 != header.last_offset_delta {
        let (count, delta) = (header.record_count, header.last_offset_delta);
        return Err(invalid(format!("a count of {count} records with a last offset delta of {delta}")));
    }
    if rules.origin == Origin::Client {
        if header.attributes.is_control() {
            return Err(invalid("clients write no control records"));
        }
        if header.has_producer_id() && header.base_sequence.0 < 0 {
            let message = format!("sequence {} from producer {}", header.base_sequence, header.producer_id);
            return Err(invalid(message));
        }
        if header.attributes.is_transactional() && !header.has_producer_id() {
            return Err(invalid("a transactional batch has a producer id"));
        }
    }
    Ok(())
}

/// Reads the records through; the largest timestamp.
fn check_records(
    header: &BatchHeader,
    codec: Codec,
    bytes: &Bytes,
    rules: &Rules,
    now: Timestamp,
) -> Result<Timestamp, Rejected> {
    let check = RecordCheck { header, rules, now };
    if codec == Codec::None {
        let mut source = Slice::new(&bytes[HEADER_LEN..]);
        let max_timestamp = check.run(&mut source)?;
        return if source.position() as usize == bytes.len() - HEADER_LEN {
            Ok(max_timestamp)
        } else {
            Err(trailing())
        };
    }
    let packed = bytes.slice(HEADER_LEN..);
    let mut source = Inflater::new(codec, packed, rules.inflated_bytes_max);
    let max_timestamp = check.run(&mut source)?;
    match source.is_at_end() {
        Ok(true) => Ok(max_timestamp),
        Ok(false) => Err(trailing()),
        Err(broken) => Err(check.broken(header.record_count, broken)),
    }
}

struct RecordCheck<'a> {
    header: &'a BatchHeader,
    rules: &'a Rules,
    now: Timestamp,
}

impl RecordCheck<'_> {
    fn run<S: Source>(&self, source: &mut S) -> Result<Timestamp, Rejected> {
        let mut max_timestamp = Timestamp::NONE;
        let mut faults = Faults::default();
        for index in 0..self.header.record_count {
            let outline = next_outline(source).map_err(|broken| self.broken(index, broken))?;
            if outline.offset_delta != index {
                return Err(invalid(format!("record {index} has an offset delta of {}", outline.offset_delta)));
            }
            let timestamp = self.timestamp(&outline);
            if self.rules.compacted && !outline.has_key {
                faults.add(RecordError::Invalid, index, || "a compacted topic takes no record without a key".into());
            } else if let Some(reason) = self.timestamp_fault(timestamp) {
                faults.add(RecordError::InvalidTimestamp, index, || reason);
            }
            max_timestamp = max_timestamp.max(timestamp);
        }
        faults.into_result().map(|()| max_timestamp)
    }

    fn timestamp(&self, outline: &Outline) -> Timestamp {
        match self.header.timestamp_type() {
            TimestampType::CreateTime => Timestamp(self.header.base_timestamp.0.wrapping_add(outline.timestamp_delta)),
            TimestampType::LogAppendTime => self.header.max_timestamp,
        }
    }

    /// Why the timestamp will not do. Kafka lets a client's LogAppendTime through on a CreateTime topic when the
    /// time itself is in range, and so do we: the flag is taken off again below.
    fn timestamp_fault(&self, timestamp: Timestamp) -> Option<String> {
        let rules = self.rules;
        if rules.timestamp_type == TimestampType::CreateTime && timestamp != Timestamp::NONE {
            let age = self.now.0.wrapping_sub(timestamp.0);
            let in_range = age <= rules.timestamp_before_max_ms && age.wrapping_neg() <= rules.timestamp_after_max_ms;
            return (!in_range).then(|| format!("timestamp {timestamp} is out of range at {}", self.now));
        }
        (self.header.timestamp_type() == TimestampType::LogAppendTime)
            .then(|| "producers do not set the timestamp type to LogAppendTime".into())
    }

    fn broken(&self, index: i32, broken: Broken) -> Rejected {
        match broken {
            Broken::Malformed => BatchError::Corrupt(Corruption::Record(index)).into(),
            Broken::Compression => BatchError::Corrupt(Corruption::Compression).into(),
            Broken::TooLarge => BatchError::InflatedTooLarge { max: self.rules.inflated_bytes_max }.into(),
        }
    }
}

/// Records at fault in a batch that is otherwise whole: all are told at once (KIP-467).
#[derive(Default)]
struct Faults {
    count: usize,
    any_timestamp: bool,
    told: Vec<(i32, String)>,
}

impl Faults {
    fn add(&mut self, error: RecordError, index: i32, reason: impl FnOnce() -> String) {
        self.count += 1;
        self.any_timestamp |= error == RecordError::InvalidTimestamp;
        if self.told.len() < RECORD_ERRORS_MAX {
            self.told.push((index, reason()));
        }
    }

    fn into_result(self) -> Result<(), Rejected> {
        if self.count == 0 {
            return Ok(());
        }
        let error = if self.any_timestamp { RecordError::InvalidTimestamp } else { RecordError::Invalid };
        let message = format!("{} records are refused: {}", self.count, self.told[0].1);
        Err(Rejected { error, record_errors: self.told, message })
    }
}

/// The batch with this largest timestamp and type in its header.
fn stamped(mut header: BatchHeader, bytes: Bytes, max: Timestamp, timestamp_type: TimestampType) -> ValidBatch {
    if header.max_timestamp == max && header.timestamp_type() == timestamp_type {
        return ValidBatch { header, bytes };
    }
    header.max_timestamp = max;
    header.attributes = header.attributes.with_timestamp_type(timestamp_type);
    let mut copy = bytes.to_vec();
    seal(&mut header, &mut copy);
    ValidBatch { header, bytes: copy.into() }
}

fn invalid(message: impl Into<String>) -> Rejected {
    Rejected::new(RecordError::Invalid, message)
}

fn trailing() -> Rejected {
    BatchError::Corrupt(Corruption::Trailing).into()
}

#[cfg(test)]
mod tests;
