//! Parked requests of one partition: appends until their records are replicated, fetches until there is more to read.

use super::input::{Ticket, WaitId};
use crate::types::{Offset, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// An append whose answer waits for the high watermark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParkedAppend {
    /// Answered when the high watermark is here or beyond.
    pub needs: Offset,
    pub ticket: Ticket,
    pub base: Offset,
    pub log_append_time: Timestamp,
}

/// Parked appends, ordered by what they need.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ParkedAppends {
    queue: VecDeque<ParkedAppend>,
}

impl ParkedAppends {
    pub fn park(&mut self, append: ParkedAppend) {
        let behind = self.queue.back().is_some_and(|last| last.needs > append.needs);
        if behind {
            // A duplicate of a batch that is itself still parked.
            let at = self.queue.partition_point(|parked| parked.needs <= append.needs);
            self.queue.insert(at, append);
        } else {
            self.queue.push_back(append);
        }
    }

    pub fn pop_covered(&mut self, high_watermark: Offset) -> Option<ParkedAppend> {
        self.queue.pop_front_if(|first| first.needs <= high_watermark)
    }

    pub fn pop_any(&mut self) -> Option<ParkedAppend> {
        self.queue.pop_front()
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }
}

/// Parked fetches, each having read everything below an offset.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ParkedFetches {
    from: BTreeMap<WaitId, Offset>,
}

impl ParkedFetches {
    pub fn park(&mut self, wait: WaitId, from: Offset) {
        self.from.insert(wait, from);
    }

    pub fn remove(&mut self, wait: WaitId) {
        self.from.remove(&wait);
    }

    /// Those that wait for records from below `offset` on.
    pub fn below(&self, offset: Offset) -> impl Iterator<Item = WaitId> {
        self.from.iter().filter(move |(_, from)| **from < offset).map(|(wait, _)| *wait)
    }

    pub fn remove_below(&mut self, offset: Offset) {
        self.from.retain(|_, from| *from >= offset);
    }

    pub fn len(&self) -> usize {
        self.from.len()
    }
}

/// Sizes of batches that cannot be read yet, to tell waiting fetches how many bytes became readable.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UnreadableBatches {
    batches: VecDeque<(Offset, u64)>,
}

impl UnreadableBatches {
    /// The batch that ends before `next` has `bytes` bytes.
    pub fn push(&mut self, next: Offset, bytes: u64) {
        self.batches.push_back((next, bytes));
    }

    /// Bytes of the batches that end at or below the high watermark; they are forgotten.
    pub fn take_below(&mut self, high_watermark: Offset) -> u64 {
        let mut bytes = 0;
        while let Some((_, size)) = self.batches.pop_front_if(|(next, _)| *next <= high_watermark) {
            bytes += size;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parked(ticket: u64, needs: i64) -> ParkedAppend {
        ParkedAppend {
            needs: Offset(needs),
            ticket: Ticket(ticket),
            base: Offset(needs - 1),
            log_append_time: Timestamp::NONE,
        }
    }

    #[test]
    fn a_duplicate_leaves_with_its_original_and_not_with_the_last() {
        let mut appends = ParkedAppends::default();
        for append in [parked(1, 5), parked(2, 9), parked(3, 5)] {
            appends.park(append);
        }
        assert_eq!(appends.pop_covered(Offset(5)).map(|append| append.ticket), Some(Ticket(1)));
        assert_eq!(appends.pop_covered(Offset(5)).map(|append| append.ticket), Some(Ticket(3)));
        assert_eq!(appends.pop_covered(Offset(8)), None);
        assert_eq!(appends.len(), 1);
    }

    #[test]
    fn bytes_become_readable_by_whole_batches() {
        let mut batches = UnreadableBatches::default();
        batches.push(Offset(3), 100);
        batches.push(Offset(5), 50);
        assert_eq!(batches.take_below(Offset(4)), 100);
        assert_eq!(batches.take_below(Offset(4)), 0);
        assert_eq!(batches.take_below(Offset(5)), 50);
    }
}
