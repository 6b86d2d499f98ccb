use super::fixture::*;
use crate::log::close::secure;
use crate::log::{Durability, Log, LogConfig, Noted, Opening};
use crate::types::Offset;
use bytes::Bytes;
use std::cell::RefCell;
use std::sync::Arc;

const FILE: &str = "00000000000000000000.log";

/// A log that notes batches of 100 bytes and more.
async fn noting(fixture: &Fixture) -> RefCell<Log> {
    let log = fixture.open().await;
    let config = LogConfig { durability: Durability::Synced, ..fixture.config.clone() };
    log.borrow_mut().reconfigure(Arc::new(config));
    log.borrow_mut().set_noted(100);
    log
}

fn take(log: &RefCell<Log>) -> Vec<Bytes> {
    let notes = log.borrow_mut().take_notes();
    notes.into_iter().map(|note| note.into_bytes().into()).collect()
}

/// Opens the log after a crash, with these notes, and returns its end.
async fn end_with(fixture: &Fixture, notes: &[Bytes]) -> Offset {
    let how = Opening { clean: false, recovery_point: Offset(0), log_start: Offset(0), synced_later: false, now: NOW };
    let (dir, config) = (fixture.dir().await, Arc::new(fixture.config.clone()));
    let log = Log::open_noted(dir, config, how, Noted::parse(notes)).await.unwrap();
    log.end_offset()
}

/// Damages a byte of the log's file.
async fn damage(fixture: &Fixture, at: usize) {
    let mut bytes = fixture.read_file(FILE).await;
    bytes[at] ^= 1;
    fixture.write_file(FILE, &bytes).await;
}

#[test]
fn batches_that_are_noted_are_not_read() {
    test(|fixture| async move {
        let log = noting(&fixture).await;
        fill(&log, 10, 500).await;
        secure(&log).await.unwrap();
        let notes = take(&log);
        assert_eq!(log.borrow().bytes_to_scan(), 0);
        damage(&fixture, 2_000).await;
        assert_eq!(end_with(&fixture, &notes).await, Offset(10), "the damage lies where nothing is read");
        assert_eq!(end_with(&fixture, &[]).await, Offset(3), "a scan finds it");
    });
}

#[test]
fn what_is_not_synced_is_not_noted() {
    test(|fixture| async move {
        let log = noting(&fixture).await;
        log.borrow_mut().reconfigure(Arc::new(fixture.config.clone()));
        fill(&log, 10, 500).await;
        assert!(take(&log).is_empty());
        secure(&log).await.unwrap();
        assert_eq!(take(&log).len(), 1, "ten batches in a row");
        assert!(take(&log).is_empty(), "once");
    });
}

#[test]
fn what_is_not_noted_is_scanned_in_between() {
    test(|fixture| async move {
        let log = noting(&fixture).await;
        for _ in 0..3 {
            fill(&log, 2, 500).await;
            fill(&log, 2, 10).await;
        }
        let notes = take(&log);
        assert_eq!(notes.len(), 6);
        assert_eq!(end_with(&fixture, &notes).await, Offset(12));
        damage(&fixture, 1_200).await;
        assert_eq!(end_with(&fixture, &notes).await, Offset(2), "the first small one is damaged");
    });
}

#[test]
fn notes_of_batches_that_were_cut_off_are_not_believed() {
    test(|fixture| async move {
        let log = noting(&fixture).await;
        fill(&log, 10, 500).await;
        let notes = take(&log);
        let cut = log.borrow_mut().begin_truncation(Offset(4), NOW);
        let cut = cut.run().await;
        log.borrow_mut().finish_truncation(cut).unwrap();
        let other = batch(&[&"y".repeat(500)]);
        append(&log, &other).await;
        assert_eq!(end_with(&fixture, &notes).await, Offset(5));
        for _ in 0..5 {
            append(&log, &other).await;
        }
        damage(&fixture, 4 * 571 + 300).await;
        assert_eq!(end_with(&fixture, &notes).await, Offset(4), "what is there now was scanned");
    });
}

#[test]
fn notes_that_make_no_sense_are_passed_over() {
    test(|fixture| async move {
        let log = noting(&fixture).await;
        fill(&log, 4, 500).await;
        let mut notes = take(&log);
        let mut far = notes[0].to_vec();
        far[8..16].fill(0xff);
        notes.extend([Bytes::new(), Bytes::from_static(b"short"), vec![0xff; 200].into(), far.into()]);
        assert_eq!(end_with(&fixture, &notes).await, Offset(4));
    });
}

#[test]
fn a_noted_log_is_the_one_that_a_scan_finds() {
    test(|mut fixture| async move {
        fixture.config.index_interval_bytes = 300;
        let log = noting(&fixture).await;
        for at in 0..30 {
            append(&log, &producer_batch(i64::from(at % 3), 0, at / 3 * 20, 20)).await;
        }
        let notes = take(&log);
        let read = async |notes: &[Bytes]| {
            let end = end_with(&fixture, notes).await;
            let files = (fixture.read_file("00000000000000000000.index").await, fixture.files().await);
            (end, files)
        };
        assert_eq!(read(&notes).await, read(&[]).await);
    });
}

#[test]
fn a_long_row_of_batches_is_noted_in_several_parts() {
    test(|fixture| async move {
        let log = noting(&fixture).await;
        for _ in 0..1_200 {
            append_only(&log, &large_batch(100));
        }
        secure(&log).await.unwrap();
        let notes = take(&log);
        assert_eq!(notes.len(), 2);
        damage(&fixture, 2_000).await;
        assert_eq!(end_with(&fixture, &notes).await, Offset(1_200), "the parts follow one another");
    });
}
