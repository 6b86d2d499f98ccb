use super::fixture::*;
use crate::log::{Log, ReadPlan, settle};
use crate::types::{LeaderEpoch, Offset};
use std::cell::RefCell;

async fn truncate(log: &RefCell<Log>, to: i64) {
    let truncation = log.borrow_mut().begin_truncation(Offset(to), NOW);
    let truncated = truncation.run().await;
    log.borrow_mut().finish_truncation(truncated).unwrap();
}

#[test]
fn a_cut_log_goes_on_where_it_was_cut() {
    for to in [1, 9, 10, 11, 25, 49, 50] {
        test(|mut fixture| async move {
            fixture.config.segment_bytes = 700;
            let log = fixture.open().await;
            append_values(&log, 0, 50).await;
            truncate(&log, to).await;
            assert_eq!(read_all(&log).await, values(to as usize));
            append_values(&log, to as usize, 60).await;
            assert_eq!(read_all_from_disk(&log).await, values(60));
            assert_eq!(read_all(&fixture.open_unclean().await).await, values(60));
            assert_eq!(read_all(&fixture.reopened(log).await).await, values(60));
        });
    }
}

#[test]
fn epochs_and_producers_are_cut_too() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append(&log, &producer_batch(1, 0, 0, 1)).await;
        append(&log, &producer_batch(1, 0, 1, 1)).await;
        log.borrow_mut().append(&producer_batch(1, 0, 2, 1), LeaderEpoch(8), NOW).unwrap();
        settle(&log).await.unwrap();
        truncate(&log, 1).await;
        assert_eq!(log.borrow().epochs().latest().unwrap().epoch, EPOCH);
        let appended = append(&log, &producer_batch(1, 0, 1, 1)).await;
        assert_eq!((appended.first, appended.duplicate), (Offset(1), false));
    });
}

#[test]
fn a_log_may_begin_anew_elsewhere() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 5).await;
        log.borrow_mut().advance_start(Offset(3));
        truncate(&log, 2).await;
        assert_eq!((log.borrow().start_offset(), log.borrow().end_offset()), (Offset(2), Offset(2)));
        append(&log, &batch(&["v2"])).await;
        assert_eq!(read_all_from_disk(&log).await, values(3)[2..]);
        assert_eq!(log.borrow().epochs().entries().len(), 1);
    });
}

#[test]
fn a_read_planned_before_the_cut_comes_back_empty() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 5).await;
        log.borrow_mut().shrink_tail(0);
        let ReadPlan::Disk(read) = log.borrow().plan_read(Offset(3), 100, Offset(5), true).unwrap() else {
            panic!("it is on disk")
        };
        truncate(&log, 2).await;
        append(&log, &batch(&["other"])).await;
        assert!(read.run().await.unwrap().is_empty());
    });
}
