//! Going through the records of a batch for their keys alone: whatever they inflate to, memory is the codec's window.

use super::batch::{Batch, BatchError, Corruption, HEADER_LEN};
use super::compression::Inflater;
use super::varint::{Broken, Slice, Source, read_i32, read_i64};
use crate::record::{Codec, TimestampType};
use crate::types::{Offset, Timestamp};

/// A record without its key and value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    pub offset: Offset,
    pub timestamp: Timestamp,
    pub has_key: bool,
    /// Without one it is a tombstone.
    pub has_value: bool,
}

/// Who looks at records, one after another.
pub trait Visitor {
    /// The next piece of the record's key; a long one comes in several.
    fn key(&mut self, piece: &[u8]);
    /// The record whose key has come. False ends the visit.
    fn record(&mut self, seen: Seen) -> bool;
}

impl Batch {
    /// Shows every record to `visitor`, inflating at most `inflated_bytes_max` bytes.
    pub fn visit(&self, inflated_bytes_max: usize, visitor: &mut impl Visitor) -> Result<(), BatchError> {
        self.read_through(inflated_bytes_max, |source| {
            let record = Start::read(source, self)?;
            let key = nullable(source)?;
            if let Some(len) = key {
                source.pieces(len, &mut |piece| visitor.key(piece))?;
            }
            let value = nullable(source)?;
            source.skip(record.left(source)?)?;
            let (has_key, has_value) = (key.is_some(), value.is_some());
            let timestamp = self.timestamp(record.timestamp_delta);
            Ok(visitor.record(Seen { offset: record.offset, timestamp, has_key, has_value }))
        })
    }

    /// Calls `each` once a record, until it says false.
    pub(super) fn read_through(
        &self,
        inflated_bytes_max: usize,
        mut each: impl FnMut(&mut dyn Source) -> Result<bool, Broken>,
    ) -> Result<(), BatchError> {
        let packed = self.bytes.slice(HEADER_LEN..);
        let codec = self.header.attributes.codec()?;
        let mut plain;
        let mut inflater;
        let source: &mut dyn Source = match codec {
            Codec::None => {
                plain = Slice::new(&packed);
                &mut plain
            }
            codec => {
                inflater = Inflater::new(codec, packed.clone(), inflated_bytes_max);
                &mut inflater
            }
        };
        for index in 0..self.header.record_count {
            let more = each(source).map_err(|broken| match broken {
                Broken::Malformed => BatchError::Corrupt(Corruption::Record(index)),
                Broken::Compression => BatchError::Corrupt(Corruption::Compression),
                Broken::TooLarge => BatchError::InflatedTooLarge { max: inflated_bytes_max },
            })?;
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn timestamp(&self, delta: i64) -> Timestamp {
        match self.header.timestamp_type() {
            TimestampType::CreateTime => Timestamp(self.header.base_timestamp.0.wrapping_add(delta)),
            TimestampType::LogAppendTime => self.header.max_timestamp,
        }
    }
}

/// The fixed fields that a record begins with.
pub(super) struct Start {
    /// Where it ends, as positions of its source go.
    end: u64,
    pub attributes: u8,
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub offset: Offset,
}

impl Start {
    pub fn read(source: &mut dyn Source, batch: &Batch) -> Result<Self, Broken> {
        let len = u32::try_from(read_i32(source)?).map_err(|_| Broken::Malformed)?;
        let end = source.position() + u64::from(len);
        let attributes = source.byte()?;
        let timestamp_delta = read_i64(source)?;
        let offset_delta = read_i32(source)?;
        if !(0..=batch.header.last_offset_delta).contains(&offset_delta) {
            return Err(Broken::Malformed);
        }
        let offset = batch.header.base_offset.plus(i64::from(offset_delta));
        Ok(Self { end, attributes, timestamp_delta, offset_delta, offset })
    }

    /// Bytes of the record that were not read yet.
    pub fn left(&self, source: &dyn Source) -> Result<u32, Broken> {
        let left = self.end.checked_sub(source.position()).ok_or(Broken::Malformed)?;
        u32::try_from(left).map_err(|_| Broken::Malformed)
    }
}

/// A length, passed over with nothing behind it but for a key; `None` for null.
fn nullable(source: &mut dyn Source) -> Result<Option<u32>, Broken> {
    Ok(u32::try_from(read_i32(source)?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, NewRecord};
    use crate::types::Timestamp;

    #[derive(Default)]
    struct Collect {
        key: Vec<u8>,
        found: Vec<(i64, i64, Option<usize>, bool)>,
        stop_after: usize,
    }

    impl Visitor for Collect {
        fn key(&mut self, piece: &[u8]) {
            self.key.extend_from_slice(piece);
        }

        fn record(&mut self, seen: Seen) -> bool {
            let key = std::mem::take(&mut self.key);
            assert!(key.iter().all(|b| *b == b'k'));
            self.found.push((seen.offset.0, seen.timestamp.0, seen.has_key.then_some(key.len()), seen.has_value));
            self.found.len() < self.stop_after
        }
    }

    fn batch(codec: Codec) -> Batch {
        let mut builder = BatchBuilder::new().codec(codec, None).base_offset(Offset(10));
        let long = vec![b'k'; 100_000];
        let headers: &[(&[u8], Option<&[u8]>)] = &[(b"a", Some(b"1")), (b"b", None)];
        for (at, (key, value)) in
            [(None, Some(&b"v"[..])), (Some(&b"k"[..]), None), (Some(&long), Some(&long)), (Some(b""), Some(b""))]
                .into_iter()
                .enumerate()
        {
            builder.append(&NewRecord { timestamp: Timestamp(at as i64), key, value, headers });
        }
        builder.build().into()
    }

    #[test]
    fn keys_and_tombstones_are_seen_through_every_codec() {
        for codec in Codec::ALL {
            let mut collect = Collect { stop_after: usize::MAX, ..Collect::default() };
            batch(codec).visit(1 << 20, &mut collect).unwrap();
            let expected =
                [(10, 0, None, true), (11, 1, Some(1), false), (12, 2, Some(100_000), true), (13, 3, Some(0), true)];
            assert_eq!(collect.found, expected, "{codec:?}");
        }
    }

    #[test]
    fn a_visit_ends_when_the_visitor_has_seen_enough() {
        let mut collect = Collect { stop_after: 2, ..Collect::default() };
        batch(Codec::Zstd).visit(1 << 20, &mut collect).unwrap();
        assert_eq!(collect.found.len(), 2);
    }

    #[test]
    fn what_inflates_too_far_is_refused() {
        let mut collect = Collect { stop_after: usize::MAX, ..Collect::default() };
        let refused = batch(Codec::Gzip).visit(50_000, &mut collect);
        assert_eq!(refused, Err(BatchError::InflatedTooLarge { max: 50_000 }));
    }
}
