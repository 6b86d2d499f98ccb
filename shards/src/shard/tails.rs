//! Memory that the written tails of all logs of a shard may keep: those not appended to for longest go first.

use crate::types::TopicPartition;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// Bytes per partition, and the order of their last appends.
///
/// The queue holds each partition once, at the place of some earlier append; a partition found stale at its head is
/// put back at its end. So an append costs one look-up and no reordering.
pub struct Tails {
    limit: usize,
    total: usize,
    tails: FxHashMap<TopicPartition, Tail>,
    queue: VecDeque<(TopicPartition, u64)>,
    clock: u64,
}

struct Tail {
    bytes: usize,
    appended: u64,
}

impl Tails {
    pub fn new(limit: usize) -> Self {
        Self { limit, total: 0, tails: FxHashMap::default(), queue: VecDeque::new(), clock: 0 }
    }

    /// Bytes of all of them.
    pub fn total(&self) -> usize {
        self.total
    }

    /// The partition was appended to; its tail now has that many bytes.
    pub fn appended(&mut self, partition: TopicPartition, bytes: usize) {
        self.clock += 1;
        let clock = self.clock;
        let tail = self.tails.entry(partition).or_insert_with(|| {
            self.queue.push_back((partition, clock));
            Tail { bytes: 0, appended: clock }
        });
        self.total = self.total - tail.bytes + bytes;
        *tail = Tail { bytes, appended: clock };
    }

    /// The tail has that many bytes now, for another reason than an append. One that had been evicted while it was not
    /// written counts again.
    pub fn changed(&mut self, partition: TopicPartition, bytes: usize) {
        match self.tails.get_mut(&partition) {
            Some(tail) => {
                self.total = self.total - tail.bytes + bytes;
                tail.bytes = bytes;
            }
            None if bytes > 0 => self.appended(partition, bytes),
            None => {}
        }
    }

    pub fn removed(&mut self, partition: TopicPartition) {
        if let Some(tail) = self.tails.remove(&partition) {
            self.total -= tail.bytes;
        }
    }

    /// Whose tail to evict next while the budget is exceeded; it leaves the order until its next append.
    pub fn victim(&mut self) -> Option<TopicPartition> {
        while self.total > self.limit {
            let (partition, queued) = self.queue.pop_front()?;
            match self.tails.get(&partition) {
                None => {}
                Some(tail) if tail.appended > queued => self.queue.push_back((partition, tail.appended)),
                Some(_) => {
                    let tail = self.tails.remove(&partition).expect("it was found above");
                    self.total -= tail.bytes;
                    return Some(partition);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{PartitionIndex, TopicId};

    fn partition(index: i32) -> TopicPartition {
        TopicPartition { topic: TopicId::default(), partition: PartitionIndex(index) }
    }

    #[test]
    fn the_tail_that_rested_longest_goes_first() {
        let mut tails = Tails::new(30);
        for index in 0..3 {
            tails.appended(partition(index), 10);
        }
        tails.appended(partition(0), 20);
        assert_eq!(tails.victim(), Some(partition(1)));
        assert_eq!(tails.victim(), None);
        assert_eq!(tails.total, 30);
    }

    #[test]
    fn an_evicted_tail_comes_back_with_its_next_append() {
        let mut tails = Tails::new(5);
        tails.appended(partition(0), 10);
        assert_eq!(tails.victim(), Some(partition(0)));
        assert_eq!(tails.total, 0);
        tails.appended(partition(0), 4);
        assert_eq!(tails.victim(), None);
        tails.appended(partition(0), 8);
        assert_eq!(tails.victim(), Some(partition(0)));
    }

    #[test]
    fn a_removed_partition_counts_no_more() {
        let mut tails = Tails::new(5);
        tails.appended(partition(0), 10);
        tails.removed(partition(0));
        assert_eq!((tails.victim(), tails.total), (None, 0));
    }
}
