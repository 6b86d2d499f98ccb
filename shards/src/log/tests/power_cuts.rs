//! Power cuts at every operation of what changes a log's files: whatever is left of them, a start finds all that was
//! promised, and no hole.

use super::compacting::{all, compact, compacted, keyed, sample};
use super::fixture::*;
use super::histories::compact_until_cut;
use super::journaling::{Entries, journal, restore, synced};
use crate::log::{Durability, Log, LogConfig, Opening, retire, settle};
use crate::record::{BatchBuilder, EndTransactionMarker};
use crate::runtime::Directory;
use crate::runtime::memory::Disk;
use crate::runtime::simulation::simulate;
use crate::types::{Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

const SEEDS: u64 = 12;

/// Prepares a log's directory, then cuts the power at an operation of `act`, a later one each time until it is over, and
/// calls `check`.
fn sweep(prepare: impl AsyncFn(&mut Fixture), act: impl AsyncFn(&Fixture, &dyn Fn()), check: impl AsyncFn(&Fixture)) {
    for seed in 0..SEEDS {
        for nth in (1..).step_by(1 + (seed % 3) as usize) {
            let seed = seed * 1000 + nth;
            let is_over = simulate(seed, async {
                let mut fixture = Fixture { disk: Disk::new(seed), config: LogConfig::default() };
                prepare(&mut fixture).await;
                act(&fixture, &|| fixture.disk.cut_power_at(nth)).await;
                let is_over = fixture.disk.is_cut_due();
                fixture.disk.power_cut();
                check(&fixture).await;
                is_over
            });
            if is_over {
                break;
            }
        }
    }
}

/// Opens the log after a crash; the power may go meanwhile.
async fn open(fixture: &Fixture, recovery_point: i64, cut: &dyn Fn()) {
    let how = Opening {
        clean: false,
        recovery_point: Offset(recovery_point),
        log_start: Offset(0),
        synced_later: false,
        now: NOW,
    };
    let dir = fixture.dir().await;
    cut();
    drop(Log::open(dir, Arc::new(fixture.config.clone()), how).await);
}

async fn filled(fixture: &mut Fixture, records: usize) -> RefCell<Log> {
    synced(fixture);
    fixture.config.segment_bytes = 700;
    let log = fixture.open().await;
    append_values(&log, 0, records).await;
    log
}

/// The first offsets of the log's files.
async fn bases(fixture: &Fixture) -> Vec<String> {
    fixture.files().await.into_keys().filter(|name| name.ends_with(".log")).collect()
}

#[test]
fn a_start_that_is_cut_short_leaves_no_hole_behind_a_damaged_segment() {
    let prepare = async |fixture: &mut Fixture| {
        filled(fixture, 50).await;
        let damaged = &bases(fixture).await[1];
        let mut bytes = fixture.read_file(damaged).await;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fixture.write_file(damaged, &bytes).await;
    };
    let check = async |fixture: &Fixture| {
        let found = read_all(&fixture.open_unclean().await).await;
        assert_eq!(found, values(found.len()));
    };
    sweep(prepare, async |fixture, cut| open(fixture, 0, cut).await, check);
}

#[test]
fn a_truncation_that_is_cut_short_leaves_no_hole() {
    let prepare = async |fixture: &mut Fixture| drop(filled(fixture, 50).await);
    let truncate = async |fixture: &Fixture, cut: &dyn Fn()| {
        let log = fixture.open_unclean().await;
        cut();
        let truncation = log.borrow_mut().begin_truncation(Offset(12), NOW);
        let truncated = truncation.run().await;
        drop(log.borrow_mut().finish_truncation(truncated));
    };
    let check = async |fixture: &Fixture| {
        let found = read_all(&fixture.open_unclean().await).await;
        assert_eq!(found, values(found.len().max(12)));
    };
    sweep(prepare, truncate, check);
}

/// Segments 0 to 2 once more, as one that is to take their place.
async fn interrupted(fixture: &mut Fixture) {
    filled(fixture, 50).await;
    let names = bases(fixture).await;
    let mut merged = Vec::new();
    for name in &names[..3] {
        merged.extend(fixture.read_file(name).await);
    }
    fixture.write_file(&format!("{}.swap", names[0]), &merged).await;
}

#[test]
fn a_replacement_that_a_start_completes_loses_nothing_when_that_start_is_cut_short() {
    for recovery_point in [0, 45] {
        let check = async |fixture: &Fixture| {
            assert_eq!(read_all(&fixture.open_as(false, recovery_point).await).await, values(50));
        };
        sweep(interrupted, async |fixture, cut| open(fixture, recovery_point, cut).await, check);
    }
}

#[test]
fn a_replacement_that_is_not_complete_stays_so_when_a_start_is_cut_short() {
    let prepare = async |fixture: &mut Fixture| {
        filled(fixture, 50).await;
        let names = bases(fixture).await;
        // The second of two segments that the first is to be replaced by.
        let bytes = fixture.read_file(&names[0]).await;
        fixture.write_file(&format!("{}.swap", names[0]), &bytes[..bytes.len() / 2]).await;
        fixture.write_file("00000000000000000000.timeindex.cleaned", b"").await;
    };
    let check = async |fixture: &Fixture| {
        assert_eq!(read_all(&fixture.open_as(false, 45).await).await, values(50));
    };
    sweep(prepare, async |fixture, cut| open(fixture, 45, cut).await, check);
}

/// A record at 0 that was aborted, and the marker.
async fn abort(log: &RefCell<Log>) {
    let by_producer = BatchBuilder::new().producer(ProducerId(5), ProducerEpoch(0), Sequence(0)).transactional();
    append(log, &keyed(by_producer, &[sample("a", "aborted")])).await;
    let marker = EndTransactionMarker { committed: false, coordinator_epoch: 0 };
    append(log, &marker.batch(ProducerId(5), ProducerEpoch(0), NOW)).await;
    log.borrow_mut().advance_high_watermark(Offset(2));
}

#[test]
fn a_compaction_that_is_cut_short_leaves_every_key_once_and_its_aborted_transactions() {
    const KEYS: [&str; 10] = ["b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
    let recovery_point = Cell::new(0);
    let prepare = async |fixture: &mut Fixture| {
        compacted(fixture, 300);
        synced(fixture);
        let log = fixture.open().await;
        abort(&log).await;
        for key in KEYS {
            for key in [key, "x", "x"] {
                append(&log, &keyed(BatchBuilder::new(), &[sample(key, "v")])).await;
            }
        }
        compact(&log, 1 << 20).await.unwrap();
        append(&log, &keyed(BatchBuilder::new(), &[sample("y", "v"), sample("y", "v")])).await;
        crate::log::close(&log).await.unwrap();
        recovery_point.set(log.borrow().recovery_point().0);
    };
    let again = async |fixture: &Fixture, cut: &dyn Fn()| {
        // What the first time has made small is put together.
        let log = fixture.open().await;
        cut();
        compact_until_cut(&log, 1 << 20).await;
    };
    let check = async |fixture: &Fixture| {
        let log = fixture.open_as(false, recovery_point.get()).await;
        let found = all(&log).await;
        assert!(found.is_sorted_by_key(|(offset, _)| *offset), "{found:?}");
        let keys: BTreeSet<_> = found.iter().map(|(_, (key, _))| key.as_str()).collect();
        assert!(KEYS.iter().chain(&["x", "y"]).all(|key| keys.contains(key)), "{keys:?}");
        let plan = log.borrow().plan_aborted(Offset(0));
        assert_eq!(plan.run(Offset(32)).await.unwrap().unwrap().len(), 1);
    };
    sweep(prepare, again, check);
}

#[test]
fn segments_that_are_gone_do_not_come_back() {
    for seed in 0..SEEDS {
        test_seeded(seed, |mut fixture| async move {
            let log = filled(&mut fixture, 50).await;
            settle(&log).await.unwrap();
            log.borrow_mut().advance_start(Offset(40));
            let deletion = log.borrow_mut().begin_deletion(NOW).unwrap();
            let deleted = deletion.run().await;
            drop(log.borrow_mut().finish_deletion(deleted).unwrap());
            let left = bases(&fixture).await;
            fixture.disk.power_cut();
            assert_eq!(bases(&fixture).await, left);
        });
    }
}

#[test]
fn a_log_that_is_retired_does_not_come_back_under_its_name() {
    for seed in 0..SEEDS {
        test_seeded(seed, |mut fixture| async move {
            filled(&mut fixture, 5).await;
            let root = Directory::memory(&fixture.disk);
            let retired = retire(&root, "t", PartitionIndex(0), 7).await.unwrap();
            fixture.disk.power_cut();
            let left = Directory::memory(&fixture.disk).list().await.unwrap();
            assert!(left.iter().all(|entry| entry.name == retired), "{left:?}");
        });
    }
}

#[test]
fn what_a_start_finds_outlasts_the_next_power_cut() {
    for seed in 0..SEEDS {
        test_seeded(seed, |mut fixture| async move {
            fixture.config.segment_bytes = 700;
            fixture.config.durability = Durability::Written;
            append_values(&fixture.open().await, 0, 50).await;
            fixture.disk.process_kill();
            assert_eq!(read_all(&fixture.open_unclean().await).await, values(50));
            fixture.disk.power_cut();
            assert_eq!(read_all(&fixture.open_unclean().await).await, values(50));
        });
    }
}

#[test]
fn a_replacement_keeps_its_aborted_transactions_when_a_start_is_cut_short() {
    let prepare = async |fixture: &mut Fixture| {
        compacted(fixture, 300);
        synced(fixture);
        let log = fixture.open().await;
        abort(&log).await;
        for key in ["b", "c", "d", "e"] {
            append(&log, &keyed(BatchBuilder::new(), &[sample(key, "v")])).await;
        }
        compact(&log, 1 << 20).await.unwrap();
        let dir = fixture.dir().await;
        for extension in ["log", "index", "timeindex", "txnindex"] {
            let name = format!("00000000000000000000.{extension}");
            dir.rename(&name, &format!("{name}.swap")).await.unwrap();
        }
        dir.sync().await.unwrap();
    };
    let check = async |fixture: &Fixture| {
        let log = fixture.open_as(false, 5).await;
        assert!(fixture.files().await["00000000000000000000.txnindex"] > 0);
        let plan = log.borrow().plan_aborted(Offset(0));
        assert_eq!(plan.run(Offset(6)).await.unwrap().unwrap().len(), 1);
    };
    sweep(prepare, async |fixture, cut| open(fixture, 5, cut).await, check);
}

/// A log of so many records, whose file ends with a batch, exactly: what is lost of it later leaves no zeros. More are
/// journaled and written back until the power goes.
fn lose_what_was_written_back(records: usize) {
    let entries = RefCell::new(Entries::new());
    let prepare = async |fixture: &mut Fixture| {
        let log = filled(fixture, records).await;
        crate::log::close(&log).await.unwrap();
        entries.take();
    };
    let write_back = async |fixture: &Fixture, cut: &dyn Fn()| {
        let log = fixture.open().await;
        cut();
        for at in (records..records + 35).step_by(5) {
            journal(&log, &mut entries.borrow_mut(), at, at + 5);
            loop {
                let write = log.borrow_mut().begin_write_back();
                let Some(write) = write else { break };
                let written = write.run().await;
                if log.borrow_mut().finish_write(written).is_err() {
                    return;
                }
            }
        }
    };
    let check = async |fixture: &Fixture| {
        let log = fixture.open_unclean().await;
        restore(&log, &entries.borrow());
        crate::log::write_back(&log).await.unwrap();
        assert_eq!(read_all(&log).await, values(records + entries.borrow().len()));
    };
    sweep(prepare, write_back, check);
}

#[test]
fn what_a_journal_keeps_continues_a_log_whose_segments_were_never_synced() {
    // The last segment has room for more, or has none.
    (5..11).for_each(lose_what_was_written_back);
}
