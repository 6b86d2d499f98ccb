use super::fixture::*;
use crate::log::{Doomed, Log, Opening, settle};
use crate::types::Offset;
use std::cell::RefCell;

/// Deletes what lies below `start`, to the last step.
async fn delete_below(log: &RefCell<Log>, start: i64) {
    log.borrow_mut().advance_start(Offset(start));
    let deletion = log.borrow_mut().begin_deletion(NOW);
    let deletion = match deletion {
        Some(deletion) => deletion,
        None => {
            settle(log).await.unwrap();
            log.borrow_mut().begin_deletion(NOW).unwrap()
        }
    };
    let deleted = deletion.run().await;
    let doomed = log.borrow_mut().finish_deletion(deleted).unwrap();
    doomed.remove().await.unwrap();
}

#[test]
fn whole_segments_below_the_start_go() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 700;
        let log = fixture.open().await;
        append_values(&log, 0, 50).await;
        delete_below(&log, 25).await;
        let first =
            *fixture.files().await.keys().next().unwrap().split('.').next().as_ref().unwrap() == "00000000000000000000";
        assert!(!first, "the first segment's files are gone");
        assert_eq!(read_all_from_disk(&log).await, values(50)[25..]);
        assert!(log.borrow_mut().begin_deletion(NOW).is_none());
    });
}

#[test]
fn a_segment_is_sealed_before_it_goes() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 700;
        let log = fixture.open().await;
        for at in 0..20 {
            append_only(&log, &batch(&[&format!("v{at}")]));
            let write = log.borrow_mut().begin_write().unwrap();
            let written = write.run().await;
            log.borrow_mut().finish_write(written).unwrap();
        }
        log.borrow_mut().advance_start(Offset(15));
        assert!(log.borrow_mut().begin_deletion(NOW).is_none());
        settle(&log).await.unwrap();
        assert!(log.borrow_mut().begin_deletion(NOW).is_some());
    });
}

#[test]
fn the_start_within_a_segment_survives_by_the_checkpoint() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 10).await;
        log.borrow_mut().advance_start(Offset(4));
        crate::log::close(&log).await.unwrap();
        let how =
            Opening { clean: true, recovery_point: Offset(10), log_start: Offset(4), synced_later: false, now: NOW };
        let log = fixture.open_how(how).await;
        assert_eq!(read_all(&log).await, values(10)[4..]);
        assert_eq!(log.borrow().epochs().entries()[0].start, Offset(4));
    });
}

#[test]
fn deleting_everything_keeps_the_end_offset() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 10).await;
        delete_below(&log, 10).await;
        assert_eq!(log.borrow().size(), 0);
        assert_eq!(fixture.files().await["00000000000000000010.log"], 0);
        assert_eq!(fixture.open_unclean().await.borrow().end_offset(), Offset(10));
        append_values(&log, 10, 12).await;
        assert_eq!(read_all_from_disk(&log).await, values(12)[10..]);
        let log = fixture.reopened(log).await;
        assert_eq!((log.borrow().start_offset(), log.borrow().end_offset()), (Offset(10), Offset(12)));
    });
}

#[test]
fn a_deletion_cut_short_is_completed_at_the_next_start() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 700;
        let log = fixture.open().await;
        append_values(&log, 0, 50).await;
        log.borrow_mut().advance_start(Offset(25));
        let deletion = log.borrow_mut().begin_deletion(NOW).unwrap();
        let deleted = deletion.run().await;
        let _doomed = log.borrow_mut().finish_deletion(deleted).unwrap();
        assert!(fixture.files().await.keys().any(|name| name.ends_with(".deleted")));
        let log = fixture.open_unclean().await;
        let found = log.borrow_mut().take_found().unwrap();
        found.remove().await.unwrap();
        assert!(!fixture.files().await.keys().any(|name| name.ends_with(".deleted")));
        let start = log.borrow().start_offset().0;
        assert_eq!(read_all(&log).await, values(50)[start as usize..]);
    });
}

#[test]
fn a_whole_log_is_renamed_and_then_removed() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 5).await;
        log.borrow_mut().shrink_tail(0);
        let root = crate::runtime::Directory::memory(&fixture.disk);
        let name = crate::log::retire(&root, "t", crate::types::PartitionIndex(0), 7).await.unwrap();
        assert_eq!(name, format!("t-0.{:032x}-delete", 7));
        assert_eq!(read_all(&log).await, values(5), "reads go on in the renamed directory");
        let doomed = Doomed::log(root.clone(), name, Some(&log.borrow()));
        doomed.remove().await.unwrap();
        assert!(root.list().await.unwrap().is_empty());
    });
}
