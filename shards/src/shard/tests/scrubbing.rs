use super::*;
use crate::log::{CleanupPolicy, Damage};
use crate::message::{CleanerSettings, ScrubCounts};
use crate::runtime::OpenMode;

/// Of a value; seven batches of it fill a segment.
const VALUE: usize = 9_000;
const SECOND: &str = "00000000000000000007.log";

/// Rounds begin every five seconds.
fn scrubbing(disk: &Disk, bytes_per_second: f64) -> Rc<Shard> {
    let scrub = ScrubSettings { interval: Duration::from_secs(5), bytes_per_second };
    Shard::new(Settings { scrub, ..Settings::new(ShardId(0), vec![Directory::memory(disk)]) })
}

async fn filled(shard: &Rc<Shard>) {
    open(shard, open_partition(partition(0))).await.unwrap();
    for _ in 0..20 {
        append(shard, 0, VALUE).await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
}

fn size() -> usize {
    batch(VALUE).bytes.len()
}

/// What a disk does to a bit.
async fn flip(disk: &Disk, name: &str, position: usize) {
    let dir = Directory::memory(disk).open_dir("topic-0").await.unwrap();
    let file = dir.open_file(name, OpenMode::Write { create: false, synced: true }).await.unwrap();
    let block = position / 4096 * 4096;
    let mut buffer = file.allocate(4096);
    buffer.copy_from_slice(&file.read_at(block as u64, 4096).await.unwrap());
    buffer[position - block] ^= 4;
    file.write_at(buffer, block as u64).await.unwrap();
}

async fn damages(shard: &Rc<Shard>, from: i64) -> Vec<Damage> {
    let segment = shard.replica(partition(0)).unwrap().log().sealed_segment(Offset(from)).unwrap();
    segment.scrub(async |_| true).await.unwrap()
}

async fn delete_below(shard: &Rc<Shard>, before: i64) {
    let parts = vec![DeleteRecordsPart { partition: partition(0), before: Some(Offset(before)) }];
    assert!(
        matches!(shard.submit_local(Request::DeleteRecords(parts)).await, Reply::DeleteRecords(told) if told[0].is_ok())
    );
}

#[test]
fn a_flipped_bit_in_a_closed_segment_is_found_and_counted() {
    simulate(81, async {
        let disk = Disk::new(81);
        let shard = scrubbing(&disk, 1e9);
        filled(&shard).await;
        let position = 2 * size();
        flip(&disk, SECOND, position + 100).await;
        sleep(Duration::from_secs(5)).await;
        let bytes = 14 * size() as u64;
        assert_eq!(shard.metrics().await.scrub, ScrubCounts { rounds: 1, segments: 2, bytes, damages: 1 });
        let expected = Damage {
            file: SECOND.into(),
            position: position as u64,
            offset: Offset(9),
            what: "its checksum does not fit".into(),
            hides_the_rest: false,
        };
        assert_eq!((damages(&shard, 0).await, damages(&shard, 1).await), (vec![], vec![expected]));
        assert!(!shard.is_offline(LogDirIndex(0)));
        append(&shard, 0, 1).await.unwrap();
        sleep(Duration::from_secs(5)).await;
        assert_eq!(shard.metrics().await.scrub.damages, 2, "it is said in every round");
        assert_eq!(shard.metrics().await.partitions[0].damages, 1, "of the last look");
    });
}

#[test]
fn heads_that_lie_and_holes_are_damage_too() {
    for (at, what) in [(5, "begins with offset"), (8, ""), (16, "")] {
        simulate(82, async move {
            let disk = Disk::new(82);
            let shard = scrubbing(&disk, 1e9);
            filled(&shard).await;
            flip(&disk, SECOND, size() + at).await;
            let found = damages(&shard, 1).await;
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].position == size() as u64 && found[0].hides_the_rest && found[0].what.contains(what));
        });
    }
}

#[test]
fn a_disk_that_does_not_read_is_told_of_and_stays_online() {
    simulate(83, async {
        let disk = Disk::new(83);
        let shard = scrubbing(&disk, 1e9);
        filled(&shard).await;
        // By then the files are trimmed, and a round is about to begin.
        sleep(Duration::from_millis(3_700)).await;
        disk.fail(Operation::Read, 1);
        sleep(Duration::from_secs(1)).await;
        assert_eq!((shard.metrics().await.scrub.segments, shard.metrics().await.scrub.damages), (2, 1));
        append(&shard, 0, 1).await.unwrap();
    });
}

#[test]
fn what_is_deleted_while_it_is_read_is_no_finding() {
    simulate(84, async {
        let disk = Disk::new(84);
        // A segment takes half a minute.
        let shard = scrubbing(&disk, 2_000.0);
        filled(&shard).await;
        flip(&disk, "00000000000000000000.log", 6 * size() + 100).await;
        flip(&disk, SECOND, 6 * size() + 100).await;
        sleep(Duration::from_secs(5)).await;
        assert!(
            shard.metrics().await.scrub.bytes > 0 && shard.metrics().await.scrub.segments == 0,
            "the first is being read"
        );
        delete_below(&shard, 14).await;
        sleep(Duration::from_mins(3)).await;
        assert!(shard.metrics().await.scrub.rounds > 0 && shard.metrics().await.scrub.damages == 0);
    });
}

#[test]
fn what_the_cleaner_replaces_is_no_finding() {
    simulate(85, async {
        let disk = Disk::new(85);
        let scrub = ScrubSettings { interval: Duration::from_millis(10), bytes_per_second: 30_000.0 };
        let cleaner = CleanerSettings { backoff: Duration::from_millis(20), ..CleanerSettings::default() };
        let settings = Settings { scrub, cleaner, ..Settings::new(ShardId(0), vec![Directory::memory(&disk)]) };
        let shard = Shard::new(settings);
        let config = LogConfig {
            segment_bytes: 1_000,
            cleanup_policy: CleanupPolicy::COMPACT,
            min_cleanable_dirty_ratio: 0.01,
            ..LogConfig::default()
        };
        open(&shard, OpenPartition { config: Arc::new(config), ..open_partition(partition(0)) }).await.unwrap();
        for number in 0..1_000i64 {
            let mut builder = BatchBuilder::new();
            let (timestamp, key) = (runtime::wall_clock(), (number * 7 % 31).to_be_bytes());
            builder.append(&NewRecord { timestamp, key: Some(&key), value: Some(b"value"), headers: &[] });
            append_all(&shard, vec![part(0, builder.build())]).await.remove(0).unwrap();
            sleep(Duration::from_millis(2)).await;
        }
        assert!(shard.checkpoints()[0].cleaned.unwrap() > Offset(500));
        let counts = shard.metrics().await.scrub;
        assert!(counts.rounds > 0 && counts.segments > 20 && counts.damages == 0, "{counts:?}");
    });
}

#[test]
fn scrubbing_can_be_turned_off() {
    simulate(86, async {
        let scrub = ScrubSettings { interval: Duration::ZERO, ..ScrubSettings::default() };
        let disk = Disk::new(86);
        let shard = Shard::new(Settings { scrub, ..Settings::new(ShardId(0), vec![Directory::memory(&disk)]) });
        filled(&shard).await;
        sleep(Duration::from_hours(24 * 30)).await;
        assert_eq!(shard.metrics().await.scrub, ScrubCounts::default());
    });
}
