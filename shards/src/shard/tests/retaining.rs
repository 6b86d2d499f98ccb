use super::*;
use crate::log::Durability;

fn keeping(disk: &Disk) -> Rc<Shard> {
    let settings = Settings::new(ShardId(0), vec![Directory::memory(disk)]);
    let (retention_check, retention_first_check) = (Duration::from_secs(10), Duration::from_secs(10));
    Shard::new(Settings { retention_check, retention_first_check, ..settings })
}

fn batch_now() -> ValidBatch {
    let mut builder = BatchBuilder::new();
    let value = vec![b'v'; 30_000];
    let timestamp = runtime::wall_clock();
    builder.append(&NewRecord { timestamp, key: None, value: Some(&value), headers: &[] });
    builder.build()
}

async fn open_with(shard: &Rc<Shard>, config: LogConfig) {
    let config = Arc::new(LogConfig { segment_bytes: 64 << 10, file_delete_delay_ms: 20_000, ..config });
    open(shard, OpenPartition { config, ..open_partition(partition(0)) }).await.unwrap();
}

fn start_of(shard: &Rc<Shard>) -> i64 {
    shard.replica(partition(0)).unwrap().describe().log_start_offset.0
}

async fn files(disk: &Disk) -> Vec<String> {
    let dir = Directory::memory(disk).open_dir("topic-0").await.unwrap();
    dir.list().await.unwrap().into_iter().map(|entry| entry.name).filter(|name| name.contains(".log")).collect()
}

#[test]
fn old_segments_go_and_their_files_a_while_later() {
    simulate(31, async {
        let disk = Disk::new(31);
        let shard = keeping(&disk);
        open_with(&shard, LogConfig { retention_ms: 60_000, ..LogConfig::default() }).await;
        for _ in 0..30 {
            append_all(&shard, vec![part(0, batch_now())]).await.remove(0).unwrap();
        }
        sleep(Duration::from_secs(55)).await;
        assert_eq!(start_of(&shard), 0);
        append_all(&shard, vec![part(0, batch_now())]).await.remove(0).unwrap();
        sleep(Duration::from_secs(16)).await;
        assert_eq!(start_of(&shard), 30, "more segments than one deletion takes");
        assert_eq!(read(&shard, 0, 29).await.unwrap_err(), ReadError::OffsetOutOfRange);
        assert_eq!(offsets(&read(&shard, 0, 30).await), [30]);
        assert_eq!(shard.checkpoints()[0].log_start_offset, Offset(30));
        assert!(files(&disk).await.iter().filter(|name| name.ends_with(".deleted")).count() > 8);
        sleep(Duration::from_secs(25)).await;
        assert_eq!(files(&disk).await, ["00000000000000000030.log"]);
    });
}

#[test]
fn what_is_due_first_goes_first() {
    simulate(35, async {
        let disk = Disk::new(35);
        let shard = shard_with(&disk, 0).await;
        for (index, file_delete_delay_ms) in [(0, 60_000), (1, 1_000)] {
            let config = Arc::new(LogConfig { file_delete_delay_ms, ..LogConfig::default() });
            open(&shard, OpenPartition { config, ..open_partition(partition(index)) }).await.unwrap();
            change(&shard, PartitionChange::Delete { partition: partition(index) }).await.unwrap();
        }
        let left = async || Directory::memory(&disk).list().await.unwrap().len();
        sleep(Duration::from_millis(500)).await;
        assert_eq!(left().await, 2);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(left().await, 1);
        sleep(Duration::from_mins(1)).await;
        assert_eq!(left().await, 0);
    });
}

#[test]
fn what_a_stop_left_to_be_removed_goes_after_the_next_start() {
    simulate(36, async {
        let disk = Disk::new(36);
        let shard = keeping(&disk);
        open_with(&shard, LogConfig { retention_ms: 60_000, ..LogConfig::default() }).await;
        for _ in 0..30 {
            append_all(&shard, vec![part(0, batch_now())]).await.remove(0).unwrap();
        }
        sleep(Duration::from_secs(71)).await;
        shard.submit_local(Request::Shutdown).await;
        let deleted = async || files(&disk).await.iter().filter(|name| name.ends_with(".deleted")).count();
        assert!(deleted().await > 8);
        let shard = keeping(&disk);
        open_with(&shard, LogConfig::default()).await;
        assert!(deleted().await > 8, "a start does not wait for it");
        sleep(Duration::from_secs(10)).await;
        assert_eq!(deleted().await, 0);
        assert_eq!(start_of(&shard), 30);
    });
}

#[test]
fn a_start_leaves_old_segments_alone_for_a_while() {
    simulate(34, async {
        let disk = Disk::new(34);
        let settings = Settings::new(ShardId(0), vec![Directory::memory(&disk)]);
        let shard = Shard::new(Settings { retention_check: Duration::from_secs(1), ..settings });
        open_with(&shard, LogConfig { retention_ms: 5000, ..LogConfig::default() }).await;
        append_all(&shard, vec![part(0, batch_now())]).await.remove(0).unwrap();
        sleep(Duration::from_secs(29)).await;
        assert_eq!(start_of(&shard), 0);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(start_of(&shard), 1);
    });
}

#[test]
fn all_of_an_idle_log_goes_and_its_end_stays() {
    simulate(32, async {
        let disk = Disk::new(32);
        let shard = keeping(&disk);
        open_with(&shard, LogConfig { retention_ms: 60_000, ..LogConfig::default() }).await;
        append_all(&shard, vec![part(0, batch_now())]).await.remove(0).unwrap();
        sleep(Duration::from_secs(120)).await;
        assert_eq!(start_of(&shard), 1);
        assert_eq!(files(&disk).await, ["00000000000000000001.log"]);
        assert_eq!(append(&shard, 0, 1).await.unwrap().base_offset, Offset(1));
    });
}

#[test]
fn as_many_bytes_stay_as_the_topic_keeps() {
    simulate(33, async {
        let shard = keeping(&Disk::new(33));
        let config = LogConfig { retention_ms: -1, retention_bytes: 100_000, ..LogConfig::default() };
        open_with(&shard, config).await;
        for _ in 0..10 {
            append(&shard, 0, 30_000).await.unwrap();
        }
        sleep(Duration::from_secs(15)).await;
        assert_eq!(start_of(&shard), 6);
        let size = shard.replica(partition(0)).unwrap().log().size();
        assert!((100_000..130_000).contains(&size), "{size}");
    });
}

#[test]
fn all_records_go_although_the_last_of_them_are_not_synced_yet() {
    simulate(33, async {
        let shard = new_shard(&Disk::new(33));
        let config = Arc::new(LogConfig { durability: Durability::Synced, ..LogConfig::default() });
        open(&shard, OpenPartition { config, ..open_partition(partition(0)) }).await.unwrap();
        for _ in 0..20 {
            append(&shard, 0, 1_000).await.unwrap();
        }
        // Long enough to be brought from the journal to the segment.
        sleep(Duration::from_secs(10)).await;
        let parts = vec![DeleteRecordsPart { partition: partition(0), before: None }];
        shard.submit_local(Request::DeleteRecords(parts)).await;
        sleep(Duration::from_mins(2)).await;
        assert_eq!(append(&shard, 0, 1_000).await.unwrap().base_offset, Offset(20));
    });
}
