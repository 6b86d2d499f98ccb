use super::*;
use crate::log::CleanupPolicy;
use crate::message::CleanerSettings;

fn cleaning(disk: &Disk) -> Rc<Shard> {
    let settings = Settings::new(ShardId(0), vec![Directory::memory(disk)]);
    let cleaner = CleanerSettings { backoff: Duration::from_secs(1), ..CleanerSettings::default() };
    Shard::new(Settings { cleaner, ..settings })
}

async fn open_compacted(shard: &Rc<Shard>) {
    let config = LogConfig { segment_bytes: 300, cleanup_policy: CleanupPolicy::COMPACT, ..LogConfig::default() };
    open(shard, OpenPartition { config: Arc::new(config), ..open_partition(partition(0)) }).await.unwrap();
}

async fn put(shard: &Rc<Shard>, key: &str) {
    let mut builder = BatchBuilder::new();
    let timestamp = runtime::wall_clock();
    builder.append(&NewRecord { timestamp, key: Some(key.as_bytes()), value: Some(b"v"), headers: &[] });
    append_all(shard, vec![part(0, builder.build())]).await.remove(0).unwrap();
}

async fn first(shard: &Rc<Shard>) -> i64 {
    shard.replica(partition(0)).unwrap().log_mut().shrink_tail(0);
    offsets(&read(shard, 0, 0).await)[0]
}

#[test]
fn a_dirty_log_is_compacted_by_itself_and_its_checkpoint_says_so() {
    simulate(41, async {
        let disk = Disk::new(41);
        let shard = cleaning(&disk);
        open_compacted(&shard).await;
        for _ in 0..40 {
            put(&shard, "a").await;
        }
        assert_eq!(first(&shard).await, 0);
        sleep(Duration::from_secs(5)).await;
        assert!(first(&shard).await > 0);
        let cleaned = shard.checkpoints()[0].cleaned.unwrap();
        assert!(cleaned > Offset(30));
        assert!(matches!(shard.submit_local(Request::Shutdown).await, Reply::Shutdown(told) if told[0].sound));
    });
}

#[test]
fn a_log_that_cannot_be_compacted_is_tried_again_later() {
    simulate(42, async {
        let disk = Disk::new(42);
        let shard = cleaning(&disk);
        open_compacted(&shard).await;
        for _ in 0..40 {
            put(&shard, "a").await;
        }
        sleep(Duration::from_millis(500)).await;
        disk.fail(Operation::Read, 2);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(shard.checkpoints()[0].cleaned, Some(Offset(0)));
        let quarantined = shard.metrics().await.partitions[0].quarantine.clone().unwrap();
        assert!(!quarantined.reason.is_empty() && quarantined.dirty_bytes > 0, "{quarantined:?}");
        put(&shard, "b").await;
        sleep(Duration::from_secs(120)).await;
        assert!(shard.checkpoints()[0].cleaned > Some(Offset(30)), "it was not forgotten");
        let told = shard.metrics().await;
        assert_eq!(told.partitions[0].quarantine, None);
        assert_eq!((told.cleaner.failures, told.cleaner.logs > 0), (1, true));
    });
}

#[test]
fn a_shard_that_is_told_not_to_clean_does_not() {
    simulate(43, async {
        let shard = cleaning(&Disk::new(43));
        let off = CleanerSettings { enabled: false, ..CleanerSettings::default() };
        assert!(matches!(shard.submit_local(Request::Cleaner(off)).await, Reply::Cleaner));
        open_compacted(&shard).await;
        for _ in 0..40 {
            put(&shard, "a").await;
        }
        sleep(Duration::from_secs(60)).await;
        assert_eq!(first(&shard).await, 0);
        let on = CleanerSettings::default();
        assert!(matches!(shard.submit_local(Request::Cleaner(on)).await, Reply::Cleaner));
        sleep(Duration::from_secs(60)).await;
        assert!(first(&shard).await > 0);
    });
}

#[test]
fn a_topic_deleted_while_it_is_compacted_goes_in_order() {
    for millis in 995..1020 {
        simulate(44, async {
            let disk = Disk::new(44);
            let shard = cleaning(&disk);
            open_compacted(&shard).await;
            for _ in 0..40 {
                put(&shard, "a").await;
            }
            sleep(Duration::from_millis(millis)).await;
            change(&shard, PartitionChange::Delete { partition: partition(0) }).await.unwrap();
            sleep(Duration::from_secs(70)).await;
            assert_eq!(Directory::memory(&disk).list().await.unwrap(), []);
        });
    }
}
