use super::fixture::*;
use crate::log::{AppendError, CleanupPolicy, settle};
use crate::types::{LeaderEpoch, Offset, Timestamp};

#[test]
fn a_segment_is_rolled_before_it_would_be_too_large() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 3 * large_batch(1000).bytes.len() as u32;
        let log = fixture.open().await;
        fill(&log, 7, 1000).await;
        assert_eq!(log.borrow().segment_count(), 3);
        let files = fixture.files().await;
        assert_eq!(files["00000000000000000000.log"], u64::from(fixture.config.segment_bytes));
        for name in ["00000000000000000003.log", "00000000000000000003.snapshot", "00000000000000000006.log"] {
            assert!(files.contains_key(name), "{name} in {files:?}");
        }
        assert_eq!(read_all_from_disk(&log).await.len(), 7);
        assert_eq!(log.borrow().recovery_point(), Offset(6), "sealed segments are safe");
    });
}

#[test]
fn a_batch_larger_than_a_segment_is_refused() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 1000;
        let log = fixture.open().await;
        let refused = log.borrow_mut().append(&large_batch(1000), EPOCH, NOW);
        assert!(matches!(refused, Err(AppendError::TooLarge { max: 1000, .. })));
        assert_eq!(log.borrow().end_offset(), Offset(0));
    });
}

#[test]
fn age_counts_by_the_records_own_time() {
    test(|mut fixture| async move {
        fixture.config.segment_ms = 1000;
        let log = fixture.open().await;
        append(&log, &batch_at(5000, &["a"])).await;
        append(&log, &batch_at(6000, &["b"])).await;
        assert_eq!(log.borrow().segment_count(), 1);
        append(&log, &batch_at(6001, &["c"])).await;
        assert_eq!(log.borrow().segment_count(), 2);
    });
}

#[test]
fn age_counts_by_the_clock_when_records_have_no_time() {
    test(|mut fixture| async move {
        fixture.config.segment_ms = 1000;
        let log = fixture.open().await;
        let append_at = |now: i64| log.borrow_mut().append(&batch_at(-1, &["a"]), EPOCH, Timestamp(now)).unwrap();
        append_at(NOW.0);
        append_at(NOW.0 + 1000);
        settle(&log).await.unwrap();
        assert_eq!(log.borrow().segment_count(), 1);
        append_at(NOW.0 + 1001);
        assert_eq!(log.borrow().segment_count(), 2);
    });
}

#[test]
fn age_survives_a_restart() {
    test(|mut fixture| async move {
        fixture.config.segment_ms = 1000;
        let log = fixture.open().await;
        append(&log, &batch_at(5000, &["a"])).await;
        let log = fixture.reopened(log).await;
        append(&log, &batch_at(6001, &["b"])).await;
        assert_eq!(log.borrow().segment_count(), 2);
    });
}

#[test]
fn a_compacted_log_is_rolled_in_time_for_the_cleaner() {
    test(|mut fixture| async move {
        fixture.config.cleanup_policy = CleanupPolicy::COMPACT;
        fixture.config.max_compaction_lag_ms = 100;
        let log = fixture.open().await;
        append(&log, &batch_at(5000, &["a"])).await;
        append(&log, &batch_at(5101, &["b"])).await;
        assert_eq!(log.borrow().segment_count(), 2);
    });
}

#[test]
fn a_full_index_rolls_the_segment() {
    test(|mut fixture| async move {
        fixture.config.index_interval_bytes = 0;
        fixture.config.segment_index_bytes = 36;
        let log = fixture.open().await;
        append_values(&log, 0, 10).await;
        assert_eq!(log.borrow().segment_count(), 4, "each has room for two timestamps");
        assert_eq!(fixture.files().await["00000000000000000000.index"], 16);
        assert_eq!(read_all_from_disk(&log).await, values(10));
    });
}

#[test]
fn offsets_too_far_apart_roll_the_segment() {
    test(|fixture| async move {
        let log = fixture.open().await;
        for offset in [0, i64::from(i32::MAX), i64::from(i32::MAX) + 1, 1 << 40] {
            let mut fetched = batch(&["a"]);
            (fetched.header.base_offset, fetched.header.leader_epoch) = (Offset(offset), LeaderEpoch(0));
            log.borrow_mut().append_as_follower(&fetched, NOW).unwrap();
        }
        settle(&log).await.unwrap();
        assert_eq!(log.borrow().segment_count(), 3);
        let log = fixture.reopened(log).await;
        assert_eq!(log.borrow().end_offset(), Offset((1 << 40) + 1));
    });
}

#[test]
fn reads_do_not_cross_a_segment_but_go_on_in_the_next() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 1000;
        let log = fixture.open().await;
        append_values(&log, 0, 100).await;
        assert!(log.borrow().segment_count() > 5);
        assert_eq!(read_all_from_disk(&log).await, values(100));
    });
}

#[test]
fn a_roll_during_a_write_waits_for_its_turn() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 300;
        let log = fixture.open().await;
        append_only(&log, &batch(&["v0"]));
        let write = log.borrow_mut().begin_write().unwrap();
        for at in 1..20 {
            append_only(&log, &batch(&[&format!("v{at}")]));
            assert!(log.borrow_mut().begin_seal().is_none(), "its write is under way");
        }
        let written = write.run().await;
        log.borrow_mut().finish_write(written).unwrap();
        settle(&log).await.unwrap();
        assert_eq!(read_all_from_disk(&log).await, values(20));
    });
}
