use super::fixture::*;
use crate::log::{Breach, CleanupPolicy, Expiry, Log, expired};
use crate::types::{Offset, Timestamp};
use std::cell::RefCell;

async fn look(log: &RefCell<Log>, now: Timestamp) -> Option<(i64, usize)> {
    let high_watermark = log.borrow().written_offset();
    let found = expired(log, high_watermark, now).await.unwrap();
    found.map(|Expiry { start, segments, .. }| (start.0, segments))
}

/// Two batches to a segment, a second between batches.
async fn filled(fixture: &mut Fixture, count: i64) -> RefCell<Log> {
    fixture.config.segment_bytes = 2 * batch(&["v0"]).bytes.len() as u32;
    let log = fixture.open().await;
    for at in 0..count {
        append(&log, &batch_at(NOW.0 + at * 1000, &["v0"])).await;
    }
    log
}

fn later(ms: i64) -> Timestamp {
    Timestamp(NOW.0 + ms)
}

#[test]
fn segments_expire_by_their_largest_timestamp() {
    for clean in [None, Some(true), Some(false)] {
        test(|mut fixture| async move {
            fixture.config.retention_ms = 60_000;
            let mut log = filled(&mut fixture, 6).await;
            if let Some(clean) = clean {
                crate::log::close(&log).await.unwrap();
                log = fixture.open_as(clean, 6).await;
            }
            assert_eq!(look(&log, later(61_000)).await, None);
            assert_eq!(look(&log, later(61_001)).await, Some((2, 1)));
            assert_eq!(look(&log, later(63_001)).await, Some((4, 2)));
            assert_eq!(look(&log, later(65_001)).await, Some((6, 3)), "the active one too");
        });
    }
}

#[test]
fn without_timestamps_the_age_of_the_file_counts() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 2 * batch(&["v"]).bytes.len() as u32;
        fixture.config.retention_ms = 1000;
        let log = fixture.open().await;
        for _ in 0..5 {
            append(&log, &batch_at(-1, &["v"])).await;
        }
        let written = fixture.dir().await.modified("00000000000000000000.log").await.unwrap();
        assert_eq!(look(&log, Timestamp(written.0 + 900)).await.filter(|(start, _)| *start < 4), None);
        let found = look(&log, Timestamp(written.0 + 100_000)).await;
        assert!(found.is_some_and(|(start, _)| start >= 4), "{found:?}");
    });
}

#[test]
fn only_a_policy_that_deletes_deletes() {
    test(|mut fixture| async move {
        (fixture.config.retention_ms, fixture.config.retention_bytes) = (0, 0);
        fixture.config.cleanup_policy = CleanupPolicy::COMPACT;
        let log = filled(&mut fixture, 4).await;
        assert_eq!(look(&log, later(1 << 40)).await, None);
        fixture.config.cleanup_policy = CleanupPolicy { delete: true, compact: true };
        log.borrow_mut().reconfigure(fixture.config.clone().into());
        assert_eq!(look(&log, later(1 << 40)).await, Some((4, 2)));
    });
}

#[test]
fn what_lies_below_the_log_start_counts_no_more() {
    test(|mut fixture| async move {
        let log = filled(&mut fixture, 8).await;
        let size = log.borrow().size();
        fixture.config.retention_bytes = (size / 2) as i64;
        log.borrow_mut().reconfigure(fixture.config.clone().into());
        let high_watermark = log.borrow().written_offset();
        let found = expired(&log, high_watermark, NOW).await.unwrap().unwrap();
        let breach = Breach::Size { retention_bytes: size / 2 };
        assert_eq!(found, Expiry { start: Offset(4), segments: 2, breach });
        log.borrow_mut().advance_start(found.start);
        assert_eq!(look(&log, NOW).await, None);
        assert!(log.borrow().has_removable());
    });
}
