//! When records are due at a fixed rate: a schedule that does not wait for the broker.

use std::time::{Duration, Instant};

/// One connection's share of the rate.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    start: Instant,
    interval: Duration,
    linger: Duration,
}

impl Pace {
    /// Connection `nth` of `connections` takes every so many-th record of `rate` a second.
    pub fn new(start: Instant, rate: f64, nth: u32, connections: u32, linger: Duration) -> Self {
        let between = Duration::from_secs_f64(1.0 / rate);
        Self { start: start + between * nth, interval: between * connections, linger }
    }

    pub fn due_at(&self, record: u64) -> Instant {
        self.start + Duration::from_nanos(self.interval.as_nanos() as u64 * record)
    }

    /// How many of the records from `next` on go out now: those due, once they fill a batch or have waited long enough.
    pub fn ready(&self, next: u64, batch_max: u32, now: Instant) -> u32 {
        let Some(elapsed) = now.checked_duration_since(self.due_at(next)) else { return 0 };
        let due = 1 + elapsed.as_nanos() / self.interval.as_nanos().max(1);
        let due = due.min(u128::from(batch_max)) as u32;
        if due == batch_max || elapsed >= self.linger { due } else { 0 }
    }

    /// When `ready` will next say more than 0.
    pub fn wake_at(&self, next: u64, batch_max: u32) -> Instant {
        let full = self.due_at(next + u64::from(batch_max) - 1);
        full.min(self.due_at(next) + self.linger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn records_are_due_at_the_rate_whatever_was_sent() {
        let start = Instant::now();
        let pace = Pace::new(start, 1_000.0, 0, 1, Duration::ZERO);
        assert_eq!(pace.ready(0, 10, start), 1);
        assert_eq!(pace.ready(1, 10, start), 0);
        assert_eq!(pace.ready(1, 10, start + 4 * MS), 4);
        assert_eq!(pace.ready(1, 3, start + 90 * MS), 3);
        assert_eq!(pace.wake_at(1, 10), start + MS);
    }

    #[test]
    fn linger_waits_for_a_full_batch_or_its_time() {
        let start = Instant::now();
        let pace = Pace::new(start, 1_000.0, 0, 1, 5 * MS);
        assert_eq!(pace.ready(0, 10, start + 4 * MS), 0);
        assert_eq!(pace.ready(0, 10, start + 5 * MS), 6);
        assert_eq!(pace.ready(0, 3, start + 2 * MS), 3);
        assert_eq!((pace.wake_at(0, 10), pace.wake_at(0, 3)), (start + 5 * MS, start + 2 * MS));
    }

    #[test]
    fn connections_take_turns() {
        let start = Instant::now();
        let second = Pace::new(start, 1_000.0, 1, 4, Duration::ZERO);
        assert_eq!((second.due_at(0), second.due_at(1)), (start + MS, start + 5 * MS));
    }
}
