//! Rounds of work, each ended by a crash, over one disk.

use crate::checker::Broken;
use crate::client::{Producer, World, consume, delete_records, read_all};
use odradek_shards::log::{Durability, LogConfig};
use odradek_shards::message::{LogDirIndex, OpenPartition, PartitionChange, PartitionCheckpoint, Reply, Request};
use odradek_shards::runtime::memory::{Disk, Operation};
use odradek_shards::runtime::random::Random;
use odradek_shards::runtime::simulation::simulate;
use odradek_shards::runtime::{Directory, sleep, spawn};
use odradek_shards::shard::{Settings, Shard};
use odradek_shards::types::{LeaderEpoch, Offset, PartitionIndex, ShardId, TopicId, TopicPartition};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const ROUNDS: u64 = 5;
const PARTITIONS: i32 = 3;

#[test]
fn what_was_acknowledged_survives_a_kill() {
    for seed in crate::seeds(40) {
        run(seed, Durability::Written, Crash::Kill).unwrap_or_else(|broken| panic!("seed {seed}: {broken:?}"));
    }
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_when_synced() {
    for seed in crate::seeds(40) {
        run(seed, Durability::Synced, Crash::PowerCut).unwrap_or_else(|broken| panic!("seed {seed}: {broken:?}"));
    }
}

#[test]
fn the_checker_sees_what_a_power_cut_takes_when_not_synced() {
    let caught = (0..20).any(|seed| run(seed, Durability::Written, Crash::PowerCut).is_err());
    assert!(caught, "without syncing some acknowledged record must be lost");
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Crash {
    /// The process goes, the disk stays.
    Kill,
    /// Both go; what was not synced may be lost.
    PowerCut,
}

fn run(seed: u64, durability: Durability, crash: Crash) -> Result<(), (TopicPartition, Broken)> {
    let partitions: Vec<_> = (0..PARTITIONS).map(partition).collect();
    let world = Rc::new(RefCell::new(World::new(seed, &partitions)));
    let producers: Vec<_> = (0..PARTITIONS * 2)
        .map(|id| Rc::new(RefCell::new(Producer::new(i64::from(id), partitions[(id % PARTITIONS) as usize]))))
        .collect();
    let disk = Disk::new(seed);
    let mut start = Start::default();
    for round in 0..ROUNDS {
        let disk_may_fail = plant(&disk, crash, &mut world.borrow_mut().random);
        let simulation = Simulation {
            world: world.clone(),
            producers: producers.clone(),
            disk: disk.clone(),
            durability,
            disk_may_fail,
        };
        start = simulate(seed * 1_000 + round, simulation.round(start))?;
        match crash {
            Crash::Kill => disk.process_kill(),
            Crash::PowerCut => disk.power_cut(),
        }
    }
    Ok(())
}

/// Half of the rounds meet a fault. Returns whether this one does.
fn plant(disk: &Disk, crash: Crash, random: &mut Random) -> bool {
    let fault = random.coin();
    match crash {
        Crash::PowerCut if fault => disk.cut_power_at(random.between(1, 1_500)),
        Crash::Kill if fault => {
            let operations = [Operation::Write, Operation::Sync, Operation::Change, Operation::Read];
            disk.fail(operations[random.below(4) as usize], random.between(1, 300));
        }
        _ => {}
    }
    fault
}

/// How the next round opens the logs.
#[derive(Default)]
struct Start {
    clean: bool,
    checkpoints: Vec<PartitionCheckpoint>,
}

struct Simulation {
    world: Rc<RefCell<World>>,
    producers: Vec<Rc<RefCell<Producer>>>,
    disk: Disk,
    durability: Durability,
    /// A fault is planted in some operation of this round.
    disk_may_fail: bool,
}

impl Simulation {
    /// Opens the logs, holds them against the promises, and lets clients work until the crash.
    async fn round(self, start: Start) -> Result<Start, (TopicPartition, Broken)> {
        let shard = Shard::new(Settings::new(ShardId(0), vec![Directory::memory(&self.disk)]));
        if !self.open(&shard, &start).await {
            assert!(self.disk_may_fail, "a sound disk lets its logs be opened");
            return Ok(Start { clean: false, ..start });
        }
        for index in 0..PARTITIONS {
            let log = read_all(&shard, partition(index)).await.map_err(|broken| (partition(index), broken))?;
            let Some(log) = log else {
                assert!(self.disk_may_fail, "a sound disk answers");
                return Ok(Start { clean: false, ..start });
            };
            let world = self.world.borrow();
            world.checkers[&partition(index)].check(&log).map_err(|broken| (partition(index), broken))?;
        }
        self.start_clients(&shard);
        let checkpoints = self.work(&shard, start.checkpoints).await;
        Ok(self.stop(&shard, checkpoints).await)
    }

    async fn open(&self, shard: &Rc<Shard>, start: &Start) -> bool {
        let config =
            Arc::new(LogConfig { segment_bytes: 16 << 10, durability: self.durability, ..LogConfig::default() });
        let open = |index| {
            let partition = partition(index);
            let checkpoint = start.checkpoints.iter().find(|checkpoint| checkpoint.partition == partition);
            PartitionChange::Open(OpenPartition {
                partition,
                topic: "topic".into(),
                log_dir: LogDirIndex(0),
                config: config.clone(),
                leader_epoch: LeaderEpoch(0),
                clean: start.clean,
                recovery_point: checkpoint.map_or(Offset::ZERO, |checkpoint| checkpoint.recovery_point),
                log_start: checkpoint.map_or(Offset::ZERO, |checkpoint| checkpoint.log_start_offset),
                cleaned: Offset::ZERO,
            })
        };
        let changes = (0..PARTITIONS).map(open).collect();
        match shard.submit_local(Request::Change(changes)).await {
            Reply::Change(results) => results.iter().all(Result::is_ok),
            other => panic!("a change is answered by {other:?}"),
        }
    }

    fn start_clients(&self, shard: &Rc<Shard>) {
        for producer in &self.producers {
            spawn(Producer::run(producer.clone(), self.world.clone(), shard.clone()));
        }
        for index in 0..PARTITIONS {
            spawn(consume(partition(index), self.world.clone(), shard.clone()));
        }
    }

    /// Lets time pass; somewhere in it a checkpoint is taken.
    async fn work(&self, shard: &Rc<Shard>, before: Vec<PartitionCheckpoint>) -> Vec<PartitionCheckpoint> {
        let [first, second] = [0; 2].map(|_| self.world.borrow_mut().random.below(40_000));
        sleep(Duration::from_micros(first)).await;
        if self.world.borrow_mut().random.below(3) == 0 {
            let index = self.world.borrow_mut().random.below(PARTITIONS as u64) as i32;
            delete_records(shard, partition(index), &self.world).await;
        }
        let mut checkpoints = before;
        if self.world.borrow_mut().random.coin() {
            let Reply::Checkpoint(taken) = shard.submit_local(Request::Checkpoint).await else {
                panic!("no checkpoint")
            };
            checkpoints = taken;
        }
        // Now and then long enough for idle files to be trimmed.
        let idle = if self.world.borrow_mut().random.below(5) == 0 { 5_000_000 } else { 0 };
        sleep(Duration::from_micros(second + idle)).await;
        checkpoints
    }

    async fn stop(&self, shard: &Rc<Shard>, checkpoints: Vec<PartitionCheckpoint>) -> Start {
        if self.world.borrow_mut().random.below(4) > 0 {
            return Start { clean: false, checkpoints };
        }
        let Reply::Shutdown(checkpoints) = shard.submit_local(Request::Shutdown).await else { panic!("no shutdown") };
        let clean = checkpoints.iter().all(|checkpoint| checkpoint.sound);
        Start { clean, checkpoints }
    }
}

fn partition(index: i32) -> TopicPartition {
    TopicPartition { topic: TopicId(Uuid::from_u128(1)), partition: PartitionIndex(index) }
}
