use super::*;
use crate::record::{BatchBuilder, NewRecord};

fn one(value: &[u8]) -> Bytes {
    let mut builder = BatchBuilder::new();
    builder.append(&NewRecord { timestamp: Timestamp(5), value: Some(value), ..NewRecord::default() });
    builder.build().bytes
}

#[test]
fn the_header_lies_where_kafka_puts_it() {
    let mut builder = BatchBuilder::new()
        .base_offset(Offset(0x0102_0304_0506_0708))
        .leader_epoch(LeaderEpoch(0x0a0b_0c0d))
        .producer(ProducerId(0x1122_3344_5566_7788), ProducerEpoch(0x0910), Sequence(0x2122_2324))
        .transactional();
    builder.append(&NewRecord { timestamp: Timestamp(0x55), key: Some(b"k"), value: None, headers: &[] });
    let bytes = builder.build().bytes;
    assert_eq!(bytes[..17], [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 57, 0x0a, 0x0b, 0x0c, 0x0d, 2]);
    assert_eq!(bytes[21..27], [0, 0x10, 0, 0, 0, 0]);
    assert_eq!(bytes[27..43], [0, 0, 0, 0, 0, 0, 0, 0x55, 0, 0, 0, 0, 0, 0, 0, 0x55]);
    assert_eq!(bytes[43..57], [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 9, 0x10, 0x21, 0x22, 0x23, 0x24]);
    assert_eq!(bytes[57..], [0, 0, 0, 1, 14, 0, 0, 0, 2, b'k', 1, 0]);
}

#[test]
fn a_header_written_reads_back() {
    let header = BatchHeader::parse(&one(b"v")).unwrap();
    let mut bytes = [0; HEADER_LEN];
    header.write(&mut bytes);
    assert_eq!(BatchHeader::parse(&bytes), Ok(header));
}

#[test]
fn batches_follow_one_another_until_the_cut_one() {
    let (first, second) = (one(b"first"), one(b"second"));
    let all = Bytes::from([&first[..], &second[..], &first[..70]].concat());
    let found: Vec<_> = batches(&all).collect();
    assert_eq!(found[0].as_ref().unwrap().bytes, first);
    assert_eq!(found[1].as_ref().unwrap().bytes, second);
    assert_eq!(found[2], Err(BatchError::Incomplete { needed: first.len() }));
    assert_eq!(found.len(), 3);
}

#[test]
fn every_cut_of_a_batch_is_incomplete_and_not_corrupt() {
    let whole = one(b"some value");
    for len in 0..whole.len() {
        assert!(matches!(Batch::parse(&whole.slice(..len)), Err(BatchError::Incomplete { .. })), "cut at {len}");
    }
}

#[test]
fn zeroes_are_corrupt_so_that_a_preallocated_tail_ends_the_scan() {
    assert_eq!(BatchHeader::parse(&[0; 4096]), Err(Corruption::Length(0).into()));
}

#[test]
fn a_flipped_byte_fails_the_checksum() {
    let mut bytes = one(b"value").to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let batch = Batch::parse(&bytes.into()).unwrap();
    assert!(matches!(batch.check_crc(), Err(Corruption::Crc { .. })));
}

#[test]
fn sequences_wrap_to_zero() {
    assert_eq!(Sequence(i32::MAX).plus_wrapping(1), Sequence(0));
    assert_eq!(Sequence(i32::MAX - 2).plus_wrapping(7), Sequence(4));
    assert_eq!(Sequence(-1).plus_wrapping(7), Sequence(-1));
}

#[test]
fn offsets_that_overflow_are_corrupt() {
    let mut header = BatchHeader::parse(&one(b"v")).unwrap();
    header.base_offset = Offset(i64::MAX);
    let mut bytes = [0; HEADER_LEN];
    header.write(&mut bytes);
    assert!(matches!(BatchHeader::parse(&bytes), Err(BatchError::Corrupt(Corruption::Offsets { .. }))));
}
