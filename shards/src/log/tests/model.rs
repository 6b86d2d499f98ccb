//! Random histories against a list of values.

use super::fixture::*;
use crate::log::{Log, settle, trim};
use crate::types::Offset;
use proptest::prelude::*;
use std::cell::RefCell;

#[derive(Clone, Debug)]
enum Step {
    /// Batches of so many records of so many bytes.
    Append(Vec<(usize, usize)>),
    Write,
    Settle,
    Trim,
    Evict,
    Read {
        from: usize,
        max_bytes: usize,
    },
    AdvanceStart(usize),
    Delete,
    Reopen,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let batch = (1..5usize, prop_oneof![1..50usize, 50..3000usize, 15_000..20_000usize]);
    prop_oneof![
        6 => prop::collection::vec(batch, 1..6).prop_map(Step::Append),
        4 => Just(Step::Write),
        2 => Just(Step::Settle),
        1 => Just(Step::Trim),
        2 => Just(Step::Evict),
        6 => (0..1000usize, 0..40_000usize).prop_map(|(from, max_bytes)| Step::Read { from, max_bytes }),
        1 => (0..1000usize).prop_map(Step::AdvanceStart),
        1 => Just(Step::Delete),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

/// What the log should hold: record lengths by offset.
struct Model {
    records: Vec<usize>,
    start: usize,
}

async fn run(fixture: Fixture, steps: Vec<Step>) {
    let mut log = fixture.open().await;
    let mut model = Model { records: Vec::new(), start: 0 };
    for step in steps {
        apply(&fixture, &mut log, &mut model, step).await;
        assert_eq!(log.borrow().end_offset(), Offset(model.records.len() as i64));
        assert_eq!(log.borrow().start_offset(), Offset(model.start as i64));
    }
    settle(&log).await.unwrap();
    check_all(&log, &model).await;
    check_all(&fixture.open_as(false, model_point(&log)).await, &Model { start: first_base(&log), ..model }).await;
}

async fn apply(fixture: &Fixture, log: &mut RefCell<Log>, model: &mut Model, step: Step) {
    match step {
        Step::Append(batches) => {
            for (count, size) in batches {
                let value = "x".repeat(size);
                let appended = append_only(log, &batch(&vec![value.as_str(); count]));
                assert_eq!(appended.first, Offset(model.records.len() as i64));
                model.records.extend(vec![size; count]);
            }
        }
        Step::Write => {
            let write = log.borrow_mut().begin_write();
            if let Some(write) = write {
                let written = write.run().await;
                log.borrow_mut().finish_write(written).unwrap();
            }
        }
        Step::Settle => drop(settle(log).await.unwrap()),
        Step::Trim => trim(log).await.unwrap(),
        Step::Evict => drop(log.borrow_mut().shrink_tail(0)),
        Step::Read { from, max_bytes } => check_read(log, model, from, max_bytes).await,
        Step::AdvanceStart(by) => {
            let written = log.borrow().written_offset().0 as usize;
            model.start = (model.start + by % 40).min(written).max(model.start);
            log.borrow_mut().advance_start(Offset(model.start as i64));
        }
        Step::Delete => {
            let deletion = log.borrow_mut().begin_deletion(NOW);
            if let Some(deletion) = deletion {
                let deleted = deletion.run().await;
                let doomed = log.borrow_mut().finish_deletion(deleted).unwrap();
                doomed.remove().await.unwrap();
            }
        }
        Step::Reopen => {
            crate::log::close(log).await.unwrap();
            *log = reopen(fixture, true, model, log).await;
        }
        Step::Crash => {
            model.records.truncate(log.borrow().written_offset().0 as usize);
            *log = reopen(fixture, false, model, log).await;
        }
    }
}

/// As a shard does, with the offsets its checkpoint files have.
async fn reopen(fixture: &Fixture, clean: bool, model: &Model, log: &RefCell<Log>) -> RefCell<Log> {
    let recovery_point = log.borrow().recovery_point();
    let log_start = Offset(model.start as i64);
    fixture.open_how(crate::log::Opening { clean, recovery_point, log_start, synced_later: false, now: NOW }).await
}

async fn check_read(log: &RefCell<Log>, model: &Model, from: usize, max_bytes: usize) {
    let written = log.borrow().written_offset().0 as usize;
    if written == model.start {
        return;
    }
    let from = model.start + from % (written - model.start);
    let records = read(log, from as i64, max_bytes, true).await;
    let batches: Vec<_> = crate::record::batches(&records.into_bytes()).map(Result::unwrap).collect();
    let first = batches.first().expect("at least one batch").header;
    assert!(first.base_offset.0 <= from as i64 && first.last_offset().0 >= from as i64);
    assert!(batches.len() == 1 || batches.iter().map(|batch| batch.bytes.len()).sum::<usize>() <= max_bytes);
    for record in batches.iter().flat_map(|batch| batch.records(1 << 20)).map(Result::unwrap) {
        assert_eq!(record.value.unwrap().len(), model.records[record.offset.0 as usize]);
    }
}

async fn check_all(log: &RefCell<Log>, model: &Model) {
    for _ in 0..2 {
        let all = read_all(log).await;
        let found: Vec<_> = all.iter().map(|(_, value)| value.len()).collect();
        assert_eq!(found, model.records[model.start..]);
        log.borrow_mut().shrink_tail(0);
    }
}

fn model_point(log: &RefCell<Log>) -> i64 {
    log.borrow().recovery_point().0
}

/// Where the log starts for one who has no checkpoint.
fn first_base(log: &RefCell<Log>) -> usize {
    log.borrow().segments.first().base.0 as usize
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_histories_agree_with_a_list(seed in 0..1000u64, steps in prop::collection::vec(step(), 1..60)) {
        test_seeded(seed, |mut fixture| async move {
            fixture.config.segment_bytes = 90_000;
            fixture.config.index_interval_bytes = 500;
            run(fixture, steps).await;
        });
    }
}
