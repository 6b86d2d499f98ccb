use super::fixture::*;
use crate::log::{AppendError, ProducerError};
use crate::record::EndTransactionMarker;
use crate::types::{Offset, ProducerEpoch, ProducerId};

#[test]
fn a_repeated_batch_is_answered_with_its_first_offsets() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append(&log, &producer_batch(1, 0, 0, 3)).await;
        append(&log, &batch(&["other"])).await;
        let again = append(&log, &producer_batch(1, 0, 0, 3)).await;
        assert!(again.duplicate);
        assert_eq!((again.first, again.last), (Offset(0), Offset(2)));
        assert_eq!(log.borrow().end_offset(), Offset(4));
    });
}

#[test]
fn a_producers_sequence_survives_a_clean_restart_and_a_crash() {
    for clean in [true, false] {
        test(|mut fixture| async move {
            fixture.config.segment_bytes = 300;
            let log = fixture.open().await;
            for sequence in 0..20 {
                append(&log, &producer_batch(1, 2, sequence, 1)).await;
            }
            append(&log, &producer_batch(9, 0, 0, 1)).await;
            let log = if clean { fixture.reopened(log).await } else { fixture.open_unclean().await };
            assert!(append(&log, &producer_batch(1, 2, 19, 1)).await.duplicate);
            let gap = log.borrow_mut().append(&producer_batch(1, 2, 21, 1), EPOCH, NOW);
            let expected = ProducerError::OutOfOrderSequence { sequence: 21, last: 19 };
            assert!(matches!(gap, Err(AppendError::Producer(error)) if error == expected));
            assert!(!append(&log, &producer_batch(1, 2, 20, 1)).await.duplicate);
            assert!(append(&log, &producer_batch(9, 0, 0, 1)).await.duplicate);
        });
    }
}

#[test]
fn a_lost_snapshot_is_rebuilt_from_the_log() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append(&log, &producer_batch(1, 0, 0, 1)).await;
        append(&log, &producer_batch(1, 0, 1, 1)).await;
        crate::log::close(&log).await.unwrap();
        fixture.write_file("00000000000000000002.snapshot", b"garbage").await;
        let log = fixture.open().await;
        assert!(append(&log, &producer_batch(1, 0, 1, 1)).await.duplicate);
    });
}

#[test]
fn open_transactions_hold_the_last_stable_offset() {
    for clean in [true, false] {
        test(|fixture| async move {
            let log = fixture.open().await;
            append(&log, &batch(&["a"])).await;
            append(&log, &transactional(5)).await;
            append(&log, &batch(&["b"])).await;
            assert_eq!(log.borrow().last_stable_offset(Offset(3)), Offset(1));
            let log = if clean { fixture.reopened(log).await } else { fixture.open_unclean().await };
            assert_eq!(log.borrow().last_stable_offset(Offset(3)), Offset(1));
            let marker = EndTransactionMarker { committed: true, coordinator_epoch: 4 };
            append(&log, &marker.batch(ProducerId(5), ProducerEpoch(0), NOW)).await;
            assert_eq!(log.borrow().last_stable_offset(Offset(3)), Offset(1), "the marker is not replicated yet");
            log.borrow_mut().advance_high_watermark(Offset(4));
            assert_eq!(log.borrow().last_stable_offset(Offset(4)), Offset(4));
            assert_eq!(log.borrow().producers().get(ProducerId(5)).unwrap().coordinator_epoch, 4);
        });
    }
}

fn transactional(id: i64) -> crate::record::ValidBatch {
    use crate::record::{BatchBuilder, NewRecord};
    let producer = BatchBuilder::new().producer(ProducerId(id), ProducerEpoch(0), crate::types::Sequence(0));
    let mut builder = producer.transactional();
    builder.append(&NewRecord { timestamp: NOW, ..NewRecord::default() });
    builder.build()
}
