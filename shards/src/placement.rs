//! Which shard owns a partition.

use crate::types::{ShardId, TopicPartition};

/// Seeds the table of owners: the partitions of a topic lie on neighbouring shards, topics start at different ones.
///
/// Panics when `shards` is 0.
pub fn owner(partition: TopicPartition, shards: u16) -> ShardId {
    assert!(shards > 0, "a process has at least one shard");
    let (high, low) = partition.topic.0.as_u64_pair();
    let start = mix(high ^ low.rotate_left(32));
    let index = start.wrapping_add(partition.partition.0 as u64) % u64::from(shards);
    ShardId(u16::try_from(index).expect("a remainder of a u16 fits a u16"))
}

/// Spreads every input bit over the result (the finaliser of MurmurHash3).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{PartitionIndex, TopicId};
    use uuid::Uuid;

    fn partition(topic: u128, index: i32) -> TopicPartition {
        TopicPartition { topic: TopicId(Uuid::from_u128(topic)), partition: PartitionIndex(index) }
    }

    #[test]
    fn the_partitions_of_a_topic_spread_evenly() {
        for shards in 1..=8 {
            let mut counts = vec![0; usize::from(shards)];
            for index in 0..i32::from(shards) * 5 {
                counts[usize::from(owner(partition(77, index), shards).0)] += 1;
            }
            assert!(counts.iter().all(|count| *count == 5), "{shards} shards: {counts:?}");
        }
    }

    #[test]
    fn topics_of_one_partition_spread_over_the_shards() {
        let mut counts = [0u32; 4];
        for topic in 1..=4_000 {
            counts[usize::from(owner(partition(topic, 0), 4).0)] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }

    #[test]
    fn an_owner_never_changes_by_asking_again() {
        assert_eq!(owner(partition(9, 3), 7), owner(partition(9, 3), 7));
    }
}
