use super::fixture::*;
use crate::log::{Log, Lookup, Search, close};
use crate::record::{BatchBuilder, Codec, NewRecord};
use crate::types::{Offset, Timestamp};
use std::cell::RefCell;

async fn look_up(log: &RefCell<Log>, what: Lookup, below: i64) -> Option<(i64, i64)> {
    let plan = log.borrow().plan_lookup(what, Offset(below));
    match plan.run().await.unwrap() {
        Search::Found(found) => Some((found.timestamp.0, found.offset.0)),
        Search::Nothing => None,
        Search::Outdated => panic!("nothing happens to the log meanwhile"),
    }
}

async fn at(log: &RefCell<Log>, timestamp: i64) -> Option<(i64, i64)> {
    look_up(log, Lookup::At(Timestamp(timestamp)), i64::MAX).await
}

async fn largest(log: &RefCell<Log>) -> Option<(i64, i64)> {
    look_up(log, Lookup::MaxTimestamp, i64::MAX).await
}

#[test]
fn the_first_record_at_or_after_a_time_is_found_to_the_record() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append(&log, &batch_at(100, &["a", "b", "c"])).await;
        append(&log, &batch_at(200, &["d", "e"])).await;
        assert_eq!(at(&log, 0).await, Some((100, 0)));
        assert_eq!(at(&log, 101).await, Some((101, 1)));
        assert_eq!(at(&log, 103).await, Some((200, 3)));
        assert_eq!(at(&log, 202).await, None);
        assert_eq!(look_up(&log, Lookup::At(Timestamp(150)), 3).await, None, "past the bound");
    });
}

#[test]
fn compressed_records_are_looked_into() {
    test(|fixture| async move {
        let log = fixture.open().await;
        let mut builder = BatchBuilder::new().codec(Codec::Lz4, None);
        for timestamp in [50, 40, 90] {
            builder.append(&NewRecord { timestamp: Timestamp(timestamp), value: Some(b"v"), ..NewRecord::default() });
        }
        append(&log, &builder.build()).await;
        assert_eq!(at(&log, 60).await, Some((90, 2)));
        assert_eq!(largest(&log).await, Some((90, 2)));
    });
}

#[test]
fn the_largest_timestamp_need_not_be_the_last() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 500;
        let log = fixture.open().await;
        for timestamp in [10, 30, 20, 70, 70, 5, 60, 61, 62, 63, 1] {
            append(&log, &batch_at(timestamp, &["v"])).await;
        }
        assert!(log.borrow().segment_count() > 1);
        assert_eq!(largest(&log).await, Some((70, 3)));
        assert_eq!(look_up(&log, Lookup::MaxTimestamp, 3).await, Some((30, 1)));
        assert_eq!(at(&log, 40).await, Some((70, 3)));
        log.borrow_mut().advance_start(Offset(5));
        assert_eq!(largest(&log).await, Some((63, 9)));
        assert_eq!(at(&log, 40).await, Some((60, 6)));
        let log = fixture.reopened(log).await;
        assert_eq!(largest(&log).await, Some((70, 3)));
    });
}

#[test]
fn an_empty_log_and_one_without_timestamps_find_nothing() {
    test(|fixture| async move {
        let log = fixture.open().await;
        assert_eq!(at(&log, 0).await, None);
        assert_eq!(largest(&log).await, None);
        append(&log, &batch_at(-1, &["v"])).await;
        assert_eq!(at(&log, 0).await, None);
        assert_eq!(largest(&log).await, None);
    });
}

#[test]
fn every_lookup_agrees_with_a_walk_through_the_log() {
    for seed in 0..8u64 {
        test_seeded(seed, |mut fixture| async move {
            (fixture.config.segment_bytes, fixture.config.index_interval_bytes) = (1500, 150);
            let log = fixture.open().await;
            let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            let mut times = Vec::new();
            for _ in 0..80 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let timestamp = (random >> 33) as i64 % 1000;
                append(&log, &batch_at(timestamp, &["v", "w"])).await;
                times.extend([timestamp, timestamp + 1]);
            }
            let check = async |log: &RefCell<Log>| {
                for sought in (0..1005).step_by(7) {
                    let walk = times.iter().position(|t| *t >= sought).map(|at| (times[at], at as i64));
                    assert_eq!(at(log, sought).await, walk, "seed {seed}, time {sought}");
                }
                for below in [160, 100, 31, 2] {
                    let max = *times[..below].iter().max().unwrap();
                    let walk = times.iter().position(|t| *t == max).map(|at| (max, at as i64));
                    assert_eq!(
                        look_up(log, Lookup::MaxTimestamp, below as i64 + below as i64 % 2)
                            .await
                            .filter(|_| below % 2 == 0),
                        walk.filter(|_| below % 2 == 0)
                    );
                }
            };
            check(&log).await;
            close(&log).await.unwrap();
            check(&fixture.open().await).await;
            check(&fixture.open_unclean().await).await;
        });
    }
}

#[test]
fn unwritten_records_are_not_found() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append(&log, &batch_at(100, &["a"])).await;
        append_only(&log, &batch_at(200, &["b"]));
        assert_eq!(at(&log, 150).await, None);
        assert_eq!(largest(&log).await, Some((100, 0)));
    });
}
