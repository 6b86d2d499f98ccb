use super::*;

fn with_flush_ms(index: i32, flush_ms: i64) -> OpenPartition {
    OpenPartition { config: written(flush_ms), ..open_partition(partition(index)) }
}

fn written(flush_ms: i64) -> Arc<LogConfig> {
    Arc::new(LogConfig { flush_ms, ..LogConfig::default() })
}

fn flushed(shard: &Rc<Shard>, index: i32) -> i64 {
    shard.replica(partition(index)).unwrap().log().flushed_offset().0
}

#[test]
fn what_is_older_than_flush_ms_is_synced() {
    simulate(71, async {
        let disk = Disk::new(71);
        let shard = new_shard(&disk);
        for (index, flush_ms) in [(0, 1_000), (1, i64::MAX), (2, 300)] {
            open(&shard, with_flush_ms(index, flush_ms)).await.unwrap();
            append(&shard, index, 100).await.unwrap();
        }
        sleep(Duration::from_millis(500)).await;
        assert_eq!([0, 1, 2].map(|index| flushed(&shard, index)), [0, 0, 1]);
        append(&shard, 0, 100).await.unwrap();
        append(&shard, 2, 100).await.unwrap();
        sleep(Duration::from_millis(700)).await;
        assert_eq!([0, 1, 2].map(|index| flushed(&shard, index)), [2, 0, 2]);
        disk.power_cut();
        let shard = new_shard(&disk);
        for index in [0, 2] {
            open(&shard, with_flush_ms(index, 1_000)).await.unwrap();
            assert_eq!(offsets(&read(&shard, index, 0).await), [0, 1]);
        }
    });
}

#[test]
fn a_changed_flush_ms_holds_for_what_waits() {
    simulate(72, async {
        let shard = new_shard(&Disk::new(72));
        open(&shard, with_flush_ms(0, 3_600_000)).await.unwrap();
        append(&shard, 0, 100).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(flushed(&shard, 0), 0);
        change(&shard, PartitionChange::Reconfigure { partition: partition(0), config: written(100) }).await.unwrap();
        sleep(Duration::from_millis(200)).await;
        assert_eq!(flushed(&shard, 0), 1);
    });
}

#[test]
fn a_log_that_is_appended_to_all_the_time_is_flushed_all_the_same() {
    simulate(73, async {
        let shard = new_shard(&Disk::new(73));
        open(&shard, with_flush_ms(0, 200)).await.unwrap();
        for appended in 1..200 {
            append(&shard, 0, 100).await.unwrap();
            sleep(Duration::from_millis(10)).await;
            let behind = appended - flushed(&shard, 0);
            assert!(behind <= 45, "{behind} records of 10 ms each are not synced");
        }
    });
}
