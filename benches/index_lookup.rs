//! Where a reader's offset is found: in the tail, or through the index of a sealed segment, read from a disk in memory.

use criterion::{Criterion, criterion_group, criterion_main};
use odradek_shards::log::{self, Log, LogConfig, Opening, ReadPlan};
use odradek_shards::record::{BatchBuilder, NewRecord, Rules, ValidBatch, validate};
use odradek_shards::runtime::Directory;
use odradek_shards::runtime::memory::Disk;
use odradek_shards::runtime::simulation::simulate;
use odradek_shards::types::{LeaderEpoch, Offset, Timestamp};
use std::cell::RefCell;
use std::sync::Arc;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const BATCHES: i64 = 4096;
/// One batch, so that finding it is what is measured.
const READ_BYTES: usize = 1100;

fn batch() -> ValidBatch {
    let mut builder = BatchBuilder::new();
    builder.append(&NewRecord { timestamp: NOW, value: Some(&[b'v'; 1000]), ..Default::default() });
    validate(builder.build().bytes, &Rules::default(), NOW).expect("a batch as it should be")
}

/// Four sealed segments of a thousand batches each, and the last of them in the tail.
fn filled() -> Log {
    simulate(1, async {
        let how =
            Opening { clean: true, recovery_point: Offset(0), log_start: Offset(0), synced_later: false, now: NOW };
        let config = LogConfig { segment_bytes: 1 << 20, ..LogConfig::default() };
        let opened = Log::open(Directory::memory(&Disk::new(1)), Arc::new(config), how).await;
        let log = RefCell::new(opened.expect("an empty directory opens"));
        let batch = batch();
        for _ in 0..BATCHES {
            log.borrow_mut().append(&batch, LeaderEpoch(0), NOW).expect("a log that is sound takes batches");
        }
        log::settle(&log).await.expect("memory does not fail");
        log.into_inner()
    })
}

fn read(log: &Log, from: i64) -> usize {
    match log.plan_read(Offset(from), READ_BYTES, log.written_offset(), true).expect("the offset is in the log") {
        ReadPlan::Ready(records) => records.len(),
        ReadPlan::Disk(read) => simulate(1, read.run()).expect("memory does not fail").len(),
    }
}

fn lookup(c: &mut Criterion) {
    let mut log = filled();
    let mut next = 0i64;
    let mut scattered = move || {
        next = (next + 2_654_435_761) % BATCHES;
        next
    };
    c.bench_function("find an offset in the tail", |b| b.iter(|| read(&log, BATCHES - 1)));
    log.shrink_tail(0);
    c.bench_function("find an offset through an index", |b| b.iter(|| read(&log, scattered())));
}

criterion_group!(index_lookup, lookup);
criterion_main!(index_lookup);
