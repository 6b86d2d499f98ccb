//! The checkpoint files of the log directories: written once in a while, and for the last time at a clean stop.

use super::log_dir_watch::LogDirWatch;
use crate::log_dirs::{Checkpoint, mark_clean, write_checkpoints};
use futures_util::future::select;
use odradek_shards::Shards;
use odradek_shards::message::{LogDirIndex, PartitionCheckpoint, Reply, Request};
use odradek_shards::runtime::{self, Directory};
use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tracing::warn;

/// Shard 0's hand on the checkpoint files.
pub struct Checkpoints {
    shards: Shards,
    dirs: Vec<Directory>,
    watch: Rc<LogDirWatch>,
    written: RefCell<Vec<Checkpoint>>,
}

impl Checkpoints {
    /// `dirs` are those of `LogDirs::dirs`, opened.
    pub fn new(shards: Shards, dirs: Vec<Directory>, watch: Rc<LogDirWatch>) -> Rc<Self> {
        Rc::new(Self { shards, dirs, watch, written: RefCell::default() })
    }

    /// Writes every `interval`, and when a partition moves, as long as the shard runs.
    pub async fn run(self: Rc<Self>, interval: Duration) {
        loop {
            let (moves, asked) = (pin!(self.watch.moves()), pin!(self.watch.arrivals.asked()));
            select(pin!(runtime::sleep(interval)), select(moves, asked)).await;
            let told = self.ask(|| Request::Checkpoint).await;
            self.write(&told).await;
        }
    }

    /// Closes every log of every shard and writes what they say, last of all that the directories are clean.
    /// Without a sound metadata log none of them is.
    pub async fn close(&self, broker_epoch: i64, is_metadata_sound: bool) {
        let told = self.ask(|| Request::Shutdown).await;
        self.write(&told).await;
        for (index, dir) in self.dirs.iter().enumerate() {
            let here = |one: &&PartitionCheckpoint| usize::from(one.log_dir.0) == index;
            let sound = is_metadata_sound && self.is_online(index) && told.iter().filter(here).all(|one| one.sound);
            if !sound {
                warn!("{} is not marked clean: the next start recovers its logs", dir.path().display());
            } else if let Err(error) = mark_clean(dir, broker_epoch).await {
                warn!("{} is not marked clean: {error}; the next start recovers its logs", dir.path().display());
            }
        }
    }

    fn is_online(&self, index: usize) -> bool {
        self.watch.is_online(index)
    }

    async fn ask(&self, request: impl Fn() -> Request) -> Vec<PartitionCheckpoint> {
        let sent: Vec<_> = self.shards.shards().map(|shard| self.shards.call(shard, request())).collect();
        let mut told = Vec::new();
        for reply in sent {
            if let Reply::Checkpoint(checkpoints) | Reply::Shutdown(checkpoints) = reply.await {
                told.extend(checkpoints);
            }
        }
        told
    }

    /// Writes nothing when nothing moved. A directory that does not take its files has failed.
    async fn write(&self, told: &[PartitionCheckpoint]) {
        let mut checkpoints: Vec<Checkpoint> = told.iter().map(checkpoint).collect();
        checkpoints.extend(self.watch.arrivals.complete(told));
        checkpoints.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        if *self.written.borrow() == checkpoints {
            return self.watch.arrivals.written();
        }
        for (index, dir) in self.dirs.iter().enumerate() {
            if self.is_online(index)
                && let Err(error) = write_checkpoints(dir, index, &checkpoints).await
            {
                if error.is_shortage() {
                    // What they say is older, and so is more to scan; the next round comes.
                    return warn!("the checkpoint files of {} are not written: {error}", dir.path().display());
                }
                self.watch.failed(LogDirIndex(index as u16), &error.to_string());
            }
        }
        *self.written.borrow_mut() = checkpoints;
        self.watch.arrivals.written();
    }
}

fn checkpoint(told: &PartitionCheckpoint) -> Checkpoint {
    Checkpoint {
        log_dir: usize::from(told.log_dir.0),
        topic: told.topic.to_string(),
        partition: told.partition.partition,
        recovery_point: told.recovery_point,
        log_start: told.log_start_offset,
        high_watermark: told.high_watermark,
        cleaned: told.cleaned,
    }
}
