use super::fixture::*;
use crate::log::{Aborted, Log, settle, trim};
use crate::record::{BatchBuilder, EndTransactionMarker, NewRecord, ValidBatch};
use crate::types::{Offset, ProducerEpoch, ProducerId, Sequence};
use std::cell::RefCell;

fn transactional(id: i64, sequence: i32) -> ValidBatch {
    let mut builder =
        BatchBuilder::new().producer(ProducerId(id), ProducerEpoch(0), Sequence(sequence)).transactional();
    builder.append(&NewRecord { timestamp: NOW, value: Some(b"v"), ..NewRecord::default() });
    builder.build()
}

fn marker(id: i64, committed: bool) -> ValidBatch {
    EndTransactionMarker { committed, coordinator_epoch: 0 }.batch(ProducerId(id), ProducerEpoch(0), NOW)
}

async fn aborted(log: &RefCell<Log>, from: i64, end: i64) -> Vec<Aborted> {
    let plan = log.borrow().plan_aborted(Offset(from));
    match plan.at_once(Offset(end)) {
        Some(aborted) => aborted,
        None => plan.run(Offset(end)).await.unwrap().unwrap(),
    }
}

fn entry(id: i64, first: i64, last: i64, last_stable: i64) -> Aborted {
    let [first, last, last_stable] = [first, last, last_stable].map(Offset);
    Aborted { producer_id: ProducerId(id), first, last, last_stable }
}

/// Producer 1 aborts, with producer 2 open meanwhile, who commits; then 3 aborts.
async fn history(log: &RefCell<Log>) -> [Aborted; 2] {
    append(log, &batch(&["a"])).await;
    append(log, &transactional(1, 0)).await;
    append(log, &transactional(2, 0)).await;
    append(log, &marker(1, false)).await;
    append(log, &marker(2, true)).await;
    append(log, &transactional(3, 0)).await;
    append(log, &marker(3, false)).await;
    append(log, &batch(&["b"])).await;
    [entry(1, 1, 3, 2), entry(3, 5, 6, 7)]
}

async fn check(log: &RefCell<Log>, all: [Aborted; 2]) {
    let [first, second] = all;
    assert_eq!(aborted(log, 0, 8).await, all);
    assert_eq!(aborted(log, 0, 1).await, [], "it begins after what is read");
    assert_eq!(aborted(log, 0, 2).await, [first]);
    assert_eq!(aborted(log, 3, 5).await, [first], "the marker is read too");
    assert_eq!(aborted(log, 4, 5).await, []);
    assert_eq!(aborted(log, 4, 8).await, [second]);
    assert_eq!(aborted(log, 7, 8).await, []);
}

#[test]
fn a_reader_is_told_of_aborted_transactions_that_touch_what_it_reads() {
    test(|fixture| async move {
        let log = fixture.open().await;
        let all = history(&log).await;
        check(&log, all).await;
        assert!(!fixture.files().await.keys().any(|name| name.ends_with("txnindex")), "not before it is needed");
        trim(&log).await.unwrap();
        let expected = all.map(Aborted::bytes).concat();
        assert_eq!(fixture.read_file("00000000000000000000.txnindex").await, expected);
        check(&log, all).await;
    });
}

#[test]
fn aborted_transactions_survive_a_clean_restart_and_a_crash() {
    for clean in [true, false] {
        test(|fixture| async move {
            let log = fixture.open().await;
            let all = history(&log).await;
            let log = if clean { fixture.reopened(log).await } else { fixture.open_unclean().await };
            check(&log, all).await;
            append(&log, &transactional(1, 1)).await;
            append(&log, &marker(1, false)).await;
            assert_eq!(aborted(&log, 7, 10).await, [entry(1, 8, 9, 10)]);
            assert_eq!(aborted(&log, 0, 10).await.len(), 3);
            trim(&log).await.unwrap();
            assert_eq!(aborted(&log, 0, 10).await.len(), 3);
        });
    }
}

#[test]
fn an_index_from_before_a_crash_is_not_believed() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append(&log, &batch(&["a"])).await;
        crate::log::close(&log).await.unwrap();
        fixture.write_file("00000000000000000000.txnindex", &entry(9, 0, 0, 1).bytes()).await;
        let log = fixture.open_unclean().await;
        assert_eq!(aborted(&log, 0, 1).await, []);
        assert!(!fixture.files().await.contains_key("00000000000000000000.txnindex"));
    });
}

#[test]
fn the_marker_may_lie_in_a_later_segment() {
    for clean in [true, false] {
        test(|mut fixture| async move {
            fixture.config.segment_bytes = 200;
            let log = fixture.open().await;
            append(&log, &transactional(1, 0)).await;
            for _ in 0..10 {
                append(&log, &batch(&["other"])).await;
            }
            append(&log, &marker(1, false)).await;
            append(&log, &transactional(1, 1)).await;
            append(&log, &marker(1, false)).await;
            append_values(&log, 14, 20).await;
            settle(&log).await.unwrap();
            assert!(log.borrow().segment_count() > 5);
            let log = if clean { fixture.reopened(log).await } else { fixture.open_unclean().await };
            assert_eq!(aborted(&log, 0, 1).await, [entry(1, 0, 11, 12)]);
            assert_eq!(aborted(&log, 12, 20).await, [entry(1, 12, 13, 14)]);
            assert_eq!(aborted(&log, 0, 20).await.len(), 2);
        });
    }
}

#[test]
fn a_segment_full_of_aborted_transactions_is_rolled() {
    test(|mut fixture| async move {
        fixture.config.segment_index_bytes = 68;
        let log = fixture.open().await;
        for sequence in 0..5 {
            append(&log, &transactional(1, sequence)).await;
            append(&log, &marker(1, false)).await;
        }
        assert_eq!(log.borrow().segment_count(), 3);
        assert_eq!(aborted(&log, 0, 10).await.len(), 5);
    });
}
