//! A batch's way into the log: offsets given and into the tail; and the same carried to a file in memory.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use odradek_shards::log::{Log, LogConfig, Opening};
use odradek_shards::record::{BatchBuilder, NewRecord, Rules, ValidBatch, validate};
use odradek_shards::runtime::Directory;
use odradek_shards::runtime::memory::Disk;
use odradek_shards::runtime::simulation::simulate;
use odradek_shards::types::{LeaderEpoch, Offset, Timestamp};
use std::sync::Arc;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
/// As many as arrive while one write is under way.
const GROUP: usize = 64;

fn batch(records: usize, value: usize) -> ValidBatch {
    let mut builder = BatchBuilder::new();
    let value = vec![b'v'; value];
    for _ in 0..records {
        builder.append(&NewRecord { timestamp: NOW, value: Some(&value), ..Default::default() });
    }
    validate(builder.build().bytes, &Rules::default(), NOW).expect("a batch as it should be")
}

fn open() -> Log {
    simulate(1, async {
        let how =
            Opening { clean: true, recovery_point: Offset(0), log_start: Offset(0), synced_later: false, now: NOW };
        let dir = Directory::memory(&Disk::new(1));
        Log::open(dir, Arc::new(LogConfig::default()), how).await.expect("an empty directory opens")
    })
}

fn fill(log: &mut Log, batch: &ValidBatch) {
    for _ in 0..GROUP {
        log.append(batch, LeaderEpoch(0), NOW).expect("a log that is sound takes batches");
    }
}

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("append 64 batches");
    for (name, records, value) in [("1 x 100 B", 1, 100), ("16 x 1 KiB", 16, 1024)] {
        let batch = batch(records, value);
        group.throughput(Throughput::Elements(GROUP as u64));
        group.bench_function(format!("{name}, to the tail"), |b| {
            b.iter_batched_ref(open, |log| fill(log, &batch), BatchSize::SmallInput);
        });
        group.bench_function(format!("{name}, to a file in memory"), |b| {
            b.iter_batched_ref(open, |log| write(log, &batch), BatchSize::SmallInput);
        });
    }
    group.finish();
}

fn write(log: &mut Log, batch: &ValidBatch) {
    fill(log, batch);
    let write = log.begin_write().expect("there is something to write");
    let written = simulate(1, write.run());
    log.finish_write(written).expect("memory does not fail");
}

criterion_group!(log_append, append);
criterion_main!(log_append);
