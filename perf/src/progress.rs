//! The run while it runs: its stop sign, and a bar when a person is watching.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Shared by all threads of a run.
#[derive(Default)]
pub struct Live {
    stop: AtomicBool,
    records: AtomicU64,
}

impl Live {
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub fn add(&self, records: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
    }

    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }
}

/// A bar over records when their number is known, over time otherwise; nothing unless stderr is a terminal.
pub struct Bar {
    bar: ProgressBar,
    counts_records: bool,
    seen: u64,
}

impl Bar {
    pub fn new(count: Option<u64>, time: Option<Duration>) -> Self {
        let length = count.or(time.map(|time| time.as_millis() as u64));
        let bar = match length {
            Some(length) if std::io::stderr().is_terminal() => ProgressBar::new(length),
            _ => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template("{wide_bar} {percent}% {msg}");
        bar.set_style(style.expect("the template is well formed"));
        Self { bar, counts_records: count.is_some(), seen: 0 }
    }

    pub fn show(&mut self, live: &Live, elapsed: Duration, since_last: Duration) {
        let records = live.records();
        let rate = (records - self.seen) as f64 / since_last.as_secs_f64();
        self.seen = records;
        self.bar.set_position(if self.counts_records { records } else { elapsed.as_millis() as u64 });
        self.bar.set_message(format!("{rate:.0} records/s"));
    }

    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
