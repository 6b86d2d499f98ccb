//! Keeps a hostile peer from filling the log: so many lines per interval, then a count of what was left out.

use odradek_shards::runtime::{self, Instant};
use std::cell::Cell;
use std::time::Duration;

const LINES_MAX: u32 = 10;
const INTERVAL: Duration = Duration::from_secs(10);

/// One per shard and kind of line.
#[derive(Debug, Default)]
pub struct LogLimit {
    since: Cell<Option<Instant>>,
    written: Cell<u32>,
    left_out: Cell<u64>,
}

impl LogLimit {
    /// `Some(n)` when a line may be written; `n` lines were left out since the last one.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(runtime::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let fresh = self.since.get().is_none_or(|since| now.saturating_since(since) >= INTERVAL);
        if fresh {
            self.since.set(Some(now));
            self.written.set(0);
        }
        if self.written.get() < LINES_MAX {
            self.written.set(self.written.get() + 1);
            return Some(self.left_out.take());
        }
        self.left_out.set(self.left_out.get() + 1);
        None
    }
}
