//! What one thread counts: requests, records, bytes, latencies and errors.

use crate::progress::Live;
use hdrhistogram::Histogram;
use odradek_protocol::error::ErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When counting starts and ends.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub from: Instant,
    pub until: Option<Instant>,
}

impl Window {
    fn holds(&self, now: Instant) -> bool {
        now >= self.from && self.until.is_none_or(|until| now < until)
    }
}

pub struct Recorder {
    window: Option<Window>,
    live: Arc<Live>,
    pub totals: Totals,
}

pub struct Totals {
    pub requests: u64,
    pub records: u64,
    /// Keys and values written, or batches read.
    pub bytes: u64,
    /// In nanoseconds.
    pub latency: Histogram<u64>,
    /// Answers that were errors, warm-up and drain included.
    pub errors: BTreeMap<i16, u64>,
    pub last: Option<Instant>,
}

impl Recorder {
    pub fn new(live: Arc<Live>) -> Self {
        Self { window: None, live, totals: Totals::new() }
    }

    pub fn begin(&mut self, window: Window) {
        self.window = Some(window);
    }

    /// A request was answered.
    pub fn request(&mut self, now: Instant, records: u64, bytes: u64) {
        self.live.add(records);
        if self.counts(now) {
            self.totals.requests += 1;
            self.totals.records += records;
            self.totals.bytes += bytes;
            self.totals.last = Some(now);
        }
    }

    /// Something that was due or sent at `since` is done now.
    pub fn latency(&mut self, now: Instant, since: Instant) {
        if self.counts(now) {
            self.totals.latency.saturating_record(now.saturating_duration_since(since).as_nanos() as u64);
        }
    }

    pub fn error(&mut self, code: i16) {
        *self.totals.errors.entry(code).or_default() += 1;
    }

    fn counts(&self, now: Instant) -> bool {
        self.window.is_some_and(|window| window.holds(now))
    }
}

impl Totals {
    pub fn new() -> Self {
        let longest = Duration::from_secs(600).as_nanos() as u64;
        let latency = Histogram::new_with_bounds(1, longest, 3).expect("the bounds are in order");
        Self { requests: 0, records: 0, bytes: 0, latency, errors: BTreeMap::new(), last: None }
    }

    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.records += other.records;
        self.bytes += other.bytes;
        self.latency.add(&other.latency).expect("both have the same bounds");
        for (code, count) in &other.errors {
            *self.errors.entry(*code).or_default() += count;
        }
        self.last = self.last.max(other.last);
    }

    /// `NAME xCOUNT` of each error.
    pub fn told_errors(&self) -> Vec<String> {
        self.errors.iter().map(|(code, count)| format!("{} x{count}", ErrorCode::from_code(*code))).collect()
    }
}
