//! How much a shard asks the disk for at the same time on behalf of readers of old data. Whoever waits for an acknowledgement
//! stands behind that in the disk's queue: when a journal's writes take much longer than they do alone it is halved, and it
//! grows slowly while they do not.

use super::limits::{
    PACE_FORGOTTEN, READERS_GONE, READS_IN_FLIGHT_MAX, READS_IN_FLIGHT_MIN, READS_IN_FLIGHT_STEP, WRITE_DELAY_MIN,
};
use crate::clock::Instant;
use std::time::Duration;

pub(super) struct ReadPace {
    bytes: usize,
    /// What a write takes while nobody reads, lately.
    alone: Duration,
    last_read: Option<Instant>,
    last_write: Option<Instant>,
    last_cut: Option<Instant>,
}

/// The weight of the past in what a write takes alone.
const LATELY: u32 = 16;

impl ReadPace {
    pub fn new() -> Self {
        Self { bytes: READS_IN_FLIGHT_MAX, alone: WRITE_DELAY_MIN, last_read: None, last_write: None, last_cut: None }
    }

    /// A read from disk ended.
    pub fn read(&mut self, now: Instant) {
        self.last_read = Some(now);
    }

    /// A write of the journal ended after so long, while reads are under way or not.
    pub fn wrote(&mut self, now: Instant, took: Duration, reading: bool) {
        self.last_write = Some(now);
        let beside_readers = reading || self.has_stood_behind_a_read(now, took);
        if !beside_readers {
            self.alone = (self.alone * (LATELY - 1) + took) / LATELY;
        }
        if took < self.alone * 2 + WRITE_DELAY_MIN {
            self.bytes = (self.bytes + READS_IN_FLIGHT_STEP).min(READS_IN_FLIGHT_MAX);
        } else if beside_readers && self.last_cut.is_none_or(|cut| now - cut >= took) {
            // Writes that waited for the same reads count once.
            self.last_cut = Some(now);
            self.bytes = (self.bytes / 2).max(READS_IN_FLIGHT_MIN);
        }
    }

    /// A read ended while the write was under way, or so shortly before that another one is about to follow.
    fn has_stood_behind_a_read(&self, now: Instant, took: Duration) -> bool {
        self.last_read.is_some_and(|read| now - read < took + READERS_GONE)
    }

    /// Bytes that may be in flight now.
    pub fn bytes(&self, now: Instant) -> usize {
        let is_in_the_way = self.last_write.is_some_and(|last| now - last < PACE_FORGOTTEN);
        if is_in_the_way { self.bytes } else { READS_IN_FLIGHT_MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_micros(300);
    const SLOW: Duration = Duration::from_millis(3);

    fn at(ms: u64) -> Instant {
        Instant::default() + Duration::from_millis(ms)
    }

    #[test]
    fn slow_writes_halve_it_down_to_the_least() {
        let mut pace = ReadPace::new();
        pace.wrote(at(10), SLOW, true);
        assert_eq!(pace.bytes(at(10)), READS_IN_FLIGHT_MAX / 2);
        for ms in 2..40 {
            pace.wrote(at(ms * 10), SLOW, true);
        }
        assert_eq!(pace.bytes(at(400)), READS_IN_FLIGHT_MIN);
    }

    #[test]
    fn writes_that_waited_together_count_once() {
        let mut pace = ReadPace::new();
        for _ in 0..5 {
            pace.wrote(at(10), SLOW, true);
        }
        assert_eq!(pace.bytes(at(10)), READS_IN_FLIGHT_MAX / 2);
    }

    #[test]
    fn fast_writes_let_it_grow_again() {
        let mut pace = ReadPace::new();
        pace.wrote(at(10), SLOW, true);
        pace.wrote(at(11), FAST, true);
        assert_eq!(pace.bytes(at(11)), READS_IN_FLIGHT_MAX / 2 + READS_IN_FLIGHT_STEP);
        (0..10_000).for_each(|_| pace.wrote(at(12), FAST, true));
        assert_eq!(pace.bytes(at(12)), READS_IN_FLIGHT_MAX);
    }

    #[test]
    fn what_is_slow_is_learnt_from_writes_without_readers() {
        let mut pace = ReadPace::new();
        (0..100).for_each(|ms| pace.wrote(at(ms), SLOW, false));
        pace.wrote(at(200), SLOW, true);
        assert_eq!(pace.bytes(at(200)), READS_IN_FLIGHT_MAX, "this disk is no faster");
        pace.wrote(at(210), SLOW * 3, true);
        assert_eq!(pace.bytes(at(210)), READS_IN_FLIGHT_MAX / 2);
    }

    #[test]
    fn a_write_that_began_shortly_after_a_read_was_beside_readers() {
        let mut pace = ReadPace::new();
        let begun = at(1000);
        pace.read(begun - READERS_GONE + Duration::from_millis(1));
        pace.wrote(begun + SLOW, SLOW, false);
        assert_eq!(pace.bytes(begun + SLOW), READS_IN_FLIGHT_MAX / 2);
    }

    #[test]
    fn a_write_that_began_long_after_a_read_was_alone() {
        let mut pace = ReadPace::new();
        let begun = at(1000);
        pace.read(begun - READERS_GONE);
        pace.wrote(begun + SLOW, SLOW, false);
        assert_eq!(pace.bytes(begun + SLOW), READS_IN_FLIGHT_MAX);
    }

    #[test]
    fn without_writes_there_is_nobody_to_give_way_to() {
        let mut pace = ReadPace::new();
        pace.wrote(at(10), SLOW, true);
        assert_eq!(pace.bytes(at(10) + PACE_FORGOTTEN), READS_IN_FLIGHT_MAX);
    }
}
