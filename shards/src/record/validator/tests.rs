use super::*;
use crate::record::batch::field;
use crate::record::{BatchBuilder, NewRecord, deflate};
use crate::types::{Offset, ProducerEpoch, ProducerId, Sequence};
use RecordError::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const HOUR: i64 = 3_600_000;

fn record(age_ms: i64, key: Option<&[u8]>) -> NewRecord<'_> {
    NewRecord { timestamp: Timestamp(NOW.0 - age_ms), key, value: Some(b"value"), headers: &[] }
}

fn batch(codec: Codec, records: &[NewRecord<'_>]) -> ValidBatch {
    let mut builder = BatchBuilder::new().codec(codec, None);
    records.iter().for_each(|record| builder.append(record));
    builder.build()
}

/// Two plain records with keys.
fn good() -> ValidBatch {
    batch(Codec::None, &[record(2, Some(b"a")), record(1, Some(b"b"))])
}

/// `good` with its header changed and the checksum put right.
fn with(change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let ValidBatch { mut header, bytes } = good();
    let mut bytes = bytes.to_vec();
    change(&mut header);
    seal(&mut header, &mut bytes);
    bytes.into()
}

/// A batch that claims `count` records made of these bytes.
fn of_bytes(codec: Codec, count: i32, plain: &[u8]) -> Bytes {
    let mut header = good().header;
    (header.record_count, header.last_offset_delta) = (count, count - 1);
    header.attributes = header.attributes.with_codec(codec);
    let mut bytes = vec![0; HEADER_LEN];
    bytes.extend(deflate(codec, None, plain));
    header.length = (bytes.len() - 12) as i32;
    seal(&mut header, &mut bytes);
    bytes.into()
}

fn outcome(bytes: Bytes) -> Result<(), RecordError> {
    outcome_by(&Rules::default(), bytes)
}

fn outcome_by(rules: &Rules, bytes: Bytes) -> Result<(), RecordError> {
    validate(bytes, rules, NOW).map(|_| ()).map_err(|rejected| rejected.error)
}

fn joined(parts: &[&[u8]]) -> Bytes {
    parts.concat().into()
}

#[test]
fn a_good_batch_passes_untouched() {
    let made = good();
    let valid = validate(made.bytes.clone(), &Rules::default(), NOW).unwrap();
    assert_eq!(valid, made);
    assert_eq!(valid.bytes.as_ptr(), made.bytes.as_ptr(), "not a copy");
}

#[test]
fn exactly_one_batch_is_taken() {
    let bytes = good().bytes;
    assert_eq!(outcome(Bytes::new()), Err(Invalid));
    assert_eq!(outcome(joined(&[&bytes, &bytes])), Err(Invalid));
    for len in 0..bytes.len() {
        assert_eq!(outcome(bytes.slice(..len)), Err(Invalid), "cut at {len}");
    }
}

#[test]
fn a_tail_too_short_to_be_a_batch_is_dropped() {
    let bytes = good().bytes;
    for tail in [&bytes[..11], &bytes[..16], &bytes[..bytes.len() - 1]] {
        let valid = validate(joined(&[&bytes, tail]), &Rules::default(), NOW).unwrap();
        assert_eq!(valid.bytes, bytes);
    }
    assert_eq!(outcome(joined(&[&bytes, &[0; 30]])), Err(Corrupt));
    assert_eq!(outcome(joined(&[&bytes, &[0xff; 30]])), Err(Corrupt));
}

#[test]
fn other_formats_are_refused() {
    for magic in [0, 1] {
        assert_eq!(outcome(with(|header| header.magic = magic)), Err(UnsupportedFormat));
    }
    for magic in [3, -1] {
        assert_eq!(outcome(with(|header| header.magic = magic)), Err(Corrupt));
    }
}

#[test]
fn impossible_lengths_are_corrupt() {
    for length in [i32::MIN, -1, 0, 13, 20, 48] {
        assert_eq!(outcome(with(|header| header.length = length)), Err(Corrupt), "length {length}");
    }
    assert_eq!(outcome(with(|header| header.length = i32::MAX)), Err(Invalid));
}

#[test]
fn size_is_judged_before_the_checksum() {
    let mut bytes = good().bytes.to_vec();
    bytes[field::CRC] ^= 1;
    let small = Rules { max_message_bytes: bytes.len() - 1, ..Rules::default() };
    let exact = Rules { max_message_bytes: bytes.len(), ..Rules::default() };
    assert_eq!(outcome_by(&small, bytes.clone().into()), Err(TooLarge));
    assert_eq!(outcome_by(&exact, bytes.into()), Err(Corrupt));
    assert_eq!(outcome_by(&exact, good().bytes), Ok(()));
}

#[test]
fn a_batch_larger_than_a_segment_is_refused() {
    let rules = Rules { segment_bytes: 80, ..Rules::default() };
    assert_eq!(outcome_by(&rules, good().bytes), Err(LargerThanSegment));
}

#[test]
fn offsets_and_counts_have_to_agree() {
    assert_eq!(outcome(with(|header| header.base_offset = Offset(5))), Err(Invalid));
    assert_eq!(outcome(with(|header| header.base_offset = Offset(-1))), Err(Invalid));
    for (count, delta) in
        [(0, 0), (0, -1), (-1, -2), (i32::MIN, i32::MAX), (2, 0), (2, 5), (1, 0), (3, 2), (i32::MAX, i32::MAX - 1)]
    {
        let bytes = with(|header| (header.record_count, header.last_offset_delta) = (count, delta));
        assert_eq!(outcome(bytes), Err(Invalid), "{count} records, last delta {delta}");
    }
}

#[test]
fn control_batches_come_from_coordinators_alone() {
    let bytes = with(|header| header.attributes = header.attributes.with_control(true));
    assert_eq!(outcome(bytes.clone()), Err(Invalid));
    assert_eq!(outcome_by(&Rules { origin: Origin::Coordinator, ..Rules::default() }, bytes), Ok(()));
}

#[test]
fn producers_with_an_id_number_their_batches() {
    let from = |id, sequence| {
        with(|h| {
            (h.producer_id, h.producer_epoch, h.base_sequence) = (ProducerId(id), ProducerEpoch(0), Sequence(sequence))
        })
    };
    assert_eq!(outcome(from(5, -1)), Err(Invalid));
    assert_eq!(outcome(from(5, 0)), Ok(()));
    assert_eq!(outcome(from(-1, 3)), Ok(()), "as Kafka has it");
    assert_eq!(outcome(with(|h| h.attributes = h.attributes.with_transactional(true))), Err(Invalid));
}

#[test]
fn codecs_are_the_five_and_zstd_needs_its_version() {
    for codec in [5, 6, 7] {
        assert_eq!(outcome(with(|header| header.attributes.0 = codec)), Err(UnsupportedCompression));
    }
    let zstd = batch(Codec::Zstd, &[record(0, None)]).bytes;
    assert_eq!(outcome(zstd.clone()), Ok(()));
    assert_eq!(outcome_by(&Rules { zstd_allowed: false, ..Rules::default() }, zstd), Err(UnsupportedCompression));
}

#[test]
fn records_that_do_not_inflate_are_invalid() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        assert_eq!(outcome(with(|header| header.attributes = header.attributes.with_codec(codec))), Err(Invalid));
    }
}

#[test]
fn records_that_inflate_past_the_bound_are_too_large() {
    let zeroes = vec![0; 1 << 20];
    let large = NewRecord { value: Some(&zeroes), ..record(0, None) };
    let rules = Rules { inflated_bytes_max: 1 << 19, ..Rules::default() };
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        assert_eq!(outcome_by(&rules, batch(codec, &[large]).bytes), Err(TooLarge), "{codec:?}");
    }
}

#[test]
fn malformed_records_are_invalid_packed_or_plain() {
    let cases: [(&str, i32, &[u8]); 12] = [
        ("negative length", 1, &[0x09, 0, 0, 0, 1, 1, 0]),
        ("length beyond the batch", 1, &[22, 0, 0, 0, 1, 1, 0]),
        ("length short of the record", 1, &[10, 0, 0, 0, 1, 1, 0]),
        ("key beyond the record", 1, &[12, 0, 0, 0, 100, 1, 0]),
        ("negative header count", 1, &[12, 0, 0, 0, 1, 1, 1]),
        ("huge header count", 1, &[20, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f]),
        ("null header key", 1, &[16, 0, 0, 0, 1, 1, 2, 1, 1]),
        ("over-long varint", 1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        ("bytes left", 1, &[12, 0, 0, 0, 1, 1, 0, 9]),
        ("a record missing", 2, &[12, 0, 0, 0, 1, 1, 0]),
        ("the same offset twice", 2, &[12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 0, 1, 1, 0]),
        ("a negative offset delta", 1, &[12, 0, 0, 5, 1, 1, 0]),
    ];
    for (name, count, plain) in cases {
        for codec in Codec::ALL {
            assert_eq!(outcome(of_bytes(codec, count, plain)), Err(Invalid), "{name}, {codec:?}");
        }
    }
    assert_eq!(outcome(of_bytes(Codec::None, 1, &[12, 0, 0, 0, 1, 1, 0])), Ok(()));
}

#[test]
fn compacted_topics_name_every_record_without_a_key() {
    let rules = Rules { compacted: true, ..Rules::default() };
    for codec in Codec::ALL {
        let bytes = batch(codec, &[record(0, None), record(0, Some(b"")), record(0, None)]).bytes;
        let rejected = validate(bytes, &rules, NOW).unwrap_err();
        assert_eq!(rejected.error, Invalid);
        assert_eq!(rejected.record_errors.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 2]);
    }
}

#[test]
fn timestamps_outside_the_window_name_their_records() {
    let rules = Rules { timestamp_before_max_ms: 1_000, ..Rules::default() };
    for codec in Codec::ALL {
        let ages = [1_000, 1_001, -HOUR, -HOUR - 1, NOW.0 + 1];
        let bytes = batch(codec, &ages.map(|age| record(age, None))).bytes;
        let rejected = validate(bytes, &rules, NOW).unwrap_err();
        assert_eq!(rejected.error, InvalidTimestamp);
        assert_eq!(rejected.record_errors.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 3]);
    }
}

#[test]
fn a_bad_timestamp_outranks_a_missing_key() {
    let rules = Rules { compacted: true, ..Rules::default() };
    let bytes = batch(Codec::None, &[record(0, None), record(-2 * HOUR, Some(b"k"))]).bytes;
    let rejected = validate(bytes, &rules, NOW).unwrap_err();
    assert_eq!((rejected.error, rejected.record_errors.len()), (InvalidTimestamp, 2));
}

#[test]
fn extreme_timestamps_end_as_in_kafka() {
    let at = |base| with(|header| header.base_timestamp = Timestamp(base));
    assert_eq!(outcome(at(-2)), Ok(()));
    assert_eq!(outcome(at(i64::MIN)), Err(InvalidTimestamp));
    assert_eq!(outcome(at(i64::MAX - 1)), Err(InvalidTimestamp));
}

#[test]
fn no_more_than_the_bound_of_record_errors_is_told() {
    let records = vec![record(0, None); RECORD_ERRORS_MAX + 5];
    let rules = Rules { compacted: true, ..Rules::default() };
    let rejected = validate(batch(Codec::None, &records).bytes, &rules, NOW).unwrap_err();
    assert_eq!(rejected.record_errors.len(), RECORD_ERRORS_MAX);
}

#[test]
fn log_append_time_is_stamped_under_a_new_checksum() {
    let rules = Rules { timestamp_type: TimestampType::LogAppendTime, ..Rules::default() };
    for codec in Codec::ALL {
        let made = batch(codec, &[record(10 * HOUR, None), record(-10 * HOUR, None)]);
        let valid = validate(made.bytes.clone(), &rules, NOW).unwrap();
        assert_eq!(valid.header.max_timestamp, NOW);
        assert_eq!(valid.header.timestamp_type(), TimestampType::LogAppendTime);
        assert_eq!(valid.header.base_timestamp, made.header.base_timestamp);
        assert_eq!(BatchHeader::parse(&valid.bytes), Ok(valid.header));
        assert_eq!(Batch::from(valid).check_crc(), Ok(()));
    }
}

#[test]
fn a_wrong_largest_timestamp_is_put_right() {
    for wrong in [1, NOW.0 + HOUR * 100] {
        let valid = validate(with(|header| header.max_timestamp = Timestamp(wrong)), &Rules::default(), NOW).unwrap();
        assert_eq!(valid, good());
    }
}

#[test]
fn producers_leave_log_append_time_to_the_broker() {
    let flagged =
        || with(|header| header.attributes = header.attributes.with_timestamp_type(TimestampType::LogAppendTime));
    let stamping = Rules { timestamp_type: TimestampType::LogAppendTime, ..Rules::default() };
    assert_eq!(outcome_by(&stamping, flagged()), Err(InvalidTimestamp));
    let valid = validate(flagged(), &Rules::default(), NOW).unwrap();
    assert_eq!(valid, good(), "in range, so the flag is taken off");
}

#[test]
fn a_trusted_batch_needs_its_checksum_only() {
    let bytes = with(|header| header.base_offset = Offset(1_000));
    assert_eq!(Batch::parse(&bytes).unwrap().trusted().unwrap().bytes, bytes);
    let mut broken = bytes.to_vec();
    broken[field::RECORD_COUNT + 4] ^= 1;
    assert!(Batch::parse(&broken.into()).unwrap().trusted().is_err());
}
