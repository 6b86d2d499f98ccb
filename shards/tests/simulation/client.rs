//! Clients of the simulated shard. They outlive its crashes, and send again what was not acknowledged.

use crate::checker::{Broken, Checker, RecordId, decode};
use odradek_shards::error::{ReadError, Unavailable};
use odradek_shards::message::{
    Acks, AppendPart, AppendResult, AwaitId, AwaitRequest, DeleteRecordsPart, Isolation, ReadOk, ReadPart, ReadRequest,
    Reply, Request,
};
use odradek_shards::record::{BatchBuilder, NewRecord, ValidBatch};
use odradek_shards::runtime::random::Random;
use odradek_shards::runtime::{now, sleep, wall_clock};
use odradek_shards::shard::Shard;
use odradek_shards::types::{
    LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, ShardId, Timestamp, TopicPartition,
};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// What the clients share: their promises, their chance, and a number for each record.
pub struct World {
    pub checkers: HashMap<TopicPartition, Checker>,
    pub random: Random,
    next_record: RecordId,
    next_await: u64,
}

impl World {
    pub fn new(seed: u64, partitions: &[TopicPartition]) -> Self {
        let checkers = partitions.iter().map(|partition| (*partition, Checker::default())).collect();
        Self { checkers, random: Random::new(seed), next_record: 1, next_await: 0 }
    }

    pub fn checker(&mut self, partition: TopicPartition) -> &mut Checker {
        self.checkers.get_mut(&partition).expect("every partition has a checker")
    }

    fn promise(&mut self, partition: TopicPartition, offset: Offset, id: RecordId) {
        if let Err(broken) = self.checker(partition).promise(offset, id) {
            panic!("{partition:?}: {broken:?}");
        }
    }
}

/// An idempotent producer of one partition with several requests in flight.
pub struct Producer {
    id: ProducerId,
    pub partition: TopicPartition,
    next_sequence: i32,
    unacknowledged: VecDeque<(ValidBatch, Vec<RecordId>)>,
}

const IN_FLIGHT: usize = 5;

impl Producer {
    pub fn new(id: i64, partition: TopicPartition) -> Self {
        Self { id: ProducerId(id), partition, next_sequence: 0, unacknowledged: VecDeque::new() }
    }

    /// Produces until it has had enough answers, or the shard refuses.
    pub async fn run(producer: Rc<RefCell<Self>>, world: Rc<RefCell<World>>, shard: Rc<Shard>) {
        // Who comes late finds the journal ready: even the first batch of its partition may go there.
        let late = world.borrow_mut().random.below(4);
        sleep(Duration::from_millis(late * 5)).await;
        let mut sent = VecDeque::new();
        let mut resent = 0;
        let enough = world.borrow_mut().random.between(10, 150);
        for _ in 0..enough {
            while sent.len() < IN_FLIGHT {
                let (partition, batch) = producer.borrow_mut().next(resent, &mut world.borrow_mut());
                resent += 1;
                sent.push_back(shard.submit_local(append(partition, batch)));
            }
            let reply = sent.pop_front().expect("some are in flight").await;
            let Reply::Append(results) = reply else { return };
            if !producer.borrow_mut().acknowledge(&results[0], &mut world.borrow_mut()) {
                return;
            }
            resent -= 1;
            let pause = world.borrow_mut().random.below(3);
            sleep(Duration::from_micros(pause * 50)).await;
        }
    }

    /// The batch after the first `skip` unacknowledged ones: an old one again, or a new one.
    fn next(&mut self, skip: usize, world: &mut World) -> (TopicPartition, ValidBatch) {
        if skip == self.unacknowledged.len() {
            let batch = self.new_batch(world);
            self.unacknowledged.push_back(batch);
        }
        (self.partition, self.unacknowledged[skip].0.clone())
    }

    fn new_batch(&mut self, world: &mut World) -> (ValidBatch, Vec<RecordId>) {
        let count = world.random.between(1, 4);
        let padding = world.random.below(600) as usize;
        let sequence = Sequence(self.next_sequence);
        let mut builder = BatchBuilder::new().producer(self.id, ProducerEpoch(0), sequence);
        let mut ids = Vec::new();
        for _ in 0..count {
            let id = world.next_record;
            world.next_record += 1;
            world.checker(self.partition).send(id);
            let mut value = id.to_be_bytes().to_vec();
            value.resize(8 + padding, b'x');
            builder.append(&NewRecord { timestamp: wall_clock(), key: None, value: Some(&value), headers: &[] });
            ids.push(id);
        }
        self.next_sequence += count as i32;
        (builder.build(), ids)
    }

    fn acknowledge(&mut self, result: &AppendResult, world: &mut World) -> bool {
        let Ok(ok) = result else { return false };
        assert_eq!(ok.log_append_time == Timestamp::NONE, ok.log_append_time.0 < 0);
        let (_, ids) = self.unacknowledged.pop_front().expect("what is answered was sent");
        for (delta, id) in ids.into_iter().enumerate() {
            world.promise(self.partition, ok.base_offset + delta as i64, id);
        }
        true
    }
}

fn append(partition: TopicPartition, batch: ValidBatch) -> Request {
    let part = AppendPart { partition, batch, leader_epoch_expected: Some(LeaderEpoch(0)), acks: Acks::All };
    Request::Append { parts: vec![part] }
}

/// Reads a partition from a random offset on, waiting for more at its end; what it has seen is promised.
pub async fn consume(partition: TopicPartition, world: Rc<RefCell<World>>, shard: Rc<Shard>) {
    let mut from = Offset(world.borrow_mut().random.below(50) as i64);
    // A segment may go while a read is on its way to it; who asks again finds out.
    let mut came_to_nothing = false;
    loop {
        let max_bytes = world.borrow_mut().random.between(1, 4_000) as usize;
        let ok = match read(&shard, partition, from, max_bytes).await {
            None => return,
            Some(Ok(ok)) => ok,
            Some(Err(ReadError::OffsetOutOfRange)) => {
                let Some(start) = log_start(&shard, partition).await else { return };
                from = start;
                sleep(Duration::from_millis(1)).await;
                continue;
            }
            // The next start serves it again.
            Some(Err(ReadError::Unavailable(_))) => return,
        };
        let high_watermark = ok.high_watermark;
        let records: Vec<_> = decode(ok.records).into_iter().filter(|(offset, _)| *offset >= from).collect();
        for &(offset, id) in &records {
            let may_be_gone = world.borrow_mut().checker(partition).is_deleted(Offset(offset.0 - 1));
            assert!(
                offset == from || may_be_gone,
                "a read goes on at {from}, where the last one ended, not at {offset}"
            );
            assert!(offset < high_watermark, "what is read is below the high watermark");
            world.borrow_mut().promise(partition, offset, id);
            from = offset + 1;
        }
        if records.is_empty() && from < high_watermark {
            assert!(!came_to_nothing, "{partition:?} at {from} below {high_watermark}: nothing, twice");
            came_to_nothing = true;
            continue;
        }
        came_to_nothing = false;
        if records.is_empty() && !wait(&shard, partition, from, &world).await {
            return;
        }
    }
}

/// One read; `None` when the shard is closed.
async fn read(
    shard: &Rc<Shard>,
    partition: TopicPartition,
    from: Offset,
    max_bytes: usize,
) -> Option<Result<ReadOk, ReadError>> {
    let part = ReadPart {
        partition,
        from,
        max_bytes,
        current_leader_epoch: None,
        last_fetched_epoch: None,
        isolation: Isolation::ReadUncommitted,
    };
    let request = ReadRequest { parts: vec![part], max_bytes, min_one: true };
    match shard.submit_local(Request::Read(request)).await {
        Reply::Read(mut results) => results.pop(),
        _ => None,
    }
}

async fn wait(shard: &Rc<Shard>, partition: TopicPartition, from: Offset, world: &RefCell<World>) -> bool {
    let request = {
        let mut world = world.borrow_mut();
        world.next_await += 1;
        AwaitRequest {
            id: AwaitId { origin: ShardId(0), number: world.next_await },
            parts: vec![(partition, from)],
            min_bytes: world.random.below(2_000) as usize,
            isolation: Isolation::ReadUncommitted,
            until: now() + Duration::from_millis(world.random.below(20)),
        }
    };
    // A deadline of now must not become a busy loop.
    sleep(Duration::from_micros(100)).await;
    matches!(shard.submit_local(Request::AwaitData(request)).await, Reply::AwaitData(_))
}

/// Everything a partition holds, from its start to its high watermark; `None` when the disk does not answer.
pub async fn read_all(shard: &Rc<Shard>, partition: TopicPartition) -> Result<Option<Vec<(Offset, RecordId)>>, Broken> {
    let mut all: Vec<(Offset, RecordId)> = Vec::new();
    let start = log_start(shard, partition).await.expect("the shard is open");
    loop {
        let from = all.last().map_or(start, |(offset, _)| *offset + 1);
        let ok = match read(shard, partition, from, 10_000).await.expect("the shard is open") {
            Ok(ok) => ok,
            Err(ReadError::Unavailable(Unavailable::Storage)) => return Ok(None),
            Err(error) => panic!("a whole log is not readable at {from}: {error}"),
        };
        if from >= ok.high_watermark {
            return Ok(Some(all));
        }
        let records = decode(ok.records);
        if records.is_empty() {
            return Err(Broken::Hole { from, high_watermark: ok.high_watermark });
        }
        // The log may start inside its first batch.
        all.extend(records.into_iter().filter(|(offset, _)| *offset >= from));
    }
}

/// `None` when the shard is closed.
async fn log_start(shard: &Rc<Shard>, partition: TopicPartition) -> Option<Offset> {
    match shard.submit_local(Request::Describe(Some(vec![partition]))).await {
        Reply::Describe(described) => Some(described.first()?.log_start_offset),
        _ => None,
    }
}

/// Deletes some of a partition's oldest records.
pub async fn delete_records(shard: &Rc<Shard>, partition: TopicPartition, world: &RefCell<World>) {
    let Some(start) = log_start(shard, partition).await else { return };
    let before = start + world.borrow_mut().random.below(200) as i64;
    let part = DeleteRecordsPart { partition, before: Some(before) };
    // Whatever becomes of it, from now on they may be gone.
    let reply = shard.submit_local(Request::DeleteRecords(vec![part])).await;
    if matches!(reply, Reply::DeleteRecords(results) if results[0].is_ok()) {
        world.borrow_mut().checker(partition).delete(before);
    }
}
