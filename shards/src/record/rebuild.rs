//! Batches made of other batches: with fewer records, or packed by another codec. Record bytes pass from the one to the
//! other piece by piece.

use super::attributes::Codec;
use super::batch::{Batch, BatchError, BatchHeader, HEADER_LEN, LOG_OVERHEAD};
use super::builder::seal;
use super::compression::Inflater;
use super::deflater::Deflater;
use super::rejected::{RecordError, Rejected};
use super::rules::{Compression, Rules};
use super::validator::ValidBatch;
use super::varint;
use super::visit::Start;
use crate::types::Timestamp;
use std::io::Read;

/// Bytes repacked at a time.
const WINDOW_BYTES: usize = 16 << 10;

impl Batch {
    /// The batch without the records whose place in `kept` says so, packed by its own codec. Offsets, sequence, epoch
    /// and producer stay: the last offset is the old one even when its record is gone, so that a producer's sequence
    /// is not lost. `max_timestamp` is that of the records kept. With a new delete `horizon` the base timestamp holds
    /// it (KIP-534).
    pub fn thinned(
        &self,
        kept: &[bool],
        max_timestamp: Timestamp,
        horizon: Option<Timestamp>,
        inflated_bytes_max: usize,
    ) -> Result<Self, BatchError> {
        let mut header = self.header;
        header.record_count = kept.iter().filter(|kept| **kept).count() as i32;
        header.max_timestamp = max_timestamp;
        if let Some(horizon) = horizon {
            header.base_timestamp = horizon;
            header.attributes = header.attributes.with_delete_horizon(true);
        }
        let shift = self.header.base_timestamp.0.wrapping_sub(header.base_timestamp.0);
        let mut deflater = Deflater::new(header.attributes.codec()?, None, vec![0; HEADER_LEN]);
        let mut kept = kept.iter();
        let mut head = Vec::new();
        self.read_through(inflated_bytes_max, |source| {
            let record = Start::read(source, self)?;
            let left = record.left(source)?;
            if kept.next() != Some(&true) {
                source.skip(left)?;
                return Ok(true);
            }
            write_start(&mut head, &record, record.timestamp_delta.wrapping_add(shift), left);
            deflater.write(&head);
            source.pieces(left, &mut |piece| deflater.write(piece))?;
            Ok(true)
        })?;
        Ok(finish(header, deflater.finish()))
    }

    /// The batch without any record: what remains of a producer's last one.
    pub fn emptied(&self) -> Self {
        let mut header = self.header;
        header.record_count = 0;
        header.base_timestamp = Timestamp::NONE;
        header.attributes = header.attributes.with_codec(Codec::None).with_delete_horizon(false);
        finish(header, vec![0; HEADER_LEN])
    }
}

impl ValidBatch {
    /// The batch as the topic stores it: packed by the codec of `rules`, unless that is its own. Takes its time.
    pub fn stored(self, rules: &Rules) -> Result<Self, Rejected> {
        let Compression::Repacked { codec, level } = rules.compression else { return Ok(self) };
        let stored = self.repacked(codec, level, rules.inflated_bytes_max)?;
        let (size, max) = (stored.bytes.len(), rules.max_message_bytes);
        if size > max {
            let message = format!("packed as the topic asks, the batch has {size} bytes, the topic takes {max}");
            return Err(Rejected::new(RecordError::TooLarge, message));
        }
        Ok(stored)
    }

    /// The same records packed by `codec` at `level` (`None` = the codec's own); of two equal codecs the batch as it is.
    pub fn repacked(self, codec: Codec, level: Option<i32>, inflated_bytes_max: usize) -> Result<Self, BatchError> {
        let own = self.header.attributes.codec()?;
        if own == codec {
            return Ok(self);
        }
        let mut inflater = Inflater::new(own, self.bytes.slice(HEADER_LEN..), inflated_bytes_max);
        let mut deflater = Deflater::new(codec, level, vec![0; HEADER_LEN]);
        let mut window = vec![0; WINDOW_BYTES];
        loop {
            match inflater.read(&mut window) {
                Ok(0) => break,
                Ok(read) => deflater.write(&window[..read]),
                Err(_) => return Err(BatchError::InflatedTooLarge { max: inflated_bytes_max }),
            }
        }
        let header = BatchHeader { attributes: self.header.attributes.with_codec(codec), ..self.header };
        let Batch { header, bytes } = finish(header, deflater.finish());
        Ok(Self { header, bytes })
    }
}

/// Length and fixed fields of a record that has `left` bytes after them.
fn write_start(out: &mut Vec<u8>, record: &Start, timestamp_delta: i64, left: u32) {
    const FIELDS_MAX: usize = 1 + 10 + 5;
    let mut fields = Vec::with_capacity(FIELDS_MAX);
    fields.push(record.attributes);
    varint::write_i64(&mut fields, timestamp_delta);
    varint::write_i64(&mut fields, i64::from(record.offset_delta));
    out.clear();
    varint::write_i64(out, fields.len() as i64 + i64::from(left));
    out.extend_from_slice(&fields);
}

/// Puts header and checksum before the records in `bytes`.
fn finish(mut header: BatchHeader, mut bytes: Vec<u8>) -> Batch {
    header.length = i32::try_from(bytes.len() - LOG_OVERHEAD).expect("records inflate to far less than 2 GiB");
    seal(&mut header, &mut bytes);
    Batch { header, bytes: bytes.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, NewRecord, Record};
    use crate::types::{Offset, ProducerEpoch, ProducerId, Sequence};

    const MAX: usize = 1 << 20;

    fn batch(codec: Codec) -> ValidBatch {
        let mut builder = BatchBuilder::new()
            .codec(codec, None)
            .base_offset(Offset(100))
            .producer(ProducerId(4), ProducerEpoch(1), Sequence(7))
            .transactional();
        for at in 0..5i64 {
            let (key, value) = (format!("key {at}"), "x".repeat(9_000));
            let (key, value) = (Some(key.as_bytes()), (at != 3).then_some(value.as_bytes()));
            let headers: &[(&[u8], Option<&[u8]>)] = &[(b"h", Some(b"1")), (b"n", None)];
            builder.append(&NewRecord { timestamp: Timestamp(1_000 + at), key, value, headers });
        }
        builder.build()
    }

    fn records(batch: &Batch) -> Vec<Record> {
        batch.check_crc().unwrap();
        assert_eq!(Batch::parse(&batch.bytes).unwrap(), *batch);
        batch.records(MAX).map(Result::unwrap).collect()
    }

    #[test]
    fn records_that_stay_are_what_they_were() {
        for codec in Codec::ALL {
            let whole = Batch::from(batch(codec));
            let kept = [false, true, false, true, false];
            for horizon in [None, Some(Timestamp(5_000_000_000_000))] {
                let thin = whole.thinned(&kept, Timestamp(1_003), horizon, MAX).unwrap();
                let all = records(&whole);
                assert_eq!(records(&thin), [all[1].clone(), all[3].clone()], "{codec:?}");
                let header = thin.header;
                assert_eq!((header.base_offset, header.last_offset()), (Offset(100), Offset(104)));
                assert_eq!(header.last_sequence(), whole.header.last_sequence());
                assert_eq!((header.record_count, header.max_timestamp), (2, Timestamp(1_003)));
                assert_eq!(header.attributes.codec(), Ok(codec));
                assert_eq!(header.attributes.has_delete_horizon(), horizon.is_some());
                assert_eq!(horizon.unwrap_or(whole.header.base_timestamp), header.base_timestamp);
            }
        }
    }

    #[test]
    fn a_horizon_once_set_stays_when_more_records_go() {
        let horizon = Timestamp(77_000);
        let first = Batch::from(batch(Codec::Lz4)).thinned(&[true; 5], Timestamp(1_004), Some(horizon), MAX).unwrap();
        let second = first.thinned(&[true, false, false, true, true], Timestamp(1_004), None, MAX).unwrap();
        assert!(second.header.attributes.has_delete_horizon());
        assert_eq!(second.header.base_timestamp, horizon);
        let timestamps: Vec<_> = records(&second).iter().map(|record| record.timestamp.0).collect();
        assert_eq!(timestamps, [1_000, 1_003, 1_004]);
    }

    #[test]
    fn an_emptied_batch_keeps_offsets_and_sequence() {
        let whole = Batch::from(batch(Codec::Gzip));
        let empty = whole.emptied();
        assert_eq!(records(&empty), []);
        assert_eq!(empty.bytes.len(), HEADER_LEN);
        assert_eq!(empty.header.last_offset(), whole.header.last_offset());
        assert_eq!(empty.header.last_sequence(), whole.header.last_sequence());
        assert!(empty.header.attributes.is_transactional() && !empty.header.attributes.is_compressed());
        assert_eq!(empty.header.max_timestamp, whole.header.max_timestamp);
    }

    #[test]
    fn every_codec_is_repacked_into_every_other() {
        for from in Codec::ALL {
            for to in Codec::ALL {
                let before = batch(from);
                let after = before.clone().repacked(to, None, MAX).unwrap();
                assert_eq!(after.header.attributes.codec(), Ok(to));
                assert_eq!(records(&after.clone().into()), records(&before.clone().into()), "{from:?} to {to:?}");
                assert_eq!(after == before, from == to);
            }
        }
    }

    #[test]
    fn a_batch_that_becomes_too_large_is_refused() {
        let compression = Compression::Repacked { codec: Codec::None, level: None };
        let rules = Rules { compression, max_message_bytes: 10_000, ..Rules::default() };
        assert!(rules.repacks(Codec::Zstd) && !rules.repacks(Codec::None));
        let refused = batch(Codec::Zstd).stored(&rules).unwrap_err();
        assert_eq!(refused.error, RecordError::TooLarge);
        let stored = batch(Codec::Zstd).stored(&Rules { max_message_bytes: MAX, ..rules }).unwrap();
        assert!(!stored.header.attributes.is_compressed());
    }

    #[test]
    fn repacking_is_bounded() {
        assert!(batch(Codec::Zstd).repacked(Codec::None, None, 1_000).is_err());
    }
}
