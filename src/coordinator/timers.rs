//! The deadlines of one coordinator: a heap that is touched when one comes nearer or falls due, not when one is put off.

use odradek_shards::clock::Instant;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;

/// Entries of the heap that mean nothing any more, before it is built anew.
const STALE_MAX: usize = 64;

/// At most one deadline per key.
#[derive(Debug)]
pub struct Timers<K> {
    deadlines: HashMap<K, Deadline>,
    /// For every deadline an entry at or before it; others are stale.
    queue: BinaryHeap<Reverse<(Instant, K)>>,
}

#[derive(Clone, Copy, Debug)]
struct Deadline {
    at: Instant,
    /// Of the entry in the queue.
    queued: Instant,
}

impl<K> Default for Timers<K>
where
    K: Ord,
{
    fn default() -> Self {
        Self { deadlines: HashMap::new(), queue: BinaryHeap::new() }
    }
}

impl<K: Ord + Hash + Clone> Timers<K> {
    /// Sets or moves the deadline of `key`.
    pub fn schedule(&mut self, key: K, at: Instant) {
        match self.deadlines.get_mut(&key) {
            Some(deadline) if deadline.queued <= at => deadline.at = at,
            Some(deadline) => {
                *deadline = Deadline { at, queued: at };
                self.push(at, key);
            }
            None => {
                self.deadlines.insert(key.clone(), Deadline { at, queued: at });
                self.push(at, key);
            }
        }
    }

    pub fn cancel(&mut self, key: &K) {
        self.deadlines.remove(key);
    }

    pub fn is_scheduled(&self, key: &K) -> bool {
        self.deadlines.contains_key(key)
    }

    /// Not later than the next deadline.
    pub fn next(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse((at, _))| *at)
    }

    /// A key whose deadline has passed; it has none any more.
    pub fn pop(&mut self, now: Instant) -> Option<K> {
        loop {
            let Reverse((at, _)) = self.queue.peek()?;
            if *at > now {
                return None;
            }
            let Reverse((at, key)) = self.queue.pop().expect("it was peeked at");
            let Some(deadline) = self.deadlines.get_mut(&key).filter(|deadline| deadline.queued == at) else {
                continue;
            };
            if deadline.at <= now {
                self.deadlines.remove(&key);
                return Some(key);
            }
            deadline.queued = deadline.at;
            self.queue.push(Reverse((deadline.at, key)));
        }
    }

    fn push(&mut self, at: Instant, key: K) {
        if self.queue.len() >= 2 * self.deadlines.len() + STALE_MAX {
            let live = self.deadlines.iter().filter(|(other, _)| **other != key);
            self.queue = live.map(|(key, deadline)| Reverse((deadline.queued, key.clone()))).collect();
        }
        self.queue.push(Reverse((at, key)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn deadlines_fall_due_in_their_order() {
        let mut timers = Timers::default();
        timers.schedule("b", at(20));
        timers.schedule("a", at(10));
        assert_eq!(timers.pop(at(9)), None);
        assert_eq!(timers.pop(at(20)), Some("a"));
        assert_eq!(timers.pop(at(20)), Some("b"));
        assert_eq!(timers.pop(at(99)), None);
    }

    #[test]
    fn one_put_off_does_not_fall_due_before() {
        let mut timers = Timers::default();
        timers.schedule("a", at(10));
        timers.schedule("a", at(30));
        assert_eq!(timers.pop(at(29)), None);
        assert_eq!(timers.next(), Some(at(30)));
        assert_eq!(timers.pop(at(30)), Some("a"));
    }

    #[test]
    fn one_brought_forward_falls_due_once() {
        let mut timers = Timers::default();
        timers.schedule("a", at(30));
        timers.schedule("a", at(10));
        assert_eq!(timers.pop(at(99)), Some("a"));
        assert_eq!(timers.pop(at(99)), None);
    }

    #[test]
    fn one_cancelled_never_falls_due() {
        let mut timers = Timers::default();
        timers.schedule("a", at(10));
        timers.cancel(&"a");
        assert_eq!(timers.pop(at(99)), None);
    }

    #[test]
    fn deadlines_set_and_cancelled_without_end_take_no_room() {
        let mut timers = Timers::default();
        timers.schedule(0, at(5));
        for turn in 0..10_000 {
            timers.schedule(1, at(1_000_000 - turn));
            timers.cancel(&1);
        }
        assert!(timers.queue.len() < 200);
        assert_eq!(timers.pop(at(10)), Some(0));
    }
}
