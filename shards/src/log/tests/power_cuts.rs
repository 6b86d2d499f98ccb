//! Power cuts at every operation of what changes a log's files: whatever is left of them, a start finds all that was
//! promised, and no hole.

use super::compacting::{compact, compacted, keyed, sample};
use super::fixture::*;
use super::journaling::{Entries, journal, restore, synced};
use crate::log::{Log, LogConfig, Opening};
use crate::record::{BatchBuilder, EndTransactionMarker};
use crate::runtime::memory::Disk;
use crate::runtime::simulation::simulate;
use crate::types::{Offset, ProducerEpoch, ProducerId, Sequence};
use std::cell::RefCell;
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

#[test]
fn a_replacement_keeps_its_aborted_transactions_when_a_start_is_cut_short() {
    let prepare = async |fixture: &mut Fixture| {
        compacted(fixture, 300);
        synced(fixture);
        let log = fixture.open().await;
        let by_producer = BatchBuilder::new().producer(ProducerId(5), ProducerEpoch(0), Sequence(0)).transactional();
        append(&log, &keyed(by_producer, &[sample("a", "aborted")])).await;
        let marker = EndTransactionMarker { committed: false, coordinator_epoch: 0 };
        append(&log, &marker.batch(ProducerId(5), ProducerEpoch(0), NOW)).await;
        log.borrow_mut().advance_high_watermark(Offset(2));
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

#[test]
fn what_a_journal_keeps_continues_a_log_whose_segments_were_never_synced() {
    let entries = RefCell::new(Entries::new());
    let prepare = async |fixture: &mut Fixture| {
        // Its file ends with a batch, exactly: what is lost of it later leaves no zeros.
        let log = filled(fixture, 5).await;
        crate::log::close(&log).await.unwrap();
        entries.take();
    };
    let write_back = async |fixture: &Fixture, cut: &dyn Fn()| {
        let log = fixture.open().await;
        cut();
        for at in (5..40).step_by(5) {
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
        assert_eq!(read_all(&log).await, values(5 + entries.borrow().len()));
    };
    sweep(prepare, write_back, check);
}
