use super::*;
use crate::error::{AppendError, ReadError};
use crate::handle::Shards;
use crate::limits::UNFIT_READS_MAX;
use crate::log::LogConfig;
use crate::mailbox::Mesh;
use crate::message::{
    Acks, AppendOk, AppendPart, AppendResult, AwaitId, AwaitRequest, Awaited, DeleteRecordsPart, EpochEnd,
    EpochEndPart, Isolation, ListOffsetsPart, LogDirIndex, OffsetQuery, OpenPartition, PartitionCheckpoint, ReadPart,
    ReadRequest, ReadResult,
};
use crate::placement;
use crate::record::{BatchBuilder, NewRecord, ValidBatch, batches};
use crate::runtime::memory::{Disk, Operation};
use crate::runtime::simulation::simulate;
use crate::runtime::{self, now, sleep, spawn};
use crate::types::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicId};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

fn partition(index: i32) -> TopicPartition {
    TopicPartition { topic: TopicId(Uuid::from_u128(7)), partition: PartitionIndex(index) }
}

fn new_shard(disk: &Disk) -> Rc<Shard> {
    Shard::new(Settings::new(ShardId(0), vec![Directory::memory(disk)]))
}

/// A shard with partitions 0 to `count`.
async fn shard_with(disk: &Disk, count: i32) -> Rc<Shard> {
    let shard = new_shard(disk);
    for index in 0..count {
        open(&shard, open_partition(partition(index))).await.unwrap();
    }
    shard
}

fn open_partition(partition: TopicPartition) -> OpenPartition {
    OpenPartition {
        partition,
        topic: "topic".into(),
        log_dir: LogDirIndex(0),
        config: Arc::new(LogConfig { segment_bytes: 64 << 10, ..LogConfig::default() }),
        leader_epoch: LeaderEpoch(3),
        clean: false,
        recovery_point: Offset::ZERO,
        log_start: Offset::ZERO,
        cleaned: Offset::ZERO,
        promote: None,
        future: None,
    }
}

async fn open(shard: &Rc<Shard>, open: OpenPartition) -> Result<(), crate::error::ChangeError> {
    change(shard, PartitionChange::Open(open)).await
}

async fn change(shard: &Rc<Shard>, change: PartitionChange) -> Result<(), crate::error::ChangeError> {
    match shard.submit_local(Request::Change(vec![change])).await {
        Reply::Change(mut results) => results.remove(0),
        other => panic!("{other:?}"),
    }
}

/// A batch of one record whose value has `bytes` bytes.
fn batch(bytes: usize) -> ValidBatch {
    let mut builder = BatchBuilder::new();
    let value = vec![b'v'; bytes];
    builder.append(&NewRecord { timestamp: Timestamp(1_000), key: None, value: Some(&value), headers: &[] });
    builder.build()
}

fn part(index: i32, batch: ValidBatch) -> AppendPart {
    AppendPart { partition: partition(index), batch, leader_epoch_expected: None, acks: Acks::All }
}

async fn append_all(shard: &Rc<Shard>, parts: Vec<AppendPart>) -> Vec<AppendResult> {
    match shard.submit_local(Request::Append { parts }).await {
        Reply::Append(results) => results,
        other => panic!("{other:?}"),
    }
}

async fn append(shard: &Rc<Shard>, index: i32, bytes: usize) -> AppendResult {
    append_all(shard, vec![part(index, batch(bytes))]).await.remove(0)
}

fn read_part(index: i32, from: i64, max_bytes: usize) -> ReadPart {
    ReadPart {
        partition: partition(index),
        from: Offset(from),
        max_bytes,
        current_leader_epoch: None,
        last_fetched_epoch: None,
        isolation: Isolation::ReadUncommitted,
    }
}

async fn read_all(shard: &Rc<Shard>, parts: Vec<ReadPart>, max_bytes: usize, min_one: bool) -> Vec<ReadResult> {
    match shard.submit_local(Request::Read(ReadRequest { parts, max_bytes, min_one })).await {
        Reply::Read(results) => results,
        other => panic!("{other:?}"),
    }
}

async fn read(shard: &Rc<Shard>, index: i32, from: i64) -> ReadResult {
    read_all(shard, vec![read_part(index, from, 1 << 20)], 1 << 20, true).await.remove(0)
}

/// Base offsets of the batches read.
fn offsets(result: &ReadResult) -> Vec<i64> {
    let records = result.as_ref().expect("the read succeeds").records.clone();
    batches(&records.into_bytes()).map(|batch| batch.expect("whole batches").header.base_offset.0).collect()
}

fn await_data(
    shard: &Rc<Shard>,
    parts: &[(i32, i64)],
    min_bytes: usize,
    millis: u64,
) -> impl Future<Output = Reply> + use<> {
    shard.submit_local(Request::AwaitData(AwaitRequest {
        id: AWAIT,
        parts: parts.iter().map(|(index, from)| (partition(*index), Offset(*from))).collect(),
        min_bytes,
        isolation: Isolation::ReadUncommitted,
        until: now() + Duration::from_millis(millis),
    }))
}

const AWAIT: AwaitId = AwaitId { origin: ShardId(0), number: 1 };

fn outcome(reply: Reply) -> Awaited {
    match reply {
        Reply::AwaitData(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_appended_is_read_back() {
    simulate(1, async {
        let shard = shard_with(&Disk::new(1), 1).await;
        for expected in 0..5 {
            let ok = append(&shard, 0, 100).await.unwrap();
            assert_eq!(ok.base_offset, Offset(expected));
        }
        let result = read(&shard, 0, 2).await;
        assert_eq!(offsets(&result), [2, 3, 4]);
        let ok = result.unwrap();
        assert_eq!((ok.high_watermark, ok.log_start_offset), (Offset(5), Offset(0)));
    });
}

#[test]
fn appends_of_one_origin_keep_their_order() {
    simulate(2, async {
        let shard = shard_with(&Disk::new(2), 1).await;
        let sent: Vec<_> = (0..20).map(|_| Request::Append { parts: vec![part(0, batch(10))] }).collect();
        let replies: Vec<_> = sent.into_iter().map(|request| shard.submit_local(request)).collect();
        for (expected, reply) in replies.into_iter().enumerate() {
            let Reply::Append(results) = reply.await else { panic!("an append is answered as one") };
            assert_eq!(results[0].unwrap().base_offset, Offset(expected as i64));
        }
    });
}

#[test]
fn an_append_of_several_parts_is_answered_in_their_order() {
    simulate(3, async {
        let shard = shard_with(&Disk::new(3), 2).await;
        let fenced = AppendPart { leader_epoch_expected: Some(LeaderEpoch(2)), ..part(0, batch(1)) };
        let results = append_all(&shard, vec![part(1, batch(1)), part(9, batch(1)), fenced, part(0, batch(1))]).await;
        let zero = AppendOk { base_offset: Offset(0), log_append_time: Timestamp::NONE, log_start_offset: Offset(0) };
        assert_eq!(
            results,
            [
                Ok(zero),
                Err(AppendError::Unavailable(Unavailable::UnknownPartition)),
                Err(AppendError::Unavailable(Unavailable::FencedLeaderEpoch)),
                Ok(zero)
            ]
        );
    });
}

#[test]
fn a_read_spends_its_bytes_in_the_order_of_its_parts() {
    simulate(4, async {
        let shard = shard_with(&Disk::new(4), 3).await;
        for index in [1, 1, 2] {
            append(&shard, index, 100).await.unwrap();
        }
        let size = batch(100).bytes.len();
        let parts = || (0..3).map(|index| read_part(index, 0, 1 << 20)).collect::<Vec<_>>();
        let results = read_all(&shard, parts(), 2 * size, false).await;
        assert_eq!(results.iter().map(offsets).collect::<Vec<_>>(), [vec![], vec![0, 1], vec![]]);
        let results = read_all(&shard, parts(), 1, true).await;
        assert_eq!(
            results.iter().map(offsets).collect::<Vec<_>>(),
            [vec![], vec![0], vec![]],
            "one batch, for the first"
        );
        let results = read_all(&shard, parts(), 1, false).await;
        assert!(results.iter().all(|result| offsets(result).is_empty()));
    });
}

#[test]
fn a_read_that_is_full_asks_the_disk_no_more() {
    simulate(4, async {
        let unfit = UNFIT_READS_MAX as i32;
        let shard = shard_with(&Disk::new(4), unfit + 4).await;
        let sizes = [100].into_iter().chain(vec![1000; UNFIT_READS_MAX]).chain([100, 100]);
        for (index, size) in sizes.enumerate() {
            append(&shard, index as i32, size).await.unwrap();
        }
        sleep(Duration::from_secs(10)).await;
        for replica in shard.replicas() {
            replica.log_mut().shrink_tail(0);
        }
        append(&shard, unfit + 3, 100).await.unwrap();
        let room = 4 * batch(100).bytes.len();
        let found = async |first: i32| {
            let parts = (first..unfit + 4).map(|index| read_part(index, 0, 1 << 20)).collect();
            let results = read_all(&shard, parts, room, false).await;
            results.iter().map(|result| offsets(result).len()).collect::<Vec<_>>()
        };
        assert_eq!(found(2).await, [0, 0, 0, 1, 1, 1], "what fits is found behind a few that do not");
        assert_eq!(found(0).await, [1, 0, 0, 0, 0, 0, 0, 1], "what is in memory costs nothing");
    });
}

#[test]
fn an_offset_past_the_end_is_out_of_range() {
    simulate(5, async {
        let shard = shard_with(&Disk::new(5), 1).await;
        append(&shard, 0, 1).await.unwrap();
        assert!(offsets(&read(&shard, 0, 1).await).is_empty());
        assert_eq!(read(&shard, 0, 2).await.unwrap_err(), ReadError::OffsetOutOfRange);
        assert_eq!(read(&shard, 0, -1).await.unwrap_err(), ReadError::OffsetOutOfRange);
    });
}

#[test]
fn a_reader_of_another_history_hears_where_it_ends() {
    simulate(6, async {
        let shard = shard_with(&Disk::new(6), 1).await;
        append(&shard, 0, 1).await.unwrap();
        change(&shard, PartitionChange::LeaderEpoch { partition: partition(0), epoch: LeaderEpoch(5) }).await.unwrap();
        append(&shard, 0, 1).await.unwrap();
        let part = ReadPart { last_fetched_epoch: Some(LeaderEpoch(4)), ..read_part(0, 2, 100) };
        let ok = read_all(&shard, vec![part], 100, true).await.remove(0).unwrap();
        assert_eq!(ok.diverging, Some(EpochEnd { leader_epoch: LeaderEpoch(3), end_offset: Offset(1) }));
        assert!(ok.records.is_empty());
        let stale = ReadPart { current_leader_epoch: Some(LeaderEpoch(3)), ..read_part(0, 0, 100) };
        let error = read_all(&shard, vec![stale], 100, true).await.remove(0).unwrap_err();
        assert_eq!(error, ReadError::Unavailable(Unavailable::FencedLeaderEpoch));
        let ask = EpochEndPart { partition: partition(0), current_leader_epoch: None, leader_epoch: LeaderEpoch(3) };
        let Reply::EpochEnd(ends) = shard.submit_local(Request::EpochEnd(vec![ask])).await else { panic!("no end") };
        assert_eq!(ends, [Ok(Some(EpochEnd { leader_epoch: LeaderEpoch(3), end_offset: Offset(1) }))]);
    });
}

#[test]
fn deleted_records_are_out_of_range() {
    simulate(13, async {
        let shard = shard_with(&Disk::new(13), 1).await;
        for _ in 0..4 {
            append(&shard, 0, 30_000).await.unwrap();
        }
        let delete = |before| {
            let parts = vec![DeleteRecordsPart { partition: partition(0), before }];
            let reply = shard.submit_local(Request::DeleteRecords(parts));
            async move {
                let Reply::DeleteRecords(mut results) = reply.await else { panic!("no result") };
                results.remove(0)
            }
        };
        assert_eq!(delete(Some(Offset(3))).await, Ok(Offset(3)));
        assert_eq!(read(&shard, 0, 2).await.unwrap_err(), ReadError::OffsetOutOfRange);
        assert_eq!(offsets(&read(&shard, 0, 3).await), [3]);
        assert_eq!(delete(Some(Offset(5))).await, Err(ReadError::OffsetOutOfRange));
        assert_eq!(delete(None).await, Ok(Offset(4)));
        sleep(Duration::from_secs(70)).await;
        assert_eq!(append(&shard, 0, 1).await.unwrap().base_offset, Offset(4));
        assert_eq!(shard.replica(partition(0)).unwrap().log().segment_count(), 1);
    });
}

#[test]
fn a_deleted_partition_is_unknown_and_its_files_go_later() {
    simulate(15, async {
        let disk = Disk::new(15);
        let shard = shard_with(&disk, 1).await;
        append(&shard, 0, 100).await.unwrap();
        let parked = await_data(&shard, &[(0, 1)], 1, 10_000);
        change(&shard, PartitionChange::Delete { partition: partition(0) }).await.unwrap();
        assert_eq!(outcome(parked.await), Awaited::Ready);
        let unknown = Unavailable::UnknownPartition;
        assert_eq!(append(&shard, 0, 100).await, Err(unknown.into()));
        let names = async || {
            let entries = Directory::memory(&disk).list().await.unwrap();
            entries.into_iter().map(|entry| entry.name).collect::<Vec<_>>()
        };
        let renamed = names().await;
        assert!(
            renamed.len() == 1 && renamed[0].starts_with("topic-0.") && renamed[0].ends_with("-delete"),
            "{renamed:?}"
        );
        sleep(Duration::from_secs(70)).await;
        assert!(names().await.is_empty());
    });
}

#[test]
fn a_directory_of_an_older_topic_is_put_aside() {
    simulate(16, async {
        let disk = Disk::new(16);
        let shard = shard_with(&disk, 1).await;
        append(&shard, 0, 100).await.unwrap();
        shard.submit_local(Request::Shutdown).await;
        let shard = new_shard(&disk);
        let recreated = TopicPartition { topic: TopicId(Uuid::from_u128(8)), ..partition(0) };
        open(&shard, open_partition(recreated)).await.unwrap();
        assert_eq!(shard.replica(recreated).unwrap().log().end_offset(), Offset(0));
        let entries = Directory::memory(&disk).list().await.unwrap();
        assert!(entries.iter().any(|entry| entry.name.ends_with("-stray")));
    });
}

#[test]
fn requests_for_a_partition_being_opened_hear_to_come_again() {
    simulate(17, async {
        let shard = new_shard(&Disk::new(17));
        let opening = shard.submit_local(Request::Change(vec![PartitionChange::Open(open_partition(partition(0)))]));
        assert_eq!(append(&shard, 0, 1).await, Err(Unavailable::NotReady.into()));
        opening.await;
        assert!(append(&shard, 0, 1).await.is_ok());
    });
}

#[test]
fn idle_files_are_trimmed_and_nothing_ticks_afterwards() {
    simulate(18, async {
        let disk = Disk::new(18);
        let shard = shard_with(&disk, 1).await;
        append(&shard, 0, 100).await.unwrap();
        sleep(Duration::from_secs(10)).await;
        let directory = Directory::memory(&disk).open_dir("topic-0").await.unwrap();
        let entries = directory.list().await.unwrap();
        let log = entries.iter().find(|entry| entry.name.ends_with(".log")).unwrap();
        assert_eq!(log.len, batch(100).bytes.len() as u64);
        assert!(!shard.sweeping.get() && shard.unswept.borrow().is_empty());
        assert_eq!(append(&shard, 0, 100).await.unwrap().base_offset, Offset(1));
        assert_eq!(offsets(&read(&shard, 0, 0).await), [0, 1]);
    });
}

#[test]
fn tails_that_exceed_their_budget_are_read_from_disk() {
    simulate(19, async {
        let disk = Disk::new(19);
        let settings = Settings { tail_bytes_max: 4_000, ..Settings::new(ShardId(0), vec![Directory::memory(&disk)]) };
        let shard = Shard::new(settings);
        for index in 0..4 {
            open(&shard, open_partition(partition(index))).await.unwrap();
            for _ in 0..3 {
                append(&shard, index, 1_000).await.unwrap();
            }
        }
        let held: usize = (0..4).map(|index| shard.replica(partition(index)).unwrap().log().tail_bytes()).sum();
        assert!(held <= 4_000, "{held} bytes are held");
        let parts = (0..4).map(|index| read_part(index, 0, 1 << 20)).collect();
        let results = read_all(&shard, parts, 1 << 20, true).await;
        assert!(results.iter().all(|result| offsets(result) == [0, 1, 2]));
    });
}

#[test]
fn shutdown_closes_logs_and_brings_their_offsets() {
    simulate(20, async {
        let disk = Disk::new(20);
        let shard = shard_with(&disk, 1).await;
        append(&shard, 0, 100).await.unwrap();
        let parked = await_data(&shard, &[(0, 1)], 1, 10_000);
        let under_way = shard.submit_local(Request::Append { parts: vec![part(0, batch(1))] });
        let Reply::Shutdown(checkpoints) = shard.submit_local(Request::Shutdown).await else {
            panic!("no checkpoints")
        };
        assert_eq!(outcome(parked.await), Awaited::Cancelled);
        assert!(matches!(under_way.await, Reply::Append(results) if results[0].is_ok()));
        assert!(matches!(shard.submit_local(Request::Checkpoint).await, Reply::Closed));
        let expected = PartitionCheckpoint {
            partition: partition(0),
            topic: "topic".into(),
            log_dir: LogDirIndex(0),
            recovery_point: Offset(2),
            log_start_offset: Offset(0),
            high_watermark: Offset(2),
            cleaned: None,
            sound: true,
        };
        assert_eq!(checkpoints, [expected]);
    });
}

#[test]
fn shards_ask_each_other_through_the_mesh() {
    simulate(21, async {
        let ports: Vec<_> = Mesh::new(2).into_iter().map(|berth| Rc::new(berth.attach())).collect();
        let disk = Disk::new(21);
        let handles: Vec<Shards> = ports
            .iter()
            .enumerate()
            .map(|(at, port)| {
                let settings = Settings::new(ShardId(at as u16), vec![Directory::memory(&disk)]);
                let shard = Shard::new(settings);
                runtime::spawn(shard.clone().serve(port.clone()));
                Shards::new(shard, port.clone(), 2)
            })
            .collect();
        let owner = placement::owner(partition(0), 2);
        let other = &handles[usize::from(1 - owner.0)];
        assert_eq!(other.owner(partition(0)), owner);
        other.ready().await;
        let opened =
            other.call(owner, Request::Change(vec![PartitionChange::Open(open_partition(partition(0)))])).await;
        assert!(matches!(opened, Reply::Change(results) if results == [Ok(())]));
        for handle in &handles {
            let appended = handle.call(owner, Request::Append { parts: vec![part(0, batch(1))] }).await;
            assert!(matches!(appended, Reply::Append(results) if results[0].is_ok()));
        }
        assert!(matches!(other.call(owner, Request::Shutdown).await, Reply::Shutdown(_)));
        drop(ports);
        drop(handles[usize::from(owner.0)].clone());
    });
}

mod compacting;
mod flushing;
mod footing;
mod listing;
mod moving;
mod offline;
mod renoting;
mod replaying;
mod retaining;
mod scrubbing;
mod waiting;
