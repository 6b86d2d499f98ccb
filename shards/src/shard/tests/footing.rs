//! New partitions: when their directories become durable, and what a crash before that leaves.

use super::replaying::{OTHER, fill, make, of_topic, size, sizes, start};
use super::*;
use crate::log::partition_metadata;

async fn names(disk: &Disk) -> Vec<String> {
    Directory::memory(disk).list().await.unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn a_partition_is_made_without_a_sync() {
    simulate(61, async {
        let disk = Disk::new(61);
        let shard = new_shard(&disk);
        let before = disk.operations(Operation::Sync);
        for index in 0..10 {
            open(&shard, open_partition(partition(index))).await.unwrap();
        }
        assert_eq!(disk.operations(Operation::Sync), before);
        assert_eq!(names(&disk).await.len(), 10);
    });
}

#[test]
fn what_was_acknowledged_outlives_the_directory_of_its_partition() {
    let mut lost = 0;
    for seed in 0..20 {
        lost += simulate(seed, async move {
            let disk = Disk::new(seed);
            let shard = start(&disk, OTHER).await;
            fill(&shard, OTHER, 2, 50).await;
            make(&shard, 1).await;
            fill(&shard, 1, 9, 100).await;
            drop(shard);
            disk.power_cut();
            let is_lost = !names(&disk).await.contains(&"topic-0".into());
            let shard = start(&disk, 1).await;
            assert_eq!(sizes(&shard, 1).await, vec![size(100); 9], "seed {seed}");
            u32::from(is_lost)
        });
    }
    assert!(lost > 0, "a power cut takes the directory now and then");
}

/// A directory with batches of topic 1 and no topic id, as a power cut may leave it, and where topic 2 is to lie.
async fn nameless(disk: &Disk) {
    let shard = new_shard(disk);
    make(&shard, 1).await;
    fill(&shard, 1, 3, 100).await;
    shard.submit_local(Request::Shutdown).await;
    let dir = Directory::memory(disk).open_dir("topic-0").await.unwrap();
    dir.put_whole("partition.metadata", &[0; 30]).await.unwrap();
    assert!(partition_metadata::read_topic_id(&dir).await.unwrap().is_none());
}

#[test]
fn a_log_that_our_crash_left_without_a_topic_id_is_put_aside() {
    simulate(62, async {
        let disk = Disk::new(62);
        nameless(&disk).await;
        let shard = start(&disk, OTHER).await;
        fill(&shard, OTHER, 2, 50).await;
        drop(shard);
        disk.process_kill();
        let shard = start(&disk, 2).await;
        assert!(sizes(&shard, 2).await.is_empty());
        let strays = names(&disk).await.into_iter().filter(|name| name.ends_with("-stray")).count();
        assert_eq!(strays, 1);
    });
}

#[test]
fn a_log_without_a_topic_id_that_another_broker_left_is_served() {
    simulate(63, async {
        let disk = Disk::new(63);
        nameless(&disk).await;
        let shard = start(&disk, 2).await;
        assert_eq!(sizes(&shard, 2).await.len(), 3);
        let dir = Directory::memory(&disk).open_dir("topic-0").await.unwrap();
        assert_eq!(partition_metadata::read_topic_id(&dir).await.unwrap(), Some(Ok(of_topic(2).topic)));
    });
}
