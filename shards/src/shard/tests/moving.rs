use super::*;
use crate::error::MoveError;
use crate::log::{self, Durability, Log, Opening, names};
use crate::message::{Description, MovePart, News};
use crate::runtime::random_u64;
use std::cell::{Cell, RefCell};

/// What outlives a shard: two disks, what the controller has recorded, and what was acknowledged.
struct World {
    disks: [Disk; 2],
    /// The log directory of partition 0.
    recorded: Cell<u16>,
    /// Counts power cuts: who belongs to an earlier life does nothing any more.
    life: Cell<u32>,
    /// Records acknowledged; the value of each is its number.
    acknowledged: Cell<i64>,
    low_watermark: Cell<i64>,
    takes_assignments: Cell<bool>,
    /// Appended by the next start in one request, before anything else runs.
    early: Cell<std::ops::Range<i64>>,
    /// Of log directories.
    failures: RefCell<Vec<String>>,
}

impl World {
    fn new(seed: u64) -> Rc<Self> {
        Rc::new(Self {
            disks: [Disk::new(seed), Disk::new(seed + 1)],
            recorded: Cell::new(0),
            life: Cell::default(),
            acknowledged: Cell::default(),
            low_watermark: Cell::default(),
            takes_assignments: Cell::new(true),
            early: Cell::default(),
            failures: RefCell::default(),
        })
    }

    fn dirs(&self) -> Vec<Directory> {
        self.disks.iter().map(Directory::memory).collect()
    }

    /// As the broker does: the recorded directory is right if it has anything.
    async fn start(self: &Rc<Self>) -> Rc<Shard> {
        let (mut current, mut futures, mut leftovers) = (Vec::new(), Vec::new(), Vec::new());
        for dir in self.dirs() {
            let found: Vec<String> = dir.list().await.unwrap().into_iter().map(|entry| entry.name).collect();
            current.push(found.iter().any(|name| name == "topic-0"));
            futures.push(found.into_iter().find(|name| names::parse_future_directory(name).is_some()));
            leftovers.push(Arc::new(Leftovers::find(&dir).await.unwrap()));
        }
        let recorded = usize::from(self.recorded.get());
        let other = 1 - recorded;
        let is_there = current[recorded] || futures[recorded].is_some() || !current[other];
        assert!(is_there, "the controller's word is true: {current:?} {futures:?}");
        let settings = Settings { leftovers: leftovers.clone(), ..Settings::new(ShardId(0), self.dirs()) };
        let shard = Shard::new(settings);
        runtime::spawn(self.clone().serve(shard.clone(), self.life.get()));
        if current[other] {
            let stale = PartitionChange::Discard { log_dir: LogDirIndex(other as u16), name: "topic-0".into() };
            change(&shard, stale).await.unwrap();
        }
        let promote = futures[recorded].clone().filter(|_| !current[recorded]);
        let opened = OpenPartition {
            log_dir: LogDirIndex(recorded as u16),
            clean: promote.is_some(),
            promote,
            future: futures[other].clone().map(|name| (LogDirIndex(other as u16), name)),
            config: Arc::new(LogConfig {
                segment_bytes: 16 << 10,
                durability: Durability::Synced,
                ..LogConfig::default()
            }),
            ..open_partition(partition(0))
        };
        open(&shard, opened).await.unwrap();
        let early = self.early.take().map(|number| part(0, numbered(number))).collect();
        assert!(append_all(&shard, early).await.iter().all(Result::is_ok));
        for (dir, leftovers) in self.dirs().iter().zip(&leftovers) {
            leftovers.sync(dir).await.unwrap();
            leftovers.remove(dir).await.unwrap();
        }
        shard
    }

    /// The controller, as far as the shard knows one.
    async fn serve(self: Rc<Self>, shard: Rc<Shard>, life: u32) {
        loop {
            let news = shard.submit_local(Request::News).await;
            pause(2_000).await;
            match news {
                Reply::News(News::Assign { partition, log_dir, .. }) if self.life.get() == life => {
                    let is_recorded = self.takes_assignments.get();
                    if is_recorded {
                        self.recorded.set(log_dir.0);
                    }
                    pause(2_000).await;
                    shard.submit_local(Request::Assigned { partition, is_recorded }).await;
                }
                Reply::News(News::LogDirFailed { cause, .. }) => self.failures.borrow_mut().push(cause),
                Reply::News(_) if self.life.get() == life => {}
                _ => return,
            }
        }
    }

    /// Appends one record after the other, as long as the shard's life lasts.
    async fn produce(self: Rc<Self>, shard: Rc<Shard>, life: u32, from: i64) {
        for number in from.. {
            let parts = vec![part(0, numbered(number))];
            let Reply::Append(mut results) = shard.submit_local(Request::Append { parts }).await else { return };
            let result = results.remove(0);
            if self.life.get() != life {
                return;
            }
            let Ok(appended) = result else { return };
            assert_eq!(appended.base_offset.0, number, "records keep their order");
            self.acknowledged.set(number + 1);
            pause(300).await;
        }
    }

    fn account(&self, shard: &Rc<Shard>) -> String {
        let (life, low, end) = (self.life.get(), self.low_watermark.get(), self.acknowledged.get());
        let described = shard.replica(partition(0)).map(|replica| replica.describe());
        format!("life {life}, from {low} to {end} acknowledged; {described:?}")
    }

    fn cut(&self) {
        self.life.set(self.life.get() + 1);
        self.disks.iter().for_each(Disk::power_cut);
    }

    /// Everything acknowledged is there, in its place; returns the end.
    async fn check(&self, shard: &Rc<Shard>) -> i64 {
        let mut next = self.low_watermark.get();
        loop {
            let found = read(shard, 0, next).await;
            let found = found.unwrap_or_else(|error| panic!("{error} at {next}: {}", self.account(shard)));
            assert!(found.log_start_offset.0 <= next, "{} is gone", found.log_start_offset);
            let before = next;
            for batch in batches(&found.records.into_bytes()) {
                let batch = batch.unwrap();
                if batch.header.base_offset.0 < next {
                    continue;
                }
                assert_eq!((batch.header.base_offset.0, number_of(&batch)), (next, next));
                next += 1;
            }
            if next == before {
                break;
            }
        }
        assert!(next >= self.acknowledged.get(), "{next} of {} are there", self.acknowledged.get());
        next
    }
}

async fn pause(micros_max: u64) {
    sleep(Duration::from_micros(random_u64() % micros_max)).await;
}

fn numbered(number: i64) -> ValidBatch {
    let mut builder = BatchBuilder::new();
    let mut value = vec![0; 700];
    value[..8].copy_from_slice(&number.to_be_bytes());
    builder.append(&NewRecord { timestamp: Timestamp(1_000), key: None, value: Some(&value), headers: &[] });
    builder.build()
}

fn number_of(batch: &crate::record::Batch) -> i64 {
    let record = batch.records(1 << 20).next().unwrap().unwrap();
    i64::from_be_bytes(record.value.unwrap()[..8].try_into().unwrap())
}

async fn move_to(shard: &Rc<Shard>, to: u16) -> Result<(), MoveError> {
    let parts = vec![MovePart { partition: partition(0), to: LogDirIndex(to), may_begin: true }];
    match shard.submit_local(Request::Move(parts)).await {
        Reply::Move(mut results) => results.remove(0),
        other => panic!("{other:?}"),
    }
}

async fn describe(shard: &Rc<Shard>) -> Description {
    match shard.submit_local(Request::Describe(None)).await {
        Reply::Describe(mut described) => described.remove(0),
        other => panic!("{other:?}"),
    }
}

async fn delete_below(shard: &Rc<Shard>, before: i64) {
    let parts = vec![DeleteRecordsPart { partition: partition(0), before: Some(Offset(before)) }];
    assert!(
        matches!(shard.submit_local(Request::DeleteRecords(parts)).await, Reply::DeleteRecords(results) if results[0].is_ok())
    );
}

async fn moved(shard: &Rc<Shard>, to: u16) {
    while describe(shard).await.log_dir != LogDirIndex(to) {
        sleep(Duration::from_millis(1)).await;
    }
}

/// Names of directories by disk.
async fn directories(world: &World) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for dir in world.dirs() {
        let entries = dir.list().await.unwrap();
        all.push(entries.into_iter().filter(|entry| entry.is_dir).map(|entry| entry.name).collect());
    }
    all
}

#[test]
fn a_partition_moves_while_it_is_appended_to() {
    simulate(31, async {
        let world = World::new(31);
        let shard = world.start().await;
        runtime::spawn(world.clone().produce(shard.clone(), 0, 0));
        sleep(Duration::from_millis(50)).await;
        move_to(&shard, 1).await.unwrap();
        move_to(&shard, 1).await.unwrap();
        moved(&shard, 1).await;
        let then = world.acknowledged.get();
        sleep(Duration::from_millis(50)).await;
        assert!(world.acknowledged.get() > then + 50, "appends go on");
        world.check(&shard).await;
        assert_eq!(world.recorded.get(), 1);
        sleep(Duration::from_mins(2)).await;
        assert_eq!(directories(&world).await, [vec![], vec!["topic-0".to_string()]]);
    });
}

#[test]
fn a_copy_is_shown_with_its_lag_and_goes_when_it_is_not_wanted() {
    simulate(32, async {
        let world = World::new(32);
        let shard = world.start().await;
        for number in 0..20 {
            append_all(&shard, vec![part(0, numbered(number))]).await.remove(0).unwrap();
        }
        move_to(&shard, 1).await.unwrap();
        let future = describe(&shard).await.future.unwrap();
        assert_eq!((future.log_dir, future.size, future.lag), (LogDirIndex(1), 0, 20));
        move_to(&shard, 0).await.unwrap();
        assert_eq!(describe(&shard).await.future, None);
        sleep(Duration::from_mins(2)).await;
        assert_eq!(directories(&world).await, [vec!["topic-0".to_string()], vec![]]);
        assert_eq!(world.failures.take(), Vec::<String>::new());
        assert_eq!(describe(&shard).await.log_dir, LogDirIndex(0));
    });
}

#[test]
fn a_move_waits_for_the_controllers_word_and_appends_go_on_without_it() {
    simulate(33, async {
        let world = World::new(33);
        world.takes_assignments.set(false);
        let shard = world.start().await;
        runtime::spawn(world.clone().produce(shard.clone(), 0, 0));
        move_to(&shard, 1).await.unwrap();
        sleep(Duration::from_millis(100)).await;
        let then = world.acknowledged.get();
        sleep(Duration::from_millis(1900)).await;
        assert!(world.acknowledged.get() > then + 100 && describe(&shard).await.log_dir == LogDirIndex(0));
        world.takes_assignments.set(true);
        moved(&shard, 1).await;
        world.check(&shard).await;
    });
}

#[test]
fn the_log_start_and_idempotent_producers_move_along() {
    simulate(34, async {
        let world = World::new(34);
        let shard = world.start().await;
        let sent = |sequence| {
            let producer = BatchBuilder::new().producer(ProducerId(5), ProducerEpoch(0), Sequence(sequence));
            let mut builder = producer;
            builder.append(&NewRecord { timestamp: Timestamp(1), value: Some(b"x"), ..Default::default() });
            builder.build()
        };
        append_all(&shard, vec![part(0, sent(0))]).await.remove(0).unwrap();
        for number in 1..10 {
            append_all(&shard, vec![part(0, numbered(number))]).await.remove(0).unwrap();
        }
        delete_below(&shard, 4).await;
        move_to(&shard, 1).await.unwrap();
        moved(&shard, 1).await;
        assert_eq!(describe(&shard).await.log_start_offset, Offset(4));
        let again = append_all(&shard, vec![part(0, sent(0))]).await.remove(0).unwrap();
        assert_eq!(again.base_offset, Offset(0), "its batch is gone, and known");
        let next = append_all(&shard, vec![part(0, sent(1))]).await.remove(0).unwrap();
        assert_eq!(next.base_offset, Offset(10));
    });
}

#[test]
fn a_move_copies_no_faster_than_it_may_and_appends_do_not_wait_for_it() {
    simulate(39, async {
        let world = World::new(39);
        let shard = world.start().await;
        for _ in 0..300 {
            append(&shard, 0, 15_000).await.unwrap();
        }
        shard.submit_local(Request::MoveRate(400_000.0)).await;
        move_to(&shard, 1).await.unwrap();
        sleep(Duration::from_secs(5)).await;
        let copied = describe(&shard).await.future.unwrap().size;
        assert!((1_000_000..3_500_000).contains(&copied), "{copied}");
        let before = now();
        append(&shard, 0, 100).await.unwrap();
        assert!(now() - before < Duration::from_millis(100));
        shard.submit_local(Request::MoveRate(f64::MAX)).await;
        let before = now();
        moved(&shard, 1).await;
        assert!(now() - before < Duration::from_secs(10));
    });
}

#[test]
fn a_disk_that_fails_under_a_copy_leaves_the_partition_where_it_is() {
    simulate(35, async {
        let world = World::new(35);
        let shard = world.start().await;
        runtime::spawn(world.clone().produce(shard.clone(), 0, 0));
        sleep(Duration::from_millis(20)).await;
        world.disks[1].fail(Operation::Write, 1);
        move_to(&shard, 1).await.unwrap();
        sleep(Duration::from_millis(100)).await;
        assert_eq!(move_to(&shard, 1).await, Err(MoveError::Storage));
        assert_eq!(describe(&shard).await.future, None);
        let then = world.acknowledged.get();
        sleep(Duration::from_millis(50)).await;
        assert!(world.acknowledged.get() > then);
        world.check(&shard).await;
    });
}

#[test]
fn a_deleted_partition_takes_its_copy_along() {
    for micros in [0, 300, 1_000, 3_000, 5_000, 8_000, 20_000] {
        simulate(36, async move {
            let world = World::new(36);
            let shard = world.start().await;
            append_all(&shard, vec![part(0, numbered(0))]).await.remove(0).unwrap();
            move_to(&shard, 1).await.unwrap();
            sleep(Duration::from_micros(micros)).await;
            change(&shard, PartitionChange::Delete { partition: partition(0) }).await.unwrap();
            sleep(Duration::from_mins(2)).await;
            assert_eq!(directories(&world).await, [Vec::<String>::new(), vec![]], "{micros}");
        });
    }
}

#[test]
fn a_stop_in_the_middle_is_taken_up_by_the_next_start() {
    for micros in [0, 500, 2_000, 3_000, 4_000, 5_000, 6_000, 8_000] {
        simulate(37, async move {
            let world = World::new(37);
            let shard = world.start().await;
            runtime::spawn(world.clone().produce(shard.clone(), 0, 0));
            sleep(Duration::from_millis(20)).await;
            move_to(&shard, 1).await.unwrap();
            sleep(Duration::from_micros(micros)).await;
            shard.submit_local(Request::Shutdown).await;
            world.cut();
            let shard = world.start().await;
            moved(&shard, 1).await;
            world.check(&shard).await;
        });
    }
}

#[test]
fn power_cuts_at_any_moment_of_a_move_lose_nothing() {
    let moves: u32 = (1000..1000 + rounds()).map(|seed| simulate(seed, power_cuts(seed))).sum();
    assert!(moves >= rounds() as u32 / 2, "{moves} moves were seen to end");
}

fn rounds() -> u64 {
    std::env::var("ODRADEK_MOVE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(12)
}

/// Returns how many moves ended before their power cut.
async fn power_cuts(seed: u64) -> u32 {
    let world = World::new(seed);
    let mut moves = 0;
    for _ in 0..12 {
        let shard = world.start().await;
        let end = world.check(&shard).await;
        let life = world.life.get();
        runtime::spawn(world.clone().produce(shard.clone(), life, end));
        pause(20_000).await;
        if random_u64().is_multiple_of(4) {
            let before = (world.low_watermark.get() + 3).min(world.acknowledged.get());
            delete_below(&shard, before).await;
            world.low_watermark.set(before);
        }
        let here = describe(&shard).await.log_dir.0;
        let _ = move_to(&shard, 1 - here).await;
        pause(if random_u64().is_multiple_of(2) { 30_000 } else { 150_000 }).await;
        if random_u64().is_multiple_of(5) {
            let _ = move_to(&shard, here).await;
            pause(3_000).await;
        }
        moves += u32::from(describe(&shard).await.log_dir.0 != here);
        world.cut();
        pause(20_000).await;
    }
    let shard = world.start().await;
    world.check(&shard).await;
    moves
}

#[test]
fn a_copy_of_another_topic_or_with_more_than_its_original_is_begun_anew() {
    for (topic, records) in [(8, 5), (7, 30)] {
        simulate(38, async move {
            let world = World::new(38);
            let shard = world.start().await;
            for number in 0..20 {
                append_all(&shard, vec![part(0, numbered(number))]).await.remove(0).unwrap();
            }
            // What a crash, or a disk that was away for long, left in the other directory.
            let root = Directory::memory(&world.disks[1]);
            let name = names::future_directory("topic", PartitionIndex(0), 1).unwrap();
            let dir = root.create_dir(&name).await.unwrap();
            crate::log::partition_metadata::write_topic_id(&dir, TopicId(Uuid::from_u128(topic))).await.unwrap();
            let how = Opening {
                clean: false,
                recovery_point: Offset::ZERO,
                log_start: Offset::ZERO,
                synced_later: false,
                now: Timestamp(1),
            };
            let log = RefCell::new(Log::open(dir, Arc::default(), how).await.unwrap());
            for _ in 0..records {
                log.borrow_mut().append(&batch(10), LeaderEpoch(3), Timestamp(1)).unwrap();
            }
            log::close(&log).await.unwrap();
            root.sync().await.unwrap();
            shard.submit_local(Request::Shutdown).await;
            world.cut();
            // More than the copy has, before anybody looks at it.
            world.early.set(20..40);
            let shard = world.start().await;
            world.acknowledged.set(40);
            moved(&shard, 1).await;
            world.check(&shard).await;
        });
    }
}
