use super::fixture::*;
use crate::log::disk_read::DiskRead;
use crate::log::limits::REMOVED_AT_ONCE;
use crate::log::{Doomed, Log, ReadError, ReadPlan, settle};
use crate::types::Offset;
use std::cell::RefCell;

/// A read of what is on disk.
fn plan(log: &RefCell<Log>, from: i64, max_bytes: usize, below: i64) -> DiskRead {
    match log.borrow().plan_read(Offset(from), max_bytes, Offset(below), true).unwrap() {
        ReadPlan::Disk(read) => read,
        ReadPlan::Ready(_) => panic!("it is on disk"),
    }
}

/// 18 batches of a mebibyte, and somewhat more, in two segments.
async fn long(fixture: &mut Fixture) -> RefCell<Log> {
    fixture.config.segment_bytes = 16 << 20;
    let log = fixture.open().await;
    for _ in 0..18 {
        append(&log, &large_batch(1 << 20)).await;
    }
    log
}

/// What is below leaves the log.
async fn delete_below(log: &RefCell<Log>, start: i64) -> Doomed {
    log.borrow_mut().advance_start(Offset(start));
    settle(log).await.unwrap();
    let deletion = log.borrow_mut().begin_deletion(NOW).unwrap();
    let deleted = deletion.run().await;
    log.borrow_mut().finish_deletion(deleted).unwrap()
}

#[test]
fn offsets_outside_of_the_log_are_out_of_range() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 5).await;
        log.borrow_mut().advance_start(Offset(2));
        for from in [-1, 1, 6] {
            let plan = log.borrow().plan_read(Offset(from), 100, Offset(5), true);
            assert!(matches!(plan, Err(ReadError::OutOfRange)), "{from}");
        }
        assert!(read(&log, 5, 100, true).await.is_empty());
    });
}

#[test]
fn memory_and_disk_give_the_same_bytes() {
    test(|fixture| async move {
        let log = fixture.open().await;
        for size in [10, 20_000, 30, 40, 17_000, 50_000, 5] {
            append_only(&log, &large_batch(size));
        }
        settle(&log).await.unwrap();
        let mut answers = Vec::new();
        for _ in 0..2 {
            for from in 0..7 {
                for max_bytes in [0, 100, 25_000, 1 << 20] {
                    for at_least_one in [false, true] {
                        answers.push(read(&log, from, max_bytes, at_least_one).await.into_bytes());
                    }
                }
            }
            log.borrow_mut().shrink_tail(0);
        }
        let (memory, disk) = answers.split_at(answers.len() / 2);
        assert_eq!(memory, disk);
    });
}

#[test]
fn the_first_batch_comes_whole_even_if_it_is_larger() {
    test(|fixture| async move {
        let log = fixture.open().await;
        fill(&log, 2, 5000).await;
        for _ in 0..2 {
            assert_eq!(offsets(read(&log, 0, 10, true).await), [0]);
            assert!(read(&log, 0, 10, false).await.is_empty());
            assert_eq!(offsets(read(&log, 0, 6000, false).await), [0]);
            log.borrow_mut().shrink_tail(0);
        }
    });
}

#[test]
fn nothing_at_or_past_the_bound_is_read() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 5).await;
        for _ in 0..2 {
            let plan = log.borrow().plan_read(Offset(1), 1 << 20, Offset(3), true).unwrap();
            let records = match plan {
                ReadPlan::Ready(records) => records,
                ReadPlan::Disk(read) => read.run().await.unwrap(),
            };
            assert_eq!(offsets(records), [1, 2]);
            log.borrow_mut().shrink_tail(0);
        }
    });
}

#[test]
fn what_is_not_written_is_not_read_from_disk() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 2).await;
        log.borrow_mut().shrink_tail(0);
        append_only(&log, &batch(&["v2"]));
        assert_eq!(offsets(plan(&log, 0, 1 << 20, 3).run().await.unwrap()), [0, 1]);
    });
}

#[test]
fn an_offset_inside_a_batch_gives_the_whole_batch() {
    test(|fixture| async move {
        let log = fixture.open().await;
        append(&log, &batch(&["a", "b", "c"])).await;
        append(&log, &batch(&["d"])).await;
        for _ in 0..2 {
            assert_eq!(offsets(read(&log, 2, 1000, true).await), [0, 3]);
            log.borrow_mut().shrink_tail(0);
        }
    });
}

#[test]
fn readers_find_every_offset_of_an_indexed_segment() {
    test(|mut fixture| async move {
        fixture.config.index_interval_bytes = 300;
        let log = fixture.open().await;
        append_values(&log, 0, 2000).await;
        let log = fixture.reopened(log).await;
        append_values(&log, 2000, 2100).await;
        log.borrow_mut().shrink_tail(0);
        for from in (0..2100).rev() {
            assert_eq!(offsets(read(&log, from, 1, true).await), [from]);
        }
    });
}

#[test]
fn a_reader_in_sequence_reads_no_index() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 20_000;
        let log = fixture.open().await;
        append_values(&log, 0, 600).await;
        log.borrow_mut().shrink_tail(0);
        use crate::runtime::memory::Operation::Read;
        read(&log, 0, 300, true).await;
        let before = fixture.disk.operations(Read);
        read(&log, 4, 300, true).await;
        assert_eq!(fixture.disk.operations(Read) - before, 1);
    });
}

#[test]
fn a_missing_index_only_makes_a_read_slower() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 20_000;
        let log = fixture.open().await;
        append_values(&log, 0, 600).await;
        log.borrow_mut().shrink_tail(0);
        fixture.dir().await.remove_file("00000000000000000000.index").await.unwrap();
        assert_eq!(offsets(read(&log, 200, 1, true).await), [200]);
    });
}

#[test]
fn a_segment_that_is_read_while_it_goes_is_read_whole() {
    test(|mut fixture| async move {
        let log = long(&mut fixture).await;
        log.borrow_mut().shrink_tail(0);
        let (first, last) = (plan(&log, 0, 100, 18), plan(&log, 13, 100, 18));
        let mut doomed = delete_below(&log, 17).await;
        assert_eq!(offsets(first.run().await.unwrap()), [0], "it opens the file");
        assert!(!doomed.remove_some().await.unwrap().is_gone);
        assert_eq!(offsets(last.run().await.unwrap()), [13]);
        assert!(!doomed.is_leased());
        doomed.remove().await.unwrap();
        assert!(fixture.files().await.keys().all(|name| !name.ends_with(".deleted")));
    });
}

#[test]
fn a_long_segment_that_nobody_reads_goes_in_parts() {
    test(|mut fixture| async move {
        let log = long(&mut fixture).await;
        let mut doomed = delete_below(&log, 17).await;
        let mut largest = 0;
        loop {
            let removed = doomed.remove_some().await.unwrap();
            largest = largest.max(removed.bytes);
            if removed.is_gone {
                break;
            }
        }
        assert_eq!(largest, REMOVED_AT_ONCE);
        assert!(fixture.files().await.keys().all(|name| !name.ends_with(".deleted")));
    });
}

#[test]
fn a_segment_deleted_meanwhile_is_still_read() {
    test(|mut fixture| async move {
        fixture.config.segment_bytes = 1000;
        let log = fixture.open().await;
        append_values(&log, 0, 40).await;
        log.borrow_mut().shrink_tail(0);
        let [before_rename, after_rename, after_unlink] = [(); 3].map(|()| plan(&log, 0, 100, 40));
        assert_eq!(offsets(before_rename.run().await.unwrap()), [0]);
        let doomed = delete_below(&log, 30).await;
        assert_eq!(offsets(after_rename.run().await.unwrap()), [0]);
        assert!(doomed.is_leased(), "by the read that is still to come");
        doomed.remove().await.unwrap();
        assert!(after_unlink.run().await.unwrap().is_empty(), "too late, and no error");
    });
}
