use super::fixture::*;
use crate::log::{AppendError, Durability, close, settle};
use crate::runtime::memory::Operation;
use crate::types::Offset;

#[test]
fn a_failed_write_stops_appends_but_not_reads() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 5).await;
        fixture.disk.fail(Operation::Write, 1);
        append_only(&log, &batch(&["lost"]));
        assert!(settle(&log).await.is_err());
        assert_eq!(log.borrow().written_offset(), Offset(5));
        assert!(log.borrow().failure().is_some());
        let refused = log.borrow_mut().append(&batch(&["refused"]), EPOCH, NOW);
        assert!(matches!(refused, Err(AppendError::Storage(_))));
        assert!(log.borrow_mut().begin_write().is_none(), "a write is never tried again");
        assert_eq!(read_all(&log).await, values(5));
        assert_eq!(read_all_from_disk(&log).await, values(5));
        assert!(close(&log).await.is_err(), "such a directory is not clean");
        assert_eq!(read_all(&fixture.open_unclean().await).await[..5], values(5));
    });
}

#[test]
fn a_full_disk_is_told_apart() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 5).await;
        fixture.disk.limit_space(Some(200 << 10));
        append_only(&log, &large_batch(200 << 10));
        assert!(matches!(settle(&log).await, Err(crate::log::StorageError::Full { .. })));
        assert_eq!(read_all(&log).await, values(5));
    });
}

#[test]
fn a_failure_while_sealing_stops_the_log() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 700;
        let log = fixture.open().await;
        append_values(&log, 0, 5).await;
        fixture.disk.fail(Operation::Sync, 1);
        for at in 5..20 {
            append_only(&log, &batch(&[&format!("v{at}")]));
        }
        assert!(settle(&log).await.is_err());
        let written = log.borrow().written_offset().0 as usize;
        assert_eq!(read_all(&log).await, values(written));
    });
}

#[test]
fn a_failed_read_is_an_error_of_that_read_only() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 5).await;
        log.borrow_mut().shrink_tail(0);
        fixture.disk.fail(Operation::Read, 1);
        let plan = log.borrow().plan_read(Offset(0), 100, Offset(5), true).unwrap();
        let crate::log::ReadPlan::Disk(read) = plan else { panic!("it is on disk") };
        assert!(read.run().await.is_err());
        assert_eq!(read_all(&log).await, values(5));
    });
}

#[test]
fn acked_batches_survive_power_cuts_when_synced() {
    for seed in 0..60 {
        test_seeded(seed, |mut fixture| async move {
            fixture.config.durability = Durability::Synced;
            fixture.config.segment_bytes = 3000;
            fixture.dir().await;
            let mut acked = 0;
            for round in 0..4 {
                let log = fixture.open_unclean().await;
                let end = log.borrow().end_offset().0 as usize;
                assert!(end >= acked, "seed {seed}, round {round}: {end} of {acked} acked are left");
                assert_eq!(read_all(&log).await, values(end));
                fixture.disk.cut_power_at(5 + (seed * 7 + round * 13) % 60);
                let mut next = end;
                loop {
                    for _ in 0..3 {
                        append_only(&log, &batch(&[&format!("v{next}")]));
                        next += 1;
                    }
                    match settle(&log).await {
                        Ok(written) => acked = written.0 as usize,
                        Err(_) => break,
                    }
                }
                acked = acked.max(log.borrow().written_offset().0 as usize);
                fixture.disk.power_cut();
            }
        });
    }
}
