use super::fixture::*;
use crate::log::Log;
use crate::log::close::secure;
use crate::types::{Offset, ProducerId};
use std::cell::RefCell;

const FILE: &str = "00000000000000000000.log";

/// Moves the recovery point to the log's end.
async fn mark(log: &RefCell<Log>) {
    let waypoint = log.borrow().waypoint().unwrap();
    secure(log).await.unwrap();
    let Ok(marking) = log.borrow_mut().begin_marking(waypoint) else { panic!("nothing is in the way") };
    let marked = marking.run().await;
    log.borrow_mut().finish_marking(marked).unwrap();
}

#[test]
fn a_scan_begins_at_the_recovery_point_within_a_segment() {
    test(|mut fixture| async move {
        fixture.config.index_interval_bytes = 300;
        let log = fixture.open().await;
        append_values(&log, 0, 50).await;
        assert!(log.borrow().bytes_to_scan() > 3_000);
        mark(&log).await;
        assert_eq!((log.borrow().recovery_point(), log.borrow().bytes_to_scan()), (Offset(50), 0));
        append_values(&log, 50, 60).await;
        let mut bytes = fixture.read_file(FILE).await;
        bytes[100] ^= 1;
        fixture.write_file(FILE, &bytes).await;
        let log = fixture.open_as(false, 50).await;
        assert_eq!(log.borrow().end_offset(), Offset(60), "the damage lies where nothing is checked");
        assert_eq!(log.borrow().recovery_point(), Offset(50));
        let log = fixture.open_as(false, 0).await;
        assert_eq!(log.borrow().end_offset(), Offset(1), "a scan from the start finds it");
    });
}

#[test]
fn a_log_opened_from_its_recovery_point_is_the_same() {
    test(|mut fixture| async move {
        fixture.config.index_interval_bytes = 300;
        let log = fixture.open().await;
        for at in 0..30 {
            append(&log, &producer_batch(i64::from(at % 3), 0, at / 3 * 2, 2)).await;
            if at == 20 {
                mark(&log).await;
            }
        }
        let point = log.borrow().recovery_point().0;
        let open = |point| {
            let fixture = fixture.clone();
            async move {
                let log = fixture.open_as(false, point).await;
                let index = fixture.read_file("00000000000000000000.index").await;
                let producers: Vec<_> =
                    (0..3).map(|id| log.borrow().producers().get(ProducerId(id)).cloned()).collect();
                let last =
                    producers.into_iter().map(|state| state.unwrap().batches.back().copied()).collect::<Vec<_>>();
                let read = read_all(&log).await;
                (log.borrow().end_offset(), log.borrow().epochs().clone(), index, last, read)
            }
        };
        assert!(open(point).await == open(0).await);
    });
}

#[test]
fn what_lies_below_the_recovery_point_survives_a_power_cut() {
    for seed in 0..40 {
        test_seeded(seed, |mut fixture| async move {
            fixture.config.index_interval_bytes = 300;
            fixture.dir().await;
            let log = fixture.open().await;
            append_values(&log, 0, 40).await;
            mark(&log).await;
            append_values(&log, 40, 60).await;
            crate::log::trim(&log).await.unwrap();
            append_values(&log, 60, 70).await;
            fixture.disk.power_cut();
            let log = fixture.open_as(false, 40).await;
            let end = log.borrow().end_offset().0 as usize;
            assert!(end >= 40, "seed {seed}: {end}");
            assert_eq!(read_all(&log).await, values(end), "seed {seed}");
            append_values(&log, end, 80).await;
            assert_eq!(read_all_from_disk(&log).await, values(80), "seed {seed}");
        });
    }
}

#[test]
fn a_recovery_point_of_another_log_is_not_believed() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 50).await;
        crate::log::trim(&log).await.unwrap();
        let mut bytes = fixture.read_file(FILE).await;
        bytes[100] ^= 1;
        fixture.write_file(FILE, &bytes).await;
        assert_eq!(fixture.open_as(false, 50).await.borrow().end_offset(), Offset(1));
    });
}

#[test]
fn a_waypoint_waits_until_all_below_is_synced_and_no_other_job_has_the_files() {
    test(|fixture| async move {
        let log = fixture.open().await;
        assert!(log.borrow().waypoint().is_none());
        append_values(&log, 0, 5).await;
        let waypoint = log.borrow().waypoint().unwrap();
        let Err(waypoint) = log.borrow_mut().begin_marking(waypoint) else { panic!("it is not synced") };
        secure(&log).await.unwrap();
        append_only(&log, &batch(&["v5"]));
        let write = log.borrow_mut().begin_write().unwrap();
        let Err(waypoint) = log.borrow_mut().begin_marking(waypoint) else { panic!("a write has the file") };
        let written = write.run().await;
        log.borrow_mut().finish_write(written).unwrap();
        let Ok(marking) = log.borrow_mut().begin_marking(waypoint) else { panic!("it is synced and free") };
        let marked = marking.run().await;
        log.borrow_mut().finish_marking(marked).unwrap();
        assert_eq!(log.borrow().recovery_point(), Offset(5));
    });
}

#[test]
fn the_last_two_waypoints_keep_their_snapshots() {
    test(|fixture| async move {
        let log = fixture.open().await;
        for round in 0..5 {
            append_values(&log, round * 10, round * 10 + 10).await;
            mark(&log).await;
        }
        let files = fixture.files().await;
        let snapshots: Vec<_> = files.keys().filter(|name| name.ends_with(".snapshot")).collect();
        assert_eq!(snapshots, ["00000000000000000040.snapshot", "00000000000000000050.snapshot"]);
    });
}
