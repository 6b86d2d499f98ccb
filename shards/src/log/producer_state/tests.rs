use super::*;
use crate::record::Attributes;
use crate::types::LeaderEpoch;

/// Later than any record's timestamp here.
const NOW: Timestamp = Timestamp(1_000_000);

fn header(epoch: i16, sequence: i32, count: i32, offset: i64) -> BatchHeader {
    BatchHeader {
        base_offset: Offset(offset),
        length: 100,
        leader_epoch: LeaderEpoch(0),
        magic: 2,
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta: count - 1,
        base_timestamp: Timestamp(offset),
        max_timestamp: Timestamp(offset),
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: Sequence(sequence),
        record_count: count,
    }
}

/// Producer 7 after batches of these epochs, sequences and counts, at offsets 0, 100, 200 ...
fn states(batches: &[(i16, i32, i32)]) -> ProducerStates {
    let mut states = ProducerStates::default();
    for (at, &(epoch, sequence, count)) in batches.iter().enumerate() {
        states.update(&header(epoch, sequence, count, at as i64 * 100), None, NOW);
    }
    states
}

fn out_of_order(sequence: i32, last: i32) -> Result<Admission, ProducerError> {
    Err(ProducerError::OutOfOrderSequence { sequence, last })
}

#[test]
fn an_unknown_producer_may_start_anywhere() {
    assert_eq!(states(&[]).check(&header(3, 42, 1, 0)), Ok(Admission::New));
}

#[test]
fn sequences_must_follow() {
    let states = states(&[(0, 0, 10)]);
    assert_eq!(states.check(&header(0, 10, 1, 0)), Ok(Admission::New));
    assert_eq!(states.check(&header(0, 11, 1, 0)), out_of_order(11, 9));
    assert_eq!(states.check(&header(0, 5, 2, 0)), out_of_order(5, 9));
}

#[test]
fn sequences_wrap_to_zero() {
    let mut states = states(&[(0, i32::MAX - 1, 2)]);
    assert_eq!(states.check(&header(0, 0, 1, 0)), Ok(Admission::New));
    assert_eq!(states.check(&header(0, 1, 1, 0)), out_of_order(1, i32::MAX));
    states.update(&header(0, 0, 1, 100), None, NOW);
    // A batch across the wrap is known again by both ends.
    states.update(&header(0, i32::MAX, 3, 200), None, NOW);
    let Ok(Admission::Duplicate(found)) = states.check(&header(0, i32::MAX, 3, 0)) else { panic!("a duplicate") };
    assert_eq!((found.first_sequence(), found.last_sequence), (Sequence(i32::MAX), Sequence(1)));
}

#[test]
fn the_last_five_batches_are_known_again() {
    let states = states(&[(0, 0, 1), (0, 1, 1), (0, 2, 2), (0, 4, 1), (0, 5, 1), (0, 6, 1)]);
    let Ok(Admission::Duplicate(found)) = states.check(&header(0, 2, 2, 0)) else { panic!("a duplicate") };
    assert_eq!((found.first_offset(), found.last_offset), (Offset(200), Offset(201)));
    assert!(matches!(states.check(&header(0, 1, 1, 0)), Ok(Admission::Duplicate(_))));
    assert_eq!(states.check(&header(0, 0, 1, 0)), out_of_order(0, 6), "the sixth last is forgotten");
    assert_eq!(states.check(&header(0, 2, 1, 0)), out_of_order(2, 6), "half a batch is no duplicate");
}

#[test]
fn an_older_epoch_is_fenced_and_a_newer_starts_at_zero() {
    let states = states(&[(2, 0, 10)]);
    assert_eq!(states.check(&header(1, 10, 1, 0)), Err(ProducerError::InvalidEpoch { epoch: 1, current: 2 }));
    assert_eq!(states.check(&header(3, 0, 1, 0)), Ok(Admission::New));
    assert_eq!(states.check(&header(3, 10, 1, 0)), out_of_order(10, -1));
}

#[test]
fn a_new_epoch_forgets_the_batches_of_the_old() {
    let mut states = states(&[(0, 0, 1), (0, 1, 1)]);
    states.update(&header(1, 0, 1, 300), None, NOW);
    assert_eq!(states.get(ProducerId(7)).unwrap().batches.len(), 1);
}

#[test]
fn idle_producers_expire_unless_a_transaction_is_open() {
    let mut states = states(&[(0, 0, 1)]);
    let mut transactional = header(0, 0, 1, 500);
    transactional.producer_id = ProducerId(8);
    transactional.attributes = Attributes::default().with_transactional(true);
    states.update(&transactional, None, NOW);
    states.expire(Timestamp(NOW.0 + 999), 1000);
    assert_eq!(states.len(), 2);
    states.expire(Timestamp(NOW.0 + 1000), 1000);
    assert!(states.get(ProducerId(7)).is_none() && states.get(ProducerId(8)).is_some());
}

#[test]
fn the_number_of_producers_is_bounded() {
    let mut states = ProducerStates::default();
    for id in 0..PRODUCERS_MAX as i64 + 1000 {
        states.update(&BatchHeader { producer_id: ProducerId(id), ..header(0, 0, 1, id) }, None, Timestamp(id));
        assert!(states.len() <= PRODUCERS_MAX);
    }
    assert!(states.get(ProducerId(0)).is_none(), "the longest idle went");
    assert!(states.get(ProducerId(PRODUCERS_MAX as i64)).is_some());
}

#[test]
fn the_first_open_transaction_is_unstable() {
    let mut states = ProducerStates::default();
    for (id, offset) in [(1, 10), (2, 20)] {
        let transactional = Attributes::default().with_transactional(true);
        let header = BatchHeader { producer_id: ProducerId(id), attributes: transactional, ..header(0, 0, 1, offset) };
        states.update(&header, None, NOW);
    }
    assert_eq!(states.first_unstable(), Some(Offset(10)));
    let control = Attributes::default().with_transactional(true).with_control(true);
    let marker = BatchHeader { producer_id: ProducerId(1), attributes: control, ..header(0, -1, 1, 30) };
    states.update(&marker, Some(EndTransactionMarker { committed: true, coordinator_epoch: 1 }), NOW);
    assert_eq!(states.first_unstable(), Some(Offset(10)), "until the marker is replicated");
    states.advance_high_watermark(Offset(30));
    assert_eq!(states.first_unstable(), Some(Offset(10)));
    states.advance_high_watermark(Offset(31));
    assert_eq!(states.first_unstable(), Some(Offset(20)));
}
