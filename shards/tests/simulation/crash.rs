//! Rounds of work, each ended by a crash, over one disk.

use crate::checker::{Broken, Checker};
use crate::client::{Producer, World, consume, delete_records, read_all};
use odradek_shards::journal::{self, Leftovers};
use odradek_shards::log::{Durability, LogConfig};
use odradek_shards::message::{LogDirIndex, OpenPartition, PartitionChange, PartitionCheckpoint, Reply, Request};
use odradek_shards::runtime::memory::{CutPlace, Disk, Operation};
use odradek_shards::runtime::random::Random;
use odradek_shards::runtime::simulation::simulate;
use odradek_shards::runtime::{Directory, sleep, spawn};
use odradek_shards::shard::{Settings, Shard};
use odradek_shards::types::{LeaderEpoch, Offset, PartitionIndex, ShardId, TopicId, TopicPartition};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const ROUNDS: u64 = 5;
const PARTITIONS: i32 = 3;
/// So small that they run short of space all the time.
const JOURNALS: [journal::Settings; 2] = [
    journal::Settings { bytes: 96 << 10, file_bytes: 24 << 10 },
    journal::Settings { bytes: 36 << 10, file_bytes: 12 << 10 },
];

#[test]
fn what_was_acknowledged_survives_a_kill() {
    for seed in crate::seeds(100) {
        run(seed, Durability::Written, Crash::Kill).unwrap_or_else(|broken| panic!("seed {seed}: {broken:?}"));
    }
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_when_synced() {
    for seed in crate::seeds(100) {
        run(seed, Durability::Synced, Crash::PowerCut).unwrap_or_else(|broken| panic!("seed {seed}: {broken:?}"));
    }
}

/// Operations times places: `-- --nocapture` shows them.
#[test]
fn power_cuts_come_at_forty_steps_of_the_write_path_and_more() {
    let mut steps = BTreeSet::new();
    for seed in 1_000..2_000 {
        let disk = Disk::new(seed);
        disk.tell_cut_places();
        let places = run_on(disk, seed, Durability::Synced, Crash::PowerCut);
        let places = places.unwrap_or_else(|broken| panic!("seed {seed}: {broken:?}"));
        let is_of_write_path = |place: &CutPlace| !place.is_opening && place.operation != Operation::Read;
        steps.extend(places.into_iter().filter(is_of_write_path).map(|place| place.step));
        if steps.len() >= 40 && std::env::var("SEEDS").is_err() {
            break;
        }
    }
    steps.iter().for_each(|step| println!("{step}"));
    assert!(steps.len() >= 40, "only {} steps of the write path met a power cut", steps.len());
}

#[test]
fn what_was_acknowledged_survives_a_kill_when_synced() {
    for seed in crate::seeds(100) {
        run(seed, Durability::Synced, Crash::Kill).unwrap_or_else(|broken| panic!("seed {seed}: {broken:?}"));
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

type Outcome<T> = Result<T, (TopicPartition, Broken)>;

fn run(seed: u64, durability: Durability, crash: Crash) -> Outcome<()> {
    run_on(Disk::new(seed), seed, durability, crash).map(drop)
}

/// Returns where the power went, if the disk tells.
fn run_on(disk: Disk, seed: u64, durability: Durability, crash: Crash) -> Outcome<Vec<CutPlace>> {
    let topics = Topics::new();
    let world = Rc::new(RefCell::new(World::new(seed, &topics.partitions)));
    let topics = Rc::new(RefCell::new(topics));
    let mut start = Start::default();
    let mut places = Vec::new();
    for round in 0..ROUNDS {
        if round > 0 && world.borrow_mut().random.coin() {
            topics.borrow_mut().recreate(&mut world.borrow_mut());
        }
        let disk_may_fail = plant(&disk, crash, &mut world.borrow_mut().random);
        let simulation =
            Simulation { world: world.clone(), topics: topics.clone(), disk: disk.clone(), durability, disk_may_fail };
        start = simulate(seed * 1_000 + round, simulation.round(start))?;
        places.extend(disk.cut_place());
        match crash {
            Crash::Kill => disk.process_kill(),
            Crash::PowerCut => disk.power_cut(),
        }
    }
    Ok(places)
}

fn producer(id: i64, partition: TopicPartition) -> Rc<RefCell<Producer>> {
    Rc::new(RefCell::new(Producer::new(id, partition)))
}

/// What there is to be served, and who produces to it.
struct Topics {
    partitions: Vec<TopicPartition>,
    producers: Vec<Rc<RefCell<Producer>>>,
    /// Of topics that took the name of another.
    recreated: u64,
}

impl Topics {
    fn new() -> Self {
        let partitions: Vec<_> = (0..PARTITIONS).map(partition).collect();
        let of = |id: i32| partitions[(id % PARTITIONS) as usize];
        let producers = (0..PARTITIONS * 2).map(|id| producer(i64::from(id), of(id))).collect();
        Self { partitions, producers, recreated: 0 }
    }

    fn last(&self) -> TopicPartition {
        *self.partitions.last().expect("there are partitions")
    }

    /// The last partition's topic is deleted and another one gets its name. Who still produces to it is not asked again.
    fn recreate(&mut self, world: &mut World) -> Rc<RefCell<Producer>> {
        let gone = self.partitions.pop();
        self.recreated += 1;
        let topic = TopicId(Uuid::from_u128(u128::from(100 + self.recreated)));
        let new = TopicPartition { topic, partition: PartitionIndex(PARTITIONS - 1) };
        self.partitions.push(new);
        world.checkers.insert(new, Checker::default());
        self.producers.retain(|producer| Some(producer.borrow().partition) != gone);
        let producer = producer(100 + self.recreated as i64, new);
        self.producers.push(producer.clone());
        producer
    }
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
    topics: Rc<RefCell<Topics>>,
    disk: Disk,
    durability: Durability,
    /// A fault is planted in some operation of this round.
    disk_may_fail: bool,
}

/// One or two shards on one log directory: their number may change from start to start.
struct Shards(Vec<Rc<Shard>>);

impl Shards {
    fn of(&self, partition: TopicPartition) -> Rc<Shard> {
        self.0[partition.partition.0 as usize % self.0.len()].clone()
    }
}

impl Simulation {
    /// Opens the logs, holds them against the promises, and lets clients work until the crash.
    async fn round(self, start: Start) -> Result<Start, (TopicPartition, Broken)> {
        let Some(shards) = self.shards(&start).await else {
            assert!(self.disk_may_fail, "a sound disk lets its logs be opened");
            return Ok(Start { clean: false, ..start });
        };
        for partition in self.partitions() {
            let log = read_all(&shards.of(partition), partition).await.map_err(|broken| (partition, broken))?;
            let Some(log) = log else {
                assert!(self.disk_may_fail, "a sound disk answers");
                return Ok(Start { clean: false, ..start });
            };
            let world = self.world.borrow();
            world.checkers[&partition].check(&log).map_err(|broken| (partition, broken))?;
        }
        if self.world.borrow_mut().random.below(4) == 0 {
            // The next crash comes at once.
            return Ok(Start { clean: false, ..start });
        }
        self.start_clients(&shards);
        let checkpoints = self.work(&shards, start.checkpoints).await;
        Ok(self.stop(&shards, checkpoints).await)
    }

    /// Shards with their logs open, what a crash left in journals given back to them.
    async fn shards(&self, start: &Start) -> Option<Shards> {
        let root = Directory::memory(&self.disk);
        let before = journals(&root).await?;
        let leftovers = match start.clean {
            true => journal::discard(&root).await.map(|()| Leftovers::default()),
            false => Leftovers::find(&root).await,
        };
        let leftovers = Arc::new(leftovers.ok()?);
        let size = self.world.borrow_mut().random.below(2) as usize;
        // Batches that are written back while a sync is under way are not covered by it.
        let write_back_bytes = [4_000, 500][self.world.borrow_mut().random.below(2) as usize];
        let settings = |id| Settings {
            journal: JOURNALS[size],
            notes: JOURNALS[size],
            noted_batch_bytes: 200,
            journal_bypass_bytes: 2_000,
            write_back_bytes,
            unwritten_bytes_max: 12_000,
            scan_bytes_max: 6_000,
            synced_together_from: 2,
            open_files_max: 1,
            leftovers: vec![leftovers.clone()],
            ..Settings::new(ShardId(id), vec![root.clone()])
        };
        let count = 1 + self.world.borrow_mut().random.below(2) as u16;
        let shards = Shards((0..count).map(|id| Shard::new(settings(id))).collect());
        let mut opened = true;
        for partition in self.partitions() {
            opened &= self.open(&shards.of(partition), partition, start).await;
        }
        // As the broker does, whether or not each log has opened.
        leftovers.sync(&root).await.ok()?;
        for shard in &shards.0 {
            shard.submit_local(Request::Synced(LogDirIndex(0))).await;
        }
        leftovers.remove(&root).await.ok()?;
        let after = journals(&root).await?;
        assert!(before.is_disjoint(&after), "a journal outlives the start that has taken all of it: {after:?}");
        opened.then_some(shards)
    }

    async fn open(&self, shard: &Rc<Shard>, partition: TopicPartition, start: &Start) -> bool {
        let config =
            Arc::new(LogConfig { segment_bytes: 16 << 10, durability: self.durability, ..LogConfig::default() });
        let checkpoint = start.checkpoints.iter().find(|checkpoint| checkpoint.partition == partition);
        let open = PartitionChange::Open(OpenPartition {
            partition,
            topic: if partition.partition.0 + 1 == PARTITIONS { "phoenix" } else { "topic" }.into(),
            log_dir: LogDirIndex(0),
            config,
            leader_epoch: LeaderEpoch(0),
            clean: start.clean,
            recovery_point: checkpoint.map_or(Offset::ZERO, |checkpoint| checkpoint.recovery_point),
            log_start: checkpoint.map_or(Offset::ZERO, |checkpoint| checkpoint.log_start_offset),
            cleaned: Offset::ZERO,
            promote: None,
            future: None,
        });
        match shard.submit_local(Request::Change(vec![open])).await {
            Reply::Change(results) => results.iter().all(Result::is_ok),
            other => panic!("a change is answered by {other:?}"),
        }
    }

    fn start_clients(&self, shards: &Shards) {
        for producer in self.topics.borrow().producers.clone() {
            self.start_producer(producer, shards);
        }
        for partition in self.partitions() {
            spawn(consume(partition, self.world.clone(), shards.of(partition)));
        }
    }

    fn start_producer(&self, producer: Rc<RefCell<Producer>>, shards: &Shards) {
        let shard = shards.of(producer.borrow().partition);
        spawn(Producer::run(producer, self.world.clone(), shard));
    }

    fn partitions(&self) -> Vec<TopicPartition> {
        self.topics.borrow().partitions.clone()
    }

    /// While clients are at it, the last partition's topic is deleted and another one gets its name: a journal holds
    /// batches of both.
    async fn recreate(&self, shards: &Shards) {
        let gone = self.topics.borrow().last();
        let shard = shards.of(gone);
        let deleted = shard.submit_local(Request::Change(vec![PartitionChange::Delete { partition: gone }])).await;
        let producer = self.topics.borrow_mut().recreate(&mut self.world.borrow_mut());
        let new = producer.borrow().partition;
        let is_deleted = matches!(deleted, Reply::Change(results) if results.iter().all(Result::is_ok));
        if is_deleted && self.open(&shard, new, &Start::default()).await {
            self.start_producer(producer, shards);
            spawn(consume(new, self.world.clone(), shard));
        } else {
            assert!(self.disk_may_fail, "a sound disk lets a topic be deleted and made");
        }
    }

    /// Lets time pass; somewhere in it a checkpoint is taken.
    async fn work(&self, shards: &Shards, before: Vec<PartitionCheckpoint>) -> Vec<PartitionCheckpoint> {
        // Short rounds leave journals that begin with the beginning of a log, be it of one that came late.
        let longest = [1_500, 12_000, 40_000][self.world.borrow_mut().random.below(3) as usize];
        let [first, second] = [0; 2].map(|_| self.world.borrow_mut().random.below(longest));
        sleep(Duration::from_micros(first)).await;
        if self.world.borrow_mut().random.below(3) == 0 {
            let index = self.world.borrow_mut().random.below(PARTITIONS as u64) as usize;
            let partition = self.partitions()[index];
            delete_records(&shards.of(partition), partition, &self.world).await;
        }
        if self.world.borrow_mut().random.below(3) == 0 {
            self.recreate(shards).await;
            let rest = self.world.borrow_mut().random.below(longest / 2);
            sleep(Duration::from_micros(rest)).await;
        }
        let mut checkpoints = before;
        if self.world.borrow_mut().random.coin() {
            checkpoints = Vec::new();
            for shard in &shards.0 {
                let Reply::Checkpoint(taken) = shard.submit_local(Request::Checkpoint).await else {
                    panic!("no checkpoint")
                };
                checkpoints.extend(taken);
            }
        }
        // Now and then long enough for idle files to be trimmed.
        let idle = if self.world.borrow_mut().random.below(5) == 0 { 5_000_000 } else { 0 };
        sleep(Duration::from_micros(second + idle)).await;
        checkpoints
    }

    async fn stop(&self, shards: &Shards, checkpoints: Vec<PartitionCheckpoint>) -> Start {
        if self.world.borrow_mut().random.below(4) > 0 {
            return Start { clean: false, checkpoints };
        }
        let mut checkpoints = Vec::new();
        for shard in &shards.0 {
            let Reply::Shutdown(closed) = shard.submit_local(Request::Shutdown).await else { panic!("no shutdown") };
            checkpoints.extend(closed);
        }
        // Those of a log directory that failed are not among them.
        let closed_all = checkpoints.len() == self.partitions().len();
        let clean = closed_all && checkpoints.iter().all(|checkpoint| checkpoint.sound);
        Start { clean, checkpoints }
    }
}

/// Names of the journals there; none when the disk does not tell.
async fn journals(root: &Directory) -> Option<BTreeSet<String>> {
    let names = root.list().await.ok()?.into_iter().map(|entry| entry.name);
    Some(names.filter(|name| name.starts_with(".odradek-journal-")).collect())
}

fn partition(index: i32) -> TopicPartition {
    TopicPartition { topic: TopicId(Uuid::from_u128(1)), partition: PartitionIndex(index) }
}
