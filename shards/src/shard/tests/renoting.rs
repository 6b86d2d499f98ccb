//! Crash after crash: what one start found noted, the next one finds noted too.

use super::*;
use crate::journal::Leftovers;
use crate::log::Durability;
use crate::runtime::OpenMode;

const BATCH: usize = 1_000;

/// The shard as a broker starts it after a crash, partition 0 open.
async fn start(disk: &Disk) -> (Rc<Shard>, Arc<Leftovers>) {
    let dir = Directory::memory(disk);
    let leftovers = Arc::new(Leftovers::find(&dir).await.unwrap());
    let settings = Settings { noted_batch_bytes: 200, leftovers: vec![leftovers.clone()], ..settings(disk) };
    let shard = Shard::new(settings);
    let config = LogConfig { segment_bytes: 1 << 20, durability: Durability::Synced, ..LogConfig::default() };
    open(&shard, OpenPartition { config: Arc::new(config), ..open_partition(partition(0)) }).await.unwrap();
    (shard, leftovers)
}

fn settings(disk: &Disk) -> Settings {
    Settings::new(ShardId(0), vec![Directory::memory(disk)])
}

/// What follows once all logs are open.
async fn settle(disk: &Disk, shard: &Rc<Shard>, leftovers: &Arc<Leftovers>) {
    let dir = Directory::memory(disk);
    leftovers.sync(&dir).await.unwrap();
    assert!(matches!(shard.submit_local(Request::Synced(LogDirIndex(0))).await, Reply::Synced));
    leftovers.remove(&dir).await.unwrap();
}

fn end(shard: &Shard) -> Offset {
    shard.replica(partition(0)).unwrap().log().end_offset()
}

async fn notes(disk: &Disk) -> Vec<String> {
    let names = Directory::memory(disk).list().await.unwrap().into_iter().map(|entry| entry.name);
    names.filter(|name| name.starts_with(".odradek-notes-")).collect()
}

/// A byte in the middle of the log becomes another one: who reads it cuts the log there.
async fn damage(disk: &Disk) {
    let dir = Directory::memory(disk).open_dir("topic-0").await.unwrap();
    let name = "00000000000000000000.log";
    let file = dir.open_file(name, OpenMode::Write { create: false, synced: false }).await.unwrap();
    let bytes = file.read_at(4096, 4096).await.unwrap();
    let mut block = file.allocate(4096);
    block.copy_from_slice(&bytes);
    block[1_500] ^= 1;
    file.write_at(block, 4096).await.unwrap();
}

/// Twenty batches, written back and synced.
async fn fill_and_secure(shard: &Rc<Shard>) {
    for _ in 0..20 {
        append(shard, 0, BATCH).await.unwrap();
    }
    shard.secure(LogDirIndex(0), with_all_of_it(&shard.replicas())).await;
}

async fn crash(disk: &Disk, shard: Rc<Shard>) {
    drop(shard);
    disk.process_kill();
}

/// Each with where it ends.
fn with_all_of_it(replicas: &[Rc<Replica>]) -> Vec<(Rc<Replica>, Offset)> {
    replicas.iter().map(|replica| (replica.clone(), replica.log().stable_offset())).collect()
}

#[test]
fn notes_outlive_starts_that_follow_each_other() {
    simulate(31, async {
        let disk = Disk::new(31);
        let (shard, leftovers) = start(&disk).await;
        settle(&disk, &shard, &leftovers).await;
        fill_and_secure(&shard).await;
        // And noted.
        sleep(Duration::from_secs(1)).await;
        crash(&disk, shard).await;
        let mut before = notes(&disk).await;
        assert!(!before.is_empty());
        damage(&disk).await;
        for _ in 0..3 {
            let (shard, leftovers) = start(&disk).await;
            assert_eq!(end(&shard), Offset(20), "the damage lies where nothing is read");
            settle(&disk, &shard, &leftovers).await;
            assert_eq!(shard.replica(partition(0)).unwrap().log().bytes_to_scan(), 0);
            crash(&disk, shard).await;
            let after = notes(&disk).await;
            assert!(!after.is_empty() && before.iter().all(|name| !after.contains(name)), "{after:?}");
            before = after;
        }
    });
}

#[test]
fn what_comes_back_from_a_journal_is_noted_by_the_start_that_finds_it() {
    simulate(32, async {
        let disk = Disk::new(32);
        let (shard, leftovers) = start(&disk).await;
        settle(&disk, &shard, &leftovers).await;
        // From the second on it goes by way of the journal.
        for _ in 0..20 {
            append(&shard, 0, BATCH).await.unwrap();
            sleep(Duration::from_millis(20)).await;
        }
        crash(&disk, shard).await;
        let before = notes(&disk).await;
        let (shard, leftovers) = start(&disk).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(notes(&disk).await, before, "nothing is told before the file system is synced");
        settle(&disk, &shard, &leftovers).await;
        crash(&disk, shard).await;
        damage(&disk).await;
        let (shard, _) = start(&disk).await;
        assert_eq!(end(&shard), Offset(20));
    });
}

#[test]
fn notes_made_anew_go_with_their_partition() {
    simulate(33, async {
        let disk = Disk::new(33);
        let (shard, leftovers) = start(&disk).await;
        settle(&disk, &shard, &leftovers).await;
        fill_and_secure(&shard).await;
        crash(&disk, shard).await;
        let (shard, leftovers) = start(&disk).await;
        settle(&disk, &shard, &leftovers).await;
        change(&shard, PartitionChange::Delete { partition: partition(0) }).await.unwrap();
        assert!(shard.journals[0].notes.is_unneeded());
        assert_eq!(shard.journals[0].notes.pressed(), []);
    });
}

#[test]
fn what_is_found_waits_for_the_sync() {
    simulate(34, async {
        let disk = Disk::new(34);
        let (shard, _) = start(&disk).await;
        fill_and_secure(&shard).await;
        sleep(Duration::from_secs(1)).await;
        assert!(notes(&disk).await.is_empty());
    });
}
