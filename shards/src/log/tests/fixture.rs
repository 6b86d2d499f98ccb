//! A log on a simulated disk, and batches to fill it with.

use crate::log::{Appended, Log, LogConfig, Opening, ReadPlan, Records, close, settle};
use crate::record::{Batch, BatchBuilder, NewRecord, ValidBatch, batches};
use crate::runtime::Directory;
use crate::runtime::memory::Disk;
use crate::runtime::simulation::simulate;
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

pub const NOW: Timestamp = Timestamp(1_700_000_000_000);
pub const EPOCH: LeaderEpoch = LeaderEpoch(3);

/// One disk, one log directory, one configuration.
#[derive(Clone)]
pub struct Fixture {
    pub disk: Disk,
    pub config: LogConfig,
}

/// Runs a test in a simulation.
pub fn test<F: Future<Output = ()>>(run: impl FnOnce(Fixture) -> F) {
    test_seeded(1, run);
}

pub fn test_seeded<F: Future<Output = ()>>(seed: u64, run: impl FnOnce(Fixture) -> F) {
    simulate(seed, async { run(Fixture { disk: Disk::new(seed), config: LogConfig::default() }).await });
}

impl Fixture {
    pub async fn dir(&self) -> Directory {
        let root = Directory::memory(&self.disk);
        let dir = root.create_dir("t-0").await.unwrap();
        root.sync().await.unwrap();
        dir
    }

    /// After a clean stop.
    pub async fn open(&self) -> RefCell<Log> {
        self.open_as(true, 0).await
    }

    /// After a crash.
    pub async fn open_unclean(&self) -> RefCell<Log> {
        self.open_as(false, 0).await
    }

    pub async fn open_as(&self, clean: bool, recovery_point: i64) -> RefCell<Log> {
        let how = Opening {
            clean,
            recovery_point: Offset(recovery_point),
            log_start: Offset(0),
            synced_later: false,
            now: NOW,
        };
        self.open_how(how).await
    }

    pub async fn open_how(&self, how: Opening) -> RefCell<Log> {
        RefCell::new(Log::open(self.dir().await, Arc::new(self.config.clone()), how).await.unwrap())
    }

    pub async fn reopened(&self, log: RefCell<Log>) -> RefCell<Log> {
        close(&log).await.unwrap();
        self.open().await
    }

    /// Names and lengths of the log's files.
    pub async fn files(&self) -> BTreeMap<String, u64> {
        let entries = self.dir().await.list().await.unwrap();
        entries.into_iter().map(|entry| (entry.name, entry.len)).collect()
    }

    pub async fn read_file(&self, name: &str) -> Vec<u8> {
        self.dir().await.read_whole(name, 64 << 20).await.unwrap()
    }

    pub async fn write_file(&self, name: &str, bytes: &[u8]) {
        self.dir().await.write_whole(name, bytes).await.unwrap();
    }
}

/// A batch of `values` with timestamps that count up from `NOW`.
pub fn batch(values: &[&str]) -> ValidBatch {
    batch_at(NOW.0, values)
}

pub fn batch_at(timestamp: i64, values: &[&str]) -> ValidBatch {
    let mut builder = BatchBuilder::new();
    for (at, value) in values.iter().enumerate() {
        let timestamp = Timestamp(timestamp + at as i64);
        builder.append(&NewRecord { timestamp, value: Some(value.as_bytes()), ..NewRecord::default() });
    }
    builder.build()
}

/// One record of `size` bytes.
pub fn large_batch(size: usize) -> ValidBatch {
    batch(&[&"x".repeat(size)])
}

/// A batch of `count` records of an idempotent producer.
pub fn producer_batch(id: i64, epoch: i16, sequence: i32, count: usize) -> ValidBatch {
    let mut builder = BatchBuilder::new().producer(ProducerId(id), ProducerEpoch(epoch), Sequence(sequence));
    for _ in 0..count {
        builder.append(&NewRecord { timestamp: NOW, value: Some(b"v"), ..NewRecord::default() });
    }
    builder.build()
}

pub fn append_only(log: &RefCell<Log>, batch: &ValidBatch) -> Appended {
    log.borrow_mut().append(batch, EPOCH, NOW).unwrap()
}

/// Appends and writes.
pub async fn append(log: &RefCell<Log>, batch: &ValidBatch) -> Appended {
    let appended = append_only(log, batch);
    settle(log).await.unwrap();
    appended
}

/// Appends `count` batches of one record of `size` bytes, each written by itself.
pub async fn fill(log: &RefCell<Log>, count: usize, size: usize) {
    for _ in 0..count {
        append(log, &large_batch(size)).await;
    }
}

pub async fn read(log: &RefCell<Log>, from: i64, max_bytes: usize, at_least_one: bool) -> Records {
    let below = log.borrow().written_offset();
    let plan = log.borrow().plan_read(Offset(from), max_bytes, below, at_least_one).unwrap();
    match plan {
        ReadPlan::Ready(records) => records,
        ReadPlan::Disk(read) => read.run().await.unwrap(),
    }
}

/// The first offsets of all batches in `records`.
pub fn offsets(records: Records) -> Vec<i64> {
    batches(&records.into_bytes()).map(|batch| batch.unwrap().header.base_offset.0).collect()
}

/// The log's batches from `from` on, read piece by piece.
pub async fn read_batches(log: &RefCell<Log>, mut from: i64) -> Vec<Batch> {
    let end = log.borrow().written_offset().0;
    let mut found: Vec<Batch> = Vec::new();
    while from < end {
        let records = read(log, from, 100_000, true).await;
        let Some(next) = records.end_offset() else { break };
        for batch in batches(&records.into_bytes()) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            assert!(found.last().is_none_or(|last| last.header.last_offset() < batch.header.base_offset));
            found.push(batch);
        }
        from = next.0;
    }
    found
}

/// Offsets and values of every record of the log, read piece by piece.
pub async fn read_all(log: &RefCell<Log>) -> Vec<(i64, String)> {
    let (mut from, end) = (log.borrow().start_offset().0, log.borrow().written_offset().0);
    let mut all = Vec::new();
    while from < end {
        let records = read(log, from, 100_000, true).await;
        assert!(!records.is_empty(), "nothing at {from} of {end}");
        for batch in batches(&records.into_bytes()) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            for record in batch.records(1 << 20).map(Result::unwrap) {
                if record.offset.0 >= from {
                    let value = record.value.unwrap_or_default();
                    all.push((record.offset.0, String::from_utf8(value.to_vec()).unwrap()));
                }
            }
            from = batch.header.next_offset().0;
        }
    }
    all
}

/// As `read_all`, none of it from memory.
pub async fn read_all_from_disk(log: &RefCell<Log>) -> Vec<(i64, String)> {
    log.borrow_mut().shrink_tail(0);
    read_all(log).await
}

pub fn values(count: usize) -> Vec<(i64, String)> {
    (0..count).map(|at| (at as i64, format!("v{at}"))).collect()
}

/// Appends records `v<from>` to `v<to - 1>`, a batch each, all in one write.
pub async fn append_values(log: &RefCell<Log>, from: usize, to: usize) {
    for at in from..to {
        append_only(log, &batch_at(NOW.0 + at as i64, &[&format!("v{at}")]));
    }
    settle(log).await.unwrap();
}
