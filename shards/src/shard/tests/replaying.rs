//! What a start takes back from journals, and what it passes over.

use super::*;
use crate::journal::Leftovers;
use crate::log::Durability;

/// The journal begins with it.
pub const OTHER: u128 = 9;

pub fn of_topic(topic: u128) -> TopicPartition {
    TopicPartition { topic: TopicId(Uuid::from_u128(topic)), partition: PartitionIndex(0) }
}

/// The shard as a broker starts it after a crash. All topics but one have the same name.
pub async fn start(disk: &Disk, topic: u128) -> Rc<Shard> {
    let dir = Directory::memory(disk);
    let leftovers = Arc::new(Leftovers::find(&dir).await.unwrap());
    let shard =
        Shard::new(Settings { leftovers: vec![leftovers.clone()], ..Settings::new(ShardId(0), vec![dir.clone()]) });
    make(&shard, topic).await;
    leftovers.sync(&dir).await.unwrap();
    shard.submit_local(Request::Synced(LogDirIndex(0))).await;
    leftovers.remove(&dir).await.unwrap();
    shard
}

pub async fn make(shard: &Rc<Shard>, topic: u128) {
    let config = LogConfig { segment_bytes: 1 << 20, durability: Durability::Synced, ..LogConfig::default() };
    let name = if topic == OTHER { "other" } else { "topic" };
    let topic = OpenPartition { topic: name.into(), config: Arc::new(config), ..open_partition(of_topic(topic)) };
    open(shard, topic).await.unwrap();
}

/// Appends so many batches of so many bytes. Once there is a journal all of them go there, the first of a log too.
pub async fn fill(shard: &Rc<Shard>, topic: u128, batches: usize, bytes: usize) {
    for _ in 0..batches {
        let part = AppendPart { partition: of_topic(topic), ..part(0, batch(bytes)) };
        append_all(shard, vec![part]).await.remove(0).unwrap();
        sleep(Duration::from_millis(5)).await;
    }
}

/// Topic 1, in a journal that begins with the other one.
async fn start_and_fill(disk: &Disk) -> Rc<Shard> {
    let shard = start(disk, OTHER).await;
    fill(&shard, OTHER, 2, 50).await;
    make(&shard, 1).await;
    fill(&shard, 1, 9, 100).await;
    shard
}

/// The sizes of the batches that are there.
pub async fn sizes(shard: &Rc<Shard>, topic: u128) -> Vec<usize> {
    let part = ReadPart { partition: of_topic(topic), ..read_part(0, 0, 1 << 20) };
    let records = read_all(shard, vec![part], 1 << 20, true).await.remove(0).unwrap().records.into_bytes();
    batches(&records).map(|batch| batch.unwrap().header.size()).collect()
}

pub fn size(bytes: usize) -> usize {
    batch(bytes).bytes.len()
}

#[test]
fn entries_of_a_deleted_topic_do_not_come_to_one_of_the_same_name() {
    simulate(41, async {
        let disk = Disk::new(41);
        let shard = start_and_fill(&disk).await;
        change(&shard, PartitionChange::Delete { partition: of_topic(1) }).await.unwrap();
        make(&shard, 2).await;
        fill(&shard, 2, 3, 200).await;
        drop(shard);
        disk.process_kill();
        let leftovers = Leftovers::find(&Directory::memory(&disk)).await.unwrap();
        assert!([1, 2].iter().all(|topic| leftovers.of(of_topic(*topic))[0].from == Offset(0)), "one journal has both");
        let shard = start(&disk, 2).await;
        assert_eq!(sizes(&shard, 2).await, vec![size(200); 3]);
        // It would fit the end of that log, too.
        fill(&shard, 2, 1, 300).await;
        assert_eq!(sizes(&shard, 2).await[3..], [size(300)]);
    });
}

#[test]
fn what_one_start_left_does_not_come_to_light_at_a_later_one() {
    simulate(42, async {
        let disk = Disk::new(42);
        let shard = start_and_fill(&disk).await;
        drop(shard);
        disk.process_kill();
        // What journals have of topic 1 finds no log at this start, and fits the one that is made after it.
        let shard = start(&disk, 2).await;
        change(&shard, PartitionChange::Delete { partition: of_topic(2) }).await.unwrap();
        make(&shard, 1).await;
        fill(&shard, 1, 1, 400).await;
        drop(shard);
        disk.process_kill();
        let shard = start(&disk, 1).await;
        assert_eq!(sizes(&shard, 1).await, [size(400)], "entries of a run before the last are gone");
    });
}
