use super::*;
use crate::log::Durability;
use crate::message::News;

const REFUSED: AppendResult = Err(AppendError::Unavailable(Unavailable::Storage));

/// A shard with a log directory on each disk: partition 0 lies in the first, 1 and 2 in the second.
async fn shard_on(disks: &[Disk; 2]) -> Rc<Shard> {
    let shard = Shard::new(Settings::new(ShardId(0), disks.iter().map(Directory::memory).collect()));
    for (index, log_dir) in [(0, 0), (1, 1), (2, 1)] {
        open(&shard, synced(index, log_dir)).await.unwrap();
    }
    shard
}

fn synced(index: i32, log_dir: u16) -> OpenPartition {
    let config = Arc::new(LogConfig { durability: Durability::Synced, ..LogConfig::default() });
    OpenPartition { log_dir: LogDirIndex(log_dir), config, ..open_partition(partition(index)) }
}

fn disks(seed: u64) -> [Disk; 2] {
    [Disk::new(seed), Disk::new(seed + 1)]
}

fn is_storage_error(result: &ReadResult) -> bool {
    matches!(result, Err(ReadError::Unavailable(Unavailable::Storage)))
}

async fn news(shard: &Rc<Shard>) -> (u16, String) {
    match shard.submit_local(Request::News).await {
        Reply::News(News::LogDirFailed { log_dir, cause }) => (log_dir.0, cause),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failed_write_takes_its_whole_directory_offline_and_no_other() {
    simulate(11, async {
        let disks = disks(11);
        let shard = shard_on(&disks).await;
        for index in 0..3 {
            append(&shard, index, 100).await.unwrap();
        }
        let told = shard.submit_local(Request::News);
        disks[1].fail(Operation::Write, 1);
        assert_eq!(append(&shard, 1, 100).await, REFUSED);
        assert_eq!(append(&shard, 2, 100).await, REFUSED, "another partition there");
        assert!(is_storage_error(&read(&shard, 1, 0).await) && is_storage_error(&read(&shard, 2, 0).await));
        append(&shard, 0, 100).await.unwrap();
        assert_eq!(offsets(&read(&shard, 0, 0).await), [0, 1]);
        assert!(matches!(told.await, Reply::News(News::LogDirFailed { log_dir: LogDirIndex(1), .. })));
        let later = shard.submit_local(Request::News);
        let Reply::Shutdown(checkpoints) = shard.submit_local(Request::Shutdown).await else {
            panic!("no checkpoints")
        };
        assert!(matches!(later.await, Reply::Closed), "it was said once");
        let sound = |index| checkpoints.iter().any(|c| c.partition == partition(index) && c.sound);
        assert!(sound(0) && !sound(1) && !sound(2));
    });
}

#[test]
fn what_was_acknowledged_is_there_when_the_directory_works_again() {
    simulate(12, async {
        let disks = disks(12);
        let shard = shard_on(&disks).await;
        let mut acknowledged = 0;
        for nth in 1..40 {
            if nth == 20 {
                disks[1].fail(Operation::Write, 1);
            }
            let results = append_all(&shard, vec![part(1, batch(100)), part(2, batch(200))]).await;
            // By then there is a journal.
            sleep(Duration::from_millis(50)).await;
            if results.contains(&REFUSED) {
                break;
            }
            acknowledged += 1;
        }
        assert_eq!(acknowledged, 19);
        shard.submit_local(Request::Shutdown).await;
        let mut leftovers = Vec::new();
        for disk in &disks {
            leftovers.push(Arc::new(Leftovers::find(&Directory::memory(disk)).await.unwrap()));
        }
        let settings =
            Settings { leftovers, ..Settings::new(ShardId(0), disks.iter().map(Directory::memory).collect()) };
        let shard = Shard::new(settings);
        for index in [1, 2] {
            open(&shard, synced(index, 1)).await.unwrap();
            assert!(offsets(&read(&shard, index, 0).await).len() >= acknowledged);
        }
        assert!(shard.readers.iter().all(|reader| reader.open_files() == 0), "removed files would take space for ever");
    });
}

#[test]
fn what_the_process_has_no_descriptors_for_waits_and_nothing_goes_offline() {
    for durability in [Durability::Synced, Durability::Written] {
        simulate(18, async {
            let disk = Disk::new(18);
            let shard = new_shard(&disk);
            let config = LogConfig { durability, segment_bytes: 64 << 10, ..LogConfig::default() };
            let config = Arc::new(config);
            open(&shard, OpenPartition { config, ..open_partition(partition(0)) }).await.unwrap();
            for _ in 0..4 {
                append(&shard, 0, 30_000).await.unwrap();
            }
            sleep(Duration::from_secs(10)).await;
            shard.replica(partition(0)).unwrap().log_mut().shrink_tail(0);
            disk.exhaust_descriptors(true);
            assert!(is_storage_error(&read(&shard, 0, 0).await));
            assert!(matches!(
                open(&shard, open_partition(partition(1))).await,
                Err(crate::error::ChangeError::Shortage(cause)) if cause.contains("RLIMIT_NOFILE")
            ));
            let appends: Vec<_> =
                (0..4).map(|_| shard.submit_local(Request::Append { parts: vec![part(0, batch(60_000))] })).collect();
            sleep(Duration::from_secs(5)).await;
            assert!(!shard.is_offline(LogDirIndex(0)));
            assert!(shard.replica(partition(0)).unwrap().log().written_offset() < Offset(8), "it needs new files");
            disk.exhaust_descriptors(false);
            for appended in appends {
                assert!(matches!(appended.await, Reply::Append(results) if results[0].is_ok()));
            }
            sleep(Duration::from_secs(10)).await;
            assert_eq!(offsets(&read_far(&shard, 0, 0).await), [0, 1, 2, 3, 4, 5, 6, 7]);
            let Reply::Shutdown(checkpoints) = shard.submit_local(Request::Shutdown).await else {
                panic!("no checkpoints")
            };
            assert!(checkpoints.iter().all(|c| c.sound == (c.partition == partition(0))));
        });
    }
}

#[test]
fn a_segment_is_sealed_when_there_are_descriptors_again() {
    simulate(19, async {
        let disk = Disk::new(19);
        let shard = shard_with(&disk, 1).await;
        append(&shard, 0, 1_000).await.unwrap();
        let mut exhausted = false;
        for at in 0..400 {
            let appended = shard.submit_local(Request::Append { parts: vec![part(0, batch(9_000))] });
            sleep(Duration::from_millis(1 + at % 7)).await;
            exhausted = !exhausted && at % 3 == 0;
            disk.exhaust_descriptors(exhausted);
            sleep(Duration::from_millis(at % 5)).await;
            drop(appended);
        }
        disk.exhaust_descriptors(false);
        sleep(Duration::from_secs(10)).await;
        assert!(!shard.is_offline(LogDirIndex(0)));
        assert!(shard.replica(partition(0)).unwrap().log().is_tidy());
        let Reply::Shutdown(checkpoints) = shard.submit_local(Request::Shutdown).await else {
            panic!("no checkpoints")
        };
        assert!(checkpoints[0].sound && checkpoints[0].recovery_point == Offset(401));
        let shard = new_shard(&disk);
        open(&shard, OpenPartition { clean: true, ..open_partition(partition(0)) }).await.unwrap();
        let mut next = 0;
        while next < 401 {
            let read = offsets(&read(&shard, 0, next).await);
            assert_eq!(read, (next..next + read.len() as i64).collect::<Vec<_>>());
            next += read.len() as i64;
        }
    });
}

/// Everything from there on, however many segments it takes.
async fn read_far(shard: &Rc<Shard>, index: i32, from: i64) -> ReadResult {
    let mut pieces = Vec::new();
    let mut next = from;
    loop {
        let result = read(shard, index, next).await;
        let Some(last) = offsets(&result).last().copied() else { break };
        pieces.extend_from_slice(&result.unwrap().records.into_bytes());
        next = last + 1;
    }
    let mut ok = read(shard, index, next).await.unwrap();
    ok.records = crate::log::Records::from(bytes::Bytes::from(pieces));
    Ok(ok)
}

#[test]
fn a_directory_that_failed_on_another_shard_is_offline_here_too() {
    simulate(13, async {
        let shard = shard_on(&disks(13)).await;
        let parked = await_data(&shard, &[(1, 0)], 1, 60_000);
        let start = now();
        assert!(matches!(shard.submit_local(Request::FailLogDir(LogDirIndex(1))).await, Reply::FailLogDir));
        assert_eq!((outcome(parked.await), now()), (Awaited::Ready, start), "who waits is told to look again");
        assert_eq!(append(&shard, 1, 100).await, REFUSED);
        let open_there = OpenPartition { log_dir: LogDirIndex(1), ..open_partition(partition(3)) };
        assert!(open(&shard, open_there).await.is_err());
        assert_eq!(append(&shard, 3, 100).await, REFUSED);
        assert!(append(&shard, 0, 100).await.is_ok());
    });
}

#[test]
fn a_failed_read_takes_the_directory_offline() {
    simulate(14, async {
        let disks = disks(14);
        let shard = shard_on(&disks).await;
        for _ in 0..4 {
            append(&shard, 1, 30_000).await.unwrap();
        }
        sleep(Duration::from_secs(10)).await;
        shard.replica(partition(1)).unwrap().log_mut().shrink_tail(0);
        disks[1].fail(Operation::Read, 1);
        assert!(is_storage_error(&read(&shard, 1, 0).await));
        assert_eq!(append(&shard, 2, 100).await, REFUSED);
        assert_eq!(news(&shard).await.0, 1);
    });
}

#[test]
fn a_full_disk_is_offline_and_keeps_what_it_has() {
    simulate(15, async {
        let disks = disks(15);
        let shard = shard_on(&disks).await;
        append(&shard, 1, 100).await.unwrap();
        disks[1].limit_space(Some(1));
        let mut kept = 1;
        while append(&shard, 1, 10_000).await.is_ok() {
            kept += 1;
            assert!(kept < 1_000, "a full disk refuses some time");
        }
        let (log_dir, cause) = news(&shard).await;
        assert!(log_dir == 1 && cause.contains("no space left"), "{cause}");
        assert!(is_storage_error(&read(&shard, 1, 0).await));
        assert!(append(&shard, 0, 100).await.is_ok());
    });
}

#[test]
fn a_log_that_does_not_open_for_its_disk_takes_the_directory_offline() {
    simulate(16, async {
        let disks = disks(16);
        let shard = shard_on(&disks).await;
        disks[1].fail(Operation::Change, 1);
        let open_there = OpenPartition { log_dir: LogDirIndex(1), ..open_partition(partition(3)) };
        assert!(open(&shard, open_there).await.is_err());
        assert_eq!(append(&shard, 1, 100).await, REFUSED);
    });
}

#[test]
fn a_partition_whose_directory_cannot_be_used_answers_so() {
    simulate(17, async {
        let shard = new_shard(&Disk::new(17));
        change(&shard, PartitionChange::Absent { partition: partition(0) }).await.unwrap();
        assert_eq!(append(&shard, 0, 100).await, REFUSED);
        change(&shard, PartitionChange::Delete { partition: partition(0) }).await.unwrap();
    });
}
