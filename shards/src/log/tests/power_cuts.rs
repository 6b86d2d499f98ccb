//! Power cuts at every operation of what changes a log's files: whatever is left of them, a start finds all that was
//! promised, and no hole.

use super::fixture::*;
use super::journaling::synced;
use crate::log::{Log, LogConfig, Opening};
use crate::runtime::memory::Disk;
use crate::runtime::simulation::simulate;
use crate::types::Offset;
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
