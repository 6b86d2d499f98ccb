use super::*;
use crate::log::cleaner::mapping::Mapping;
use crate::record::{BatchBuilder, Codec, EndTransactionMarker, NewRecord};
use crate::types::Sequence;

const NOW: Timestamp = Timestamp(10_000);
const HORIZON: Timestamp = Timestamp(15_000);
const MAX: usize = 1 << 20;

type Sample<'a> = (&'a str, Option<&'a str>);

fn batch_of(builder: BatchBuilder, base: i64, records: &[Sample<'_>]) -> Bytes {
    let mut builder = builder.base_offset(Offset(base));
    for (at, (key, value)) in records.iter().enumerate() {
        let timestamp = Timestamp(base + at as i64);
        let value = value.map(str::as_bytes);
        builder.append(&NewRecord { timestamp, key: Some(key.as_bytes()), value, headers: &[] });
    }
    builder.build().bytes
}

fn batch(base: i64, records: &[Sample<'_>]) -> Bytes {
    batch_of(BatchBuilder::new().codec(Codec::Gzip, None), base, records)
}

fn by_producer(id: i64) -> BatchBuilder {
    BatchBuilder::new().producer(ProducerId(id), ProducerEpoch(0), Sequence(5))
}

fn marker(id: i64, base: i64, committed: bool) -> Bytes {
    let marker = EndTransactionMarker { committed, coordinator_epoch: 0 };
    let mut bytes = marker.batch(ProducerId(id), ProducerEpoch(0), Timestamp(base)).bytes.to_vec();
    bytes[..8].copy_from_slice(&base.to_be_bytes());
    bytes.into()
}

fn rules() -> Rules {
    Rules { now: NOW, horizon: HORIZON, end: Offset(1000), producers: HashMap::new(), inflated_bytes_max: MAX }
}

struct Case {
    rules: Rules,
    aborted: Vec<Aborted>,
    last: bool,
}

fn case() -> Case {
    Case { rules: rules(), aborted: Vec::new(), last: false }
}

impl Case {
    fn clean(self, log: &[Bytes]) -> Left {
        let bytes = Bytes::from(log.concat());
        let map = OffsetMap::new(100, 1 << 20, 0.9);
        let mut mapping = Mapping::new(map, KeyHasher::new([1, 2]), Offset(0), self.rules.end, MAX);
        mapping.announce(self.aborted.clone());
        mapping.take(&bytes).unwrap();
        let (map, hasher) = mapping.finish();
        let mut filter = Filter::new(self.rules, map, hasher);
        filter.announce(self.aborted);
        let left = filter.clean(&bytes, self.last).unwrap();
        left.batches.iter().for_each(|batch| batch.check_crc().unwrap());
        left
    }
}

fn clean(log: &[Bytes]) -> Left {
    case().clean(log)
}

/// Offset, key and value of all that is left.
fn records(left: &Left) -> Vec<(i64, String, Option<String>)> {
    let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let records = left.batches.iter().flat_map(|batch| batch.records(MAX)).map(Result::unwrap);
    records.map(|record| (record.offset.0, text(record.key.unwrap()), record.value.map(text))).collect()
}

fn offsets(left: &Left) -> Vec<i64> {
    left.batches.iter().flat_map(|batch| batch.records(MAX)).map(|record| record.unwrap().offset.0).collect()
}

#[test]
fn the_last_record_of_each_key_stays() {
    let left = clean(&[
        batch(0, &[("a", Some("1")), ("b", Some("1")), ("a", Some("2"))]),
        batch(3, &[("c", Some("1"))]),
        batch(4, &[("b", Some("2"))]),
    ]);
    let expected = [(2, "a", "2"), (3, "c", "1"), (4, "b", "2")];
    assert_eq!(records(&left), expected.map(|(at, key, value)| (at, key.to_string(), Some(value.to_string()))));
    assert!(left.changed);
    assert_eq!(left.batches[0].header.max_timestamp, Timestamp(2));
}

#[test]
fn a_log_without_superseded_records_is_left_as_it_is() {
    let log = [batch(0, &[("a", Some("1"))]), batch(5, &[("b", Some("1"))])];
    let left = clean(&log);
    assert!(!left.changed);
    assert_eq!(left.batches.iter().map(|batch| batch.bytes.clone()).collect::<Vec<_>>(), log);
}

#[test]
fn a_tombstone_goes_after_its_horizon() {
    let first = clean(&[batch(0, &[("a", Some("1")), ("a", None), ("b", Some("1"))])]);
    assert_eq!(offsets(&first), [1, 2], "it is told to readers first");
    let header = first.batches[0].header;
    assert!(header.attributes.has_delete_horizon());
    assert_eq!(header.base_timestamp, HORIZON);
    let again = |now| {
        let rules = Rules { now, horizon: Timestamp(99_000), ..rules() };
        Case { rules, ..case() }.clean(&[first.batches[0].bytes.clone()])
    };
    let before = again(Timestamp(HORIZON.0 - 1));
    assert_eq!((offsets(&before), before.changed), (vec![1, 2], false), "the horizon is set once");
    assert_eq!(offsets(&again(HORIZON)), [2]);
}

#[test]
fn a_tombstone_that_is_superseded_goes_at_once() {
    let left = clean(&[batch(0, &[("a", None), ("a", Some("1"))])]);
    assert_eq!(offsets(&left), [1]);
    assert!(!left.batches[0].header.attributes.has_delete_horizon());
}

#[test]
fn a_producers_last_batch_stays_without_records() {
    let log = [
        batch_of(by_producer(7), 0, &[("a", Some("1")), ("b", Some("1"))]),
        batch_of(by_producer(8), 2, &[("a", Some("2"))]),
        batch(3, &[("a", Some("3")), ("b", Some("2"))]),
    ];
    let last = LastOfProducer { data: Some(Offset(1)), epoch: ProducerEpoch(0) };
    let producers = HashMap::from([(ProducerId(7), last)]);
    let left = Case { rules: Rules { producers, ..rules() }, ..case() }.clean(&log);
    assert_eq!(offsets(&left), [3, 4]);
    let kept = left.batches[0].header;
    assert_eq!((kept.record_count, kept.last_offset(), kept.last_sequence()), (0, Offset(1), Sequence(6)));
    assert_eq!(left.batches.len(), 2, "of producer 8 nothing is known any more");
}

#[test]
fn an_empty_batch_goes_when_nobody_needs_it() {
    let empty = Batch::parse(&batch_of(by_producer(7), 0, &[("a", Some("1"))])).unwrap().emptied();
    assert_eq!(clean(&[empty.bytes.clone(), batch(1, &[("b", Some("1"))])]).batches.len(), 1);
    let needed = Case { last: true, ..case() }.clean(&[batch(0, &[("b", Some("1"))]), empty.bytes]);
    assert_eq!((needed.batches.len(), needed.changed), (2, false));
}

#[test]
fn the_end_of_what_is_cleaned_is_not_lost() {
    let log = [batch(0, &[("a", Some("1"))]), batch(1, &[("a", Some("2"))]), batch(2, &[("a", Some("3"))])];
    let left = Case { rules: Rules { end: Offset(2), ..rules() }, ..case() }.clean(&log[..2]);
    assert_eq!(left.batches.last().unwrap().header.next_offset(), Offset(2));
    let map = OffsetMap::new(100, 1 << 20, 0.9);
    let mut mapping = Mapping::new(map, KeyHasher::new([1, 2]), Offset(0), Offset(1000), MAX);
    mapping.take(&log.concat().into()).unwrap();
    let (map, hasher) = mapping.finish();
    let mut filter = Filter::new(rules(), map, hasher);
    let left = filter.clean(&log[..2].concat().into(), true).unwrap();
    assert_eq!((left.batches.len(), left.batches[0].header.record_count), (1, 0));
    assert_eq!(left.batches[0].header.next_offset(), Offset(2), "nor that of a group");
}

fn aborted(id: i64, first: i64, last: i64) -> Aborted {
    Aborted { producer_id: ProducerId(id), first: Offset(first), last: Offset(last), last_stable: Offset(last + 1) }
}

#[test]
fn aborted_records_go_and_their_marker_after_them() {
    let log = [
        batch(0, &[("a", Some("1"))]),
        batch_of(by_producer(1).transactional(), 1, &[("a", Some("aborted"))]),
        marker(1, 2, false),
        batch(3, &[("b", Some("1"))]),
    ];
    let with_aborted = |now| Case { rules: Rules { now, ..rules() }, aborted: vec![aborted(1, 1, 2)], last: false };
    let first = with_aborted(NOW).clean(&log);
    let left: Vec<_> = first.batches.iter().map(|batch| batch.header.base_offset.0).collect();
    assert_eq!(left, [0, 2, 3], "the aborted record supersedes nothing");
    assert!(!first.batches[1].header.attributes.has_delete_horizon(), "batches of it may still be read");

    let left = |left: &Left| left.batches.iter().map(|batch| batch.bytes.clone()).collect::<Vec<_>>();
    let second = with_aborted(NOW).clean(&left(&first));
    let header = second.batches[1].header;
    assert!(header.attributes.is_control() && header.attributes.has_delete_horizon());
    assert_eq!((header.base_timestamp, header.max_timestamp), (HORIZON, Timestamp(2)));
    assert_eq!(with_aborted(Timestamp(HORIZON.0 - 1)).clean(&left(&second)).batches.len(), 3);
    assert_eq!(with_aborted(HORIZON).clean(&left(&second)).batches.len(), 2);
}

#[test]
fn a_commit_marker_goes_when_its_records_have_gone() {
    let log = [
        batch_of(by_producer(1).transactional(), 0, &[("a", Some("1"))]),
        marker(1, 1, true),
        batch(2, &[("b", Some("1"))]),
    ];
    assert!(!clean(&log).changed);
    let superseded = clean(&[log[0].clone(), log[1].clone(), batch(2, &[("a", Some("2"))])]);
    assert_eq!(superseded.batches.len(), 2);
    assert!(!superseded.batches[0].header.attributes.has_delete_horizon(), "its records were there in this pass");
    let left: Vec<_> = superseded.batches.iter().map(|batch| batch.bytes.clone()).collect();
    assert!(clean(&left).batches[0].header.attributes.has_delete_horizon());
}

#[test]
fn what_lies_past_the_map_is_not_touched() {
    let map = OffsetMap::new(100, 1 << 20, 0.9);
    let mut mapping = Mapping::new(map, KeyHasher::new([1, 2]), Offset(0), Offset(2), MAX);
    let log = [batch(0, &[("a", Some("1")), ("a", Some("2"))]), batch(2, &[("a", None)])];
    mapping.take(&log.concat().into()).unwrap();
    let (map, hasher) = mapping.finish();
    let left = Filter::new(rules(), map, hasher).clean(&log.concat().into(), false).unwrap();
    assert_eq!(offsets(&left), [1, 2]);
    assert!(!left.batches[1].header.attributes.has_delete_horizon());
}
