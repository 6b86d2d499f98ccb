use super::*;
use crate::record::{BatchBuilder, Codec, NewRecord, deflate};
use crate::types::Timestamp;

fn batch_of(codec: Codec, record_count: i32, plain: &[u8]) -> Batch {
    let mut builder = BatchBuilder::new().codec(codec, None);
    builder.append(&NewRecord::default());
    let mut header = builder.build().header;
    (header.record_count, header.last_offset_delta) = (record_count, record_count - 1);
    let mut bytes = vec![0; HEADER_LEN];
    bytes.extend(deflate(codec, None, plain));
    header.length = (bytes.len() - 12) as i32;
    header.write(bytes.first_chunk_mut().unwrap());
    Batch { header, bytes: bytes.into() }
}

fn outcome(codec: Codec, record_count: i32, plain: &[u8]) -> Vec<Result<i64, BatchError>> {
    batch_of(codec, record_count, plain).records(1 << 16).map(|record| record.map(|r| r.offset.0)).collect()
}

/// Length 6, no attributes, deltas 0, key and value null, no headers.
const MINIMAL: [u8; 7] = [12, 0, 0, 0, 1, 1, 0];

#[test]
fn records_read_alike_packed_and_plain() {
    for codec in Codec::ALL {
        assert_eq!(outcome(codec, 1, &MINIMAL), [Ok(0)], "{codec:?}");
    }
}

#[test]
fn an_error_ends_the_walk() {
    let plain = [&MINIMAL[..], &[0x0b]].concat();
    for codec in Codec::ALL {
        assert_eq!(outcome(codec, 3, &plain), [Ok(0), Err(Corruption::Record(1).into())], "{codec:?}");
    }
}

#[test]
fn bytes_after_the_last_record_are_corrupt() {
    let plain = [MINIMAL, MINIMAL].concat();
    assert_eq!(outcome(Codec::Gzip, 1, &plain), [Err(Corruption::Trailing.into())]);
    assert_eq!(outcome(Codec::None, 1, &plain), [Err(Corruption::Trailing.into())]);
}

#[test]
fn a_record_that_claims_two_gibibytes_costs_nothing() {
    // Zig-zag of i32::MAX.
    let plain = [0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0];
    for codec in Codec::ALL {
        assert_eq!(outcome(codec, 1, &plain), [Err(Corruption::Record(0).into())], "{codec:?}");
    }
}

#[test]
fn a_header_count_beyond_the_record_is_malformed() {
    let plain = [20, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(outcome(Codec::None, 1, &plain), [Err(Corruption::Record(0).into())]);
}

#[test]
fn a_codec_unknown_or_broken_is_told_apart() {
    let mut batch = batch_of(Codec::None, 1, &MINIMAL);
    batch.header.attributes.0 = 6;
    assert_eq!(batch.records(100).next(), Some(Err(Corruption::Codec(6).into())));
    batch.header.attributes.0 = Codec::Gzip as i16;
    assert_eq!(batch.records(100).next(), Some(Err(Corruption::Compression.into())));
}

#[test]
fn log_append_time_is_every_records_time() {
    let mut builder = BatchBuilder::new().timestamp_type(TimestampType::LogAppendTime);
    for timestamp in [5, 9] {
        builder.append(&NewRecord { timestamp: Timestamp(timestamp), ..NewRecord::default() });
    }
    let times: Vec<_> = Batch::from(builder.build()).records(100).map(|record| record.unwrap().timestamp.0).collect();
    assert_eq!(times, [9, 9]);
}

#[test]
fn an_empty_batch_left_by_compaction_has_no_records() {
    assert_eq!(outcome(Codec::None, 0, &[]), []);
}
