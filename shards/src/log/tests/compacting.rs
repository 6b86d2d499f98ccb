//! Compaction on a simulated disk, by hand.

use super::fixture::*;
use crate::log::cleaner::{CleanError, Cleaned, Means, Pace, clean, survey};
use crate::log::{CleanupPolicy, Doomed, Log, settle};
use crate::record::{BatchBuilder, Codec, EndTransactionMarker, NewRecord, ValidBatch};
use crate::types::{Offset, ProducerEpoch, ProducerId, Sequence};
use std::cell::RefCell;

pub type Sample = (String, Option<String>);

pub fn sample(key: &str, value: impl Into<Option<&'static str>>) -> Sample {
    (key.into(), value.into().map(str::to_owned))
}

pub fn keyed(builder: BatchBuilder, records: &[Sample]) -> ValidBatch {
    let mut builder = builder;
    for (key, value) in records {
        let value = value.as_deref().map(str::as_bytes);
        builder.append(&NewRecord { timestamp: NOW, key: Some(key.as_bytes()), value, headers: &[] });
    }
    builder.build()
}

pub fn compacted(fixture: &mut Fixture, segment_bytes: u32) {
    fixture.config.cleanup_policy = CleanupPolicy::COMPACT;
    fixture.config.segment_bytes = segment_bytes;
    fixture.config.min_cleanable_dirty_ratio = 0.0;
}

pub async fn compact(log: &RefCell<Log>, map_bytes: usize) -> Result<Cleaned, CleanError> {
    let high_watermark = log.borrow().written_offset();
    let dirt = survey(log, high_watermark, crate::runtime::wall_clock()).await.unwrap().unwrap();
    let pace = RefCell::new(Pace::new(f64::MAX));
    let doomed = RefCell::new(Vec::new());
    let means = Means {
        map_bytes,
        load_factor: 0.9,
        pace: &pace,
        must_stop: &|| false,
        doomed: &|files| doomed.borrow_mut().push(files),
    };
    let cleaned = clean(log, &dirt, &means).await;
    for files in doomed.take() {
        Doomed::remove(files).await.unwrap();
    }
    cleaned
}

/// Offset, key and value of every record, with what is in memory only as far as `from_disk` allows.
pub async fn all(log: &RefCell<Log>) -> Vec<(i64, Sample)> {
    let start = log.borrow().start_offset().0;
    let text = |bytes: bytes::Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let mut found = Vec::new();
    for batch in read_batches(log, start).await.iter().filter(|batch| !batch.header.attributes.is_control()) {
        let records = batch.records(1 << 20).map(Result::unwrap).filter(|record| record.offset.0 >= start);
        found.extend(records.map(|record| (record.offset.0, (text(record.key.unwrap()), record.value.map(text)))));
    }
    found
}

async fn put(log: &RefCell<Log>, key: &str, value: impl Into<Option<&'static str>>) {
    append(log, &keyed(BatchBuilder::new(), &[sample(key, value)])).await;
}

#[test]
fn superseded_records_go_and_offsets_stay() {
    test(|mut fixture| async move {
        compacted(&mut fixture, 250);
        let log = fixture.open().await;
        for at in 0..30 {
            put(&log, ["a", "b", "c"][at % 3], "v").await;
        }
        assert!(log.borrow().segment_count() > 5);
        let cleaned = compact(&log, 1 << 20).await.unwrap();
        assert!(cleaned.bytes_after < cleaned.bytes_before);
        let dirty = log.borrow().segments.active().base.0;
        assert_eq!((cleaned.from, cleaned.to, log.borrow().cleaned()), (Offset(0), Offset(dirty), Offset(dirty)));
        let found: Vec<_> = all(&log).await.into_iter().map(|(offset, _)| offset).collect();
        assert_eq!(found, (dirty - 3..30).collect::<Vec<_>>());
        assert!(fixture.files().await.keys().all(|name| !name.contains("clean") && !name.ends_with("swap")));
        crate::log::close(&log).await.unwrap();
        for clean in [true, false] {
            let log = fixture.open_as(clean, 30).await;
            let again: Vec<_> = all(&log).await.into_iter().map(|(offset, _)| offset).collect();
            assert_eq!(again, found);
        }
    });
}

#[test]
fn what_cleaning_has_made_small_is_put_together() {
    test(|mut fixture| async move {
        compacted(&mut fixture, 300);
        let log = fixture.open().await;
        for round in 0..3 {
            for _ in 0..30 {
                put(&log, "a", "v").await;
            }
            compact(&log, 1 << 20).await.unwrap();
            assert!(round == 0 || log.borrow().segment_count() < 14, "{}", log.borrow().segment_count());
        }
        let files = fixture.files().await;
        let first = files.keys().next().unwrap();
        assert!(first.starts_with("00000000000000000000."), "the first segment keeps its name: {first}");
    });
}

#[test]
fn a_log_that_is_clean_is_not_written_again() {
    test(|mut fixture| async move {
        compacted(&mut fixture, 250);
        let log = fixture.open().await;
        for key in ["a", "b", "c", "d", "e", "f"] {
            put(&log, key, "v").await;
        }
        let before = fixture.files().await;
        compact(&log, 1 << 20).await.unwrap();
        assert_eq!(log.borrow().segments.iter().map(|segment| segment.size).sum::<u64>(), log.borrow().size());
        let after = fixture.files().await;
        assert_eq!(before.values().sum::<u64>(), after.values().sum::<u64>());
        let written = fixture.disk.operations(crate::runtime::memory::Operation::Write);
        let nothing = compact(&log, 1 << 20).await.unwrap();
        assert_eq!(nothing.from, nothing.to);
        assert_eq!(fixture.disk.operations(crate::runtime::memory::Operation::Write), written);
    });
}

#[test]
fn a_small_map_takes_several_passes() {
    test(|mut fixture| async move {
        compacted(&mut fixture, 1000);
        let log = fixture.open().await;
        for round in 0..3 {
            for key in 0..100 {
                let record = (format!("key {key}"), Some(format!("{round}")));
                append_only(&log, &keyed(BatchBuilder::new().codec(Codec::Lz4, None), &[record]));
            }
            settle(&log).await.unwrap();
        }
        compact(&log, 20 * 24).await.unwrap();
        let dirty = log.borrow().segments.active().base.0;
        let clean: Vec<_> = all(&log).await.into_iter().map(|(at, _)| at).filter(|at| *at < dirty).collect();
        let last = |key: i64| [200 + key, 100 + key, key].into_iter().find(|at| *at < dirty);
        let mut expected: Vec<_> = (0..100).filter_map(last).collect();
        expected.sort_unstable();
        assert_eq!(clean, expected);
    });
}

#[test]
fn an_idempotent_producer_goes_on_after_its_records_were_cleaned_away() {
    test(|mut fixture| async move {
        compacted(&mut fixture, 200);
        let log = fixture.open().await;
        let by_producer = |sequence| BatchBuilder::new().producer(ProducerId(5), ProducerEpoch(0), Sequence(sequence));
        append(&log, &keyed(by_producer(0), &[sample("a", "1")])).await;
        append(&log, &keyed(by_producer(1), &[sample("a", "2")])).await;
        for _ in 0..6 {
            put(&log, "a", "3").await;
        }
        compact(&log, 1 << 20).await.unwrap();
        crate::log::close(&log).await.unwrap();
        for name in fixture.files().await.into_keys().filter(|name| name.ends_with("snapshot")) {
            fixture.dir().await.remove_file(&name).await.unwrap();
        }
        let log = fixture.open_unclean().await;
        assert!(append(&log, &keyed(by_producer(1), &[sample("a", "2")])).await.duplicate);
        assert!(!append(&log, &keyed(by_producer(2), &[sample("a", "4")])).await.duplicate);
    });
}

#[test]
fn aborted_records_are_cleaned_away_and_supersede_nothing() {
    test(|mut fixture| async move {
        compacted(&mut fixture, 300);
        fixture.config.delete_retention_ms = 0;
        let log = fixture.open().await;
        put(&log, "a", "committed").await;
        let by_producer = BatchBuilder::new().producer(ProducerId(5), ProducerEpoch(0), Sequence(0)).transactional();
        append(&log, &keyed(by_producer, &[sample("a", "aborted")])).await;
        let marker = EndTransactionMarker { committed: false, coordinator_epoch: 0 };
        append(&log, &marker.batch(ProducerId(5), ProducerEpoch(0), NOW)).await;
        log.borrow_mut().advance_high_watermark(Offset(3));
        for key in ["b", "c", "d", "e"] {
            put(&log, key, "v").await;
        }
        compact(&log, 1 << 20).await.unwrap();
        let found: Vec<_> = all(&log).await.into_iter().map(|(_, (_, value))| value.unwrap()).collect();
        assert_eq!(found, ["committed", "v", "v", "v", "v"]);
        let plan = log.borrow().plan_aborted(Offset(0));
        assert_eq!(plan.run(Offset(7)).await.unwrap().unwrap().len(), 1, "a reader may still hold its records");
    });
}

#[test]
fn readers_go_on_while_segments_are_replaced() {
    test(|mut fixture| async move {
        compacted(&mut fixture, 250);
        let log = fixture.open().await;
        for _ in 0..12 {
            put(&log, "a", "v").await;
        }
        log.borrow_mut().shrink_tail(0);
        let plan = || log.borrow().plan_read(Offset(0), 100, Offset(12), true).unwrap();
        let (opened, not_opened) = (plan(), plan());
        drop(read(&log, 0, 100, true).await);
        let crate::log::ReadPlan::Disk(opened) = opened else { panic!("it is on disk") };
        let crate::log::ReadPlan::Disk(not_opened) = not_opened else { panic!("it is on disk") };
        let before = opened.run().await.unwrap();
        assert_eq!(offsets(before), [0]);
        compact(&log, 1 << 20).await.unwrap();
        let after = not_opened.run().await.unwrap();
        assert!(after.is_empty() || offsets(after) == [0]);
        assert!(offsets(read(&log, 0, 100, true).await)[0] > 0);
    });
}

#[test]
fn a_log_that_loses_segments_meanwhile_is_left_alone() {
    test(|mut fixture| async move {
        compacted(&mut fixture, 250);
        let log = fixture.open().await;
        for _ in 0..12 {
            put(&log, "a", "v").await;
        }
        let dirt = survey(&log, Offset(12), NOW).await.unwrap().unwrap();
        let pace = RefCell::new(Pace::new(f64::MAX));
        let deleted = RefCell::new(None);
        let must_stop = || {
            if deleted.borrow().is_none() {
                log.borrow_mut().advance_start(Offset(8));
                *deleted.borrow_mut() = log.borrow_mut().begin_deletion(NOW);
            }
            false
        };
        let means =
            Means { map_bytes: 1 << 20, load_factor: 0.9, pace: &pace, must_stop: &must_stop, doomed: &|_| panic!() };
        // The deletion has begun and its files are being renamed: nothing may be replaced.
        assert!(matches!(clean(&log, &dirt, &means).await, Err(CleanError::GaveUp)));
        assert!(fixture.files().await.keys().all(|name| !name.contains("cleaned")));
        let run = deleted.take().unwrap().run().await;
        let doomed = log.borrow_mut().finish_deletion(run).unwrap();
        doomed.remove().await.unwrap();
        compact(&log, 1 << 20).await.unwrap();
        assert_eq!(all(&log).await.last().unwrap().0, 11);
    });
}

#[test]
fn a_damaged_batch_is_reported_and_nothing_replaced() {
    test(|mut fixture| async move {
        compacted(&mut fixture, 250);
        let log = fixture.open().await;
        for _ in 0..12 {
            put(&log, "a", "v").await;
        }
        let log = fixture.reopened(log).await;
        let name = "00000000000000000000.log";
        let mut bytes = fixture.read_file(name).await;
        let at = bytes.len() - 2;
        bytes[at] ^= 1;
        fixture.write_file(name, &bytes).await;
        let error = compact(&log, 1 << 20).await.unwrap_err();
        assert!(matches!(&error, CleanError::Batch { file, .. } if file.contains(name)), "{error}");
        assert_eq!(fixture.read_file(name).await, bytes);
        assert!(log.borrow().failure().is_none(), "the log goes on");
    });
}
