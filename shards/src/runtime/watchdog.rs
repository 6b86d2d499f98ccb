//! Owns the thread that ends the process when a shard stops turning: a zombie core must not hold its partitions.

use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

/// How often shards beat and the watchdog looks.
pub const BEAT: Duration = Duration::from_secs(1);

/// One shard's sign of life.
#[derive(Default)]
pub struct Heartbeat {
    beats: AtomicU64,
    over: AtomicBool,
}

impl Heartbeat {
    pub fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// The shard ended by itself.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Watches until every shard ended. After `patience` looks in a row without a beat of some shard, dumps all threads to
/// stderr and aborts. Counting looks instead of time forgives a stopped or suspended process.
pub fn watch(heartbeats: Vec<Arc<Heartbeat>>, patience: u32) -> Thread {
    let mut watched: Vec<Watched> = heartbeats.into_iter().map(Watched::new).collect();
    let body = move || {
        while watched.iter().any(|shard| !shard.heartbeat.over.load(Ordering::Relaxed)) {
            thread::park_timeout(BEAT);
            if let Some(shard) = watched.iter_mut().position(|shard| shard.look() > patience) {
                dump(shard, patience);
                std::process::abort();
            }
        }
    };
    let started = thread::Builder::new().name("watchdog".into()).spawn(body);
    started.expect("a process that just started its shards can start one more thread").thread().clone()
}

struct Watched {
    heartbeat: Arc<Heartbeat>,
    seen: u64,
    missed: u32,
}

impl Watched {
    fn new(heartbeat: Arc<Heartbeat>) -> Self {
        Self { heartbeat, seen: 0, missed: 0 }
    }

    /// How many looks in a row saw no beat.
    fn look(&mut self) -> u32 {
        let beats = self.heartbeat.beats.load(Ordering::Relaxed);
        let alive = beats != self.seen || self.heartbeat.over.load(Ordering::Relaxed);
        self.seen = beats;
        self.missed = if alive { 0 } else { self.missed + 1 };
        self.missed
    }
}

/// What every thread of the process is doing, as far as the kernel tells.
fn dump(shard: usize, patience: u32) {
    let mut stderr = std::io::stderr().lock();
    // Nothing is left to be done about a failing stderr: the process is about to abort.
    let _ = writeln!(stderr, "shard {shard} has not turned for {patience} s: aborting. Threads:");
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let (name, status, stack) = (read("comm"), read("status"), read("stack"));
        let state = status.lines().find(|line| line.starts_with("State:")).unwrap_or("State: ?");
        let (at, call) = (read("wchan"), read("syscall"));
        let _ = writeln!(stderr, "  {} {} wchan {at} syscall {}", name.trim(), state.replace('\t', " "), call.trim());
        stack.lines().for_each(|line| {
            let _ = writeln!(stderr, "      {line}");
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_without_a_beat_add_up_and_a_beat_clears_them() {
        let heartbeat = Arc::new(Heartbeat::default());
        let mut watched = Watched::new(heartbeat.clone());
        assert_eq!((watched.look(), watched.look()), (1, 2));
        heartbeat.beat();
        assert_eq!((watched.look(), watched.look()), (0, 1));
    }

    #[test]
    fn a_shard_that_ended_is_not_missed() {
        let heartbeat = Arc::new(Heartbeat::default());
        let mut watched = Watched::new(heartbeat.clone());
        heartbeat.end();
        assert_eq!((watched.look(), watched.look()), (0, 0));
    }

    #[test]
    fn the_watchdog_leaves_when_all_shards_have() {
        let heartbeat = Arc::new(Heartbeat::default());
        heartbeat.end();
        watch(vec![heartbeat], 1);
    }
}
