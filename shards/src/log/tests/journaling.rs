use super::fixture::*;
use crate::log::close::secure;
use crate::log::{Durability, Log, Restored, Search, Unjournaled, close, settle};
use crate::types::{LeaderEpoch, Offset};
use bytes::Bytes;
use std::cell::RefCell;

/// What a journal would hold: an entry for each handing over.
pub type Entries = Vec<(Offset, Bytes)>;

fn hand_over(log: &RefCell<Log>) -> (Offset, Bytes, Offset) {
    let pending = log.borrow().unjournaled(usize::MAX);
    let mut bytes = vec![0; pending.bytes];
    log.borrow_mut().hand_over(pending, &mut bytes);
    (pending.from, bytes.into(), pending.next)
}

/// Appends and journals, one entry each.
pub fn journal(log: &RefCell<Log>, entries: &mut Entries, from: usize, to: usize) {
    for at in from..to {
        append_only(log, &batch(&[&format!("v{at}")]));
        let (from, bytes, next) = hand_over(log);
        entries.push((from, bytes));
        log.borrow_mut().finish_journaling(next);
    }
}

pub fn restore(log: &RefCell<Log>, entries: &Entries) -> Vec<Restored> {
    entries.iter().map(|(from, bytes)| log.borrow_mut().restore(*from, bytes, NOW).unwrap()).collect()
}

async fn write_back(log: &RefCell<Log>) {
    let write = log.borrow_mut().begin_write_back().unwrap();
    let written = write.run().await;
    log.borrow_mut().finish_write(written).unwrap();
}

async fn sync(log: &RefCell<Log>) {
    let write = log.borrow_mut().begin_sync().unwrap();
    let written = write.run().await;
    log.borrow_mut().finish_write(written).unwrap();
}

pub fn synced(fixture: &mut Fixture) {
    fixture.config.durability = Durability::Synced;
}

fn frontiers(log: &RefCell<Log>) -> [i64; 4] {
    let log = log.borrow();
    [log.flushed_offset(), log.written_offset(), log.stable_offset(), log.end_offset()].map(|offset| offset.0)
}

#[test]
fn a_journaled_batch_is_stable_before_it_is_written() {
    test(|mut fixture| async move {
        synced(&mut fixture);
        let log = fixture.open().await;
        append_only(&log, &batch(&["v0"]));
        let (_, _, next) = hand_over(&log);
        assert_eq!(frontiers(&log), [0, 0, 0, 1], "handed over is not stored");
        append_only(&log, &batch(&["v1"]));
        assert_eq!(log.borrow_mut().finish_journaling(next), Offset(1));
        assert_eq!(frontiers(&log), [0, 0, 1, 2]);
        assert!(fixture.files().await.is_empty());
        write_back(&log).await;
        assert_eq!(frontiers(&log), [0, 1, 1, 2], "only what a journal has is written back");
        sync(&log).await;
        assert_eq!(frontiers(&log), [1, 1, 1, 2]);
    });
}

#[test]
fn what_is_handed_over_is_what_lies_in_the_segment() {
    test(|mut fixture| async move {
        synced(&mut fixture);
        let log = fixture.open().await;
        let mut entries = Entries::new();
        journal(&log, &mut entries, 0, 3);
        write_back(&log).await;
        let bytes: Vec<u8> = entries.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
        assert_eq!(fixture.read_file("00000000000000000000.log").await[..bytes.len()], bytes);
    });
}

#[test]
fn a_journal_gives_back_what_was_not_written() {
    test(|mut fixture| async move {
        synced(&mut fixture);
        let log = fixture.open().await;
        let mut entries = Entries::new();
        journal(&log, &mut entries, 0, 2);
        write_back(&log).await;
        sync(&log).await;
        journal(&log, &mut entries, 2, 5);
        fixture.disk.power_cut();
        let log = fixture.open_unclean().await;
        assert_eq!(log.borrow().end_offset(), Offset(2));
        let restored = restore(&log, &entries);
        assert_eq!(restored[..2], [Restored::Taken { bytes: 0 }; 2], "what is there is not appended again");
        secure(&log).await.unwrap();
        assert_eq!(frontiers(&log), [5; 4]);
        fixture.disk.power_cut();
        assert_eq!(read_all(&fixture.open_unclean().await).await, values(5));
    });
}

#[test]
fn a_torn_write_back_is_made_good() {
    for seed in 0..40 {
        test_seeded(seed, |mut fixture| async move {
            synced(&mut fixture);
            fixture.config.segment_bytes = 2_000;
            fixture.dir().await;
            let log = fixture.open().await;
            let mut entries = Entries::new();
            for round in 0..10 {
                journal(&log, &mut entries, round * 5, round * 5 + 5);
                write_back(&log).await;
                if round == 3 {
                    sync(&log).await;
                }
            }
            fixture.disk.power_cut();
            let log = fixture.open_unclean().await;
            assert!(log.borrow().end_offset() >= Offset(20), "seed {seed}: what was synced is there");
            restore(&log, &entries);
            secure(&log).await.unwrap();
            assert_eq!(read_all(&log).await, values(50), "seed {seed}");
        });
    }
}

#[test]
fn an_entry_that_does_not_continue_the_log_is_left_out() {
    test(|mut fixture| async move {
        synced(&mut fixture);
        let log = fixture.open().await;
        let mut entries = Entries::new();
        journal(&log, &mut entries, 0, 4);
        fixture.disk.power_cut();
        let log = fixture.open_unclean().await;
        let gap = entries.split_off(1).split_off(1);
        assert_eq!(restore(&log, &gap), [Restored::Unfit; 2]);
        append(&log, &batch(&["a", "b"])).await;
        let mut straddling = entries.remove(0).1.to_vec();
        straddling[..8].copy_from_slice(&1i64.to_be_bytes());
        assert_eq!(restore(&log, &vec![(Offset(1), batch(&["x", "y"]).bytes.clone())]), [Restored::Taken { bytes: 0 }]);
        assert_eq!(restore(&log, &vec![(Offset(1), straddling.into())]), [Restored::Taken { bytes: 0 }]);
        let mut overlapping = batch(&["x", "y"]).bytes.to_vec();
        overlapping[..8].copy_from_slice(&1i64.to_be_bytes());
        overlapping[12..16].copy_from_slice(&EPOCH.0.to_be_bytes());
        assert_eq!(restore(&log, &vec![(Offset(1), overlapping.into())]), [Restored::Unfit]);
        assert_eq!(log.borrow().end_offset(), Offset(2));
    });
}

#[test]
fn a_damaged_entry_and_one_of_an_older_epoch_are_left_out() {
    test(|mut fixture| async move {
        synced(&mut fixture);
        let log = fixture.open().await;
        let mut entries = Entries::new();
        journal(&log, &mut entries, 0, 2);
        fixture.disk.power_cut();
        let log = fixture.open_unclean().await;
        let mut damaged = entries[0].1.to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(restore(&log, &vec![(Offset(0), damaged.into())]), [Restored::Unfit]);
        log.borrow_mut().append(&batch(&["v0"]), LeaderEpoch(EPOCH.0 + 1), NOW).unwrap();
        assert_eq!(restore(&log, &entries.split_off(1)), [Restored::Unfit], "another leader has been here since");
    });
}

#[test]
fn nothing_is_journaled_behind_what_is_neither_journaled_nor_synced() {
    test(|mut fixture| async move {
        let log = fixture.open().await;
        append_values(&log, 0, 2).await;
        assert_eq!(frontiers(&log), [0, 2, 2, 2], "written is what this log promises");
        synced(&mut fixture);
        log.borrow_mut().reconfigure(fixture.config.clone().into());
        append_only(&log, &batch(&["v2"]));
        assert!(!log.borrow().may_journal());
        assert_eq!(log.borrow().unjournaled(usize::MAX).bytes, 0);
        settle(&log).await.unwrap();
        assert_eq!(frontiers(&log), [3; 4]);
        append_only(&log, &batch(&["v3"]));
        assert!(log.borrow().may_journal());
    });
}

#[test]
fn a_synced_write_after_unsynced_ones_syncs_them_too() {
    for seed in 0..20 {
        test_seeded(seed, |mut fixture| async move {
            synced(&mut fixture);
            fixture.config.segment_bytes = 2_000;
            fixture.dir().await;
            let log = fixture.open().await;
            let mut entries = Entries::new();
            for round in 0..6 {
                journal(&log, &mut entries, round * 5, round * 5 + 5);
                write_back(&log).await;
            }
            append_only(&log, &batch(&["v30"]));
            let write = log.borrow_mut().begin_write().unwrap();
            let written = write.run().await;
            assert_eq!(log.borrow_mut().finish_write(written).unwrap(), Offset(31));
            assert_eq!(frontiers(&log), [31; 4]);
            fixture.disk.power_cut();
            assert_eq!(read_all(&fixture.open_unclean().await).await, values(31), "seed {seed}");
        });
    }
}

#[test]
fn a_part_of_what_waits_may_be_taken() {
    test(|mut fixture| async move {
        synced(&mut fixture);
        let log = fixture.open().await;
        for at in 0..3 {
            append_only(&log, &batch(&[&format!("v{at}")]));
        }
        let Unjournaled { from, next, bytes } = log.borrow().unjournaled(1);
        assert_eq!((from, next), (Offset(0), Offset(1)), "one at least");
        assert_eq!(log.borrow().unjournaled(bytes * 2).next, Offset(2));
        assert_eq!(log.borrow().unjournaled(usize::MAX).next, Offset(3));
    });
}

#[test]
fn a_journaled_log_closes_with_everything_in_its_segments() {
    test(|mut fixture| async move {
        synced(&mut fixture);
        let log = fixture.open().await;
        journal(&log, &mut Entries::new(), 0, 5);
        close(&log).await.unwrap();
        assert_eq!(frontiers(&log), [5; 4]);
        fixture.disk.power_cut();
        assert_eq!(read_all(&fixture.open().await).await, values(5));
    });
}

#[test]
fn a_search_by_time_sees_what_is_in_memory_only() {
    test(|mut fixture| async move {
        use crate::log::Lookup;
        synced(&mut fixture);
        let log = fixture.open().await;
        append_only(&log, &batch_at(NOW.0, &["a"]));
        append_only(&log, &batch_at(NOW.0 + 100, &["b", "c"]));
        let (_, _, next) = hand_over(&log);
        log.borrow_mut().finish_journaling(next);
        for written in [false, true] {
            if written {
                write_back(&log).await;
                append_only(&log, &batch_at(NOW.0 + 50, &["d"]));
                let (_, _, next) = hand_over(&log);
                log.borrow_mut().finish_journaling(next);
            }
            let find = |what| {
                let plan = log.borrow().plan_lookup(what, log.borrow().stable_offset());
                async move {
                    match plan.run().await.unwrap() {
                        Search::Found(found) => Some(found.offset.0),
                        Search::Nothing | Search::Outdated => None,
                    }
                }
            };
            assert_eq!(find(Lookup::At(NOW)).await, Some(0));
            assert_eq!(find(Lookup::At(crate::types::Timestamp(NOW.0 + 101))).await, Some(2));
            assert_eq!(find(Lookup::At(crate::types::Timestamp(NOW.0 + 102))).await, None);
            assert_eq!(find(Lookup::MaxTimestamp).await, Some(2));
        }
    });
}

#[test]
fn a_sync_that_began_before_a_truncation_covers_nothing_after_it() {
    test(|mut fixture| async move {
        synced(&mut fixture);
        let log = fixture.open().await;
        let mut entries = Entries::new();
        journal(&log, &mut entries, 0, 5);
        write_back(&log).await;
        let point = log.borrow().sync_point();
        secure(&log).await.unwrap();
        let truncation = log.borrow_mut().begin_truncation(Offset(3), NOW);
        let truncated = truncation.run().await;
        log.borrow_mut().finish_truncation(truncated).unwrap();
        journal(&log, &mut entries, 3, 5);
        write_back(&log).await;
        log.borrow_mut().finish_sync(point);
        assert_eq!(frontiers(&log), [3, 5, 5, 5]);
    });
}
