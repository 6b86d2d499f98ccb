//! The checkpoint files of the log directories: written once in a while, and for the last time at a clean stop.

use crate::log_dirs::{Checkpoint, mark_clean, write_checkpoints};
use odradek_shards::Shards;
use odradek_shards::log::StorageError;
use odradek_shards::message::{PartitionCheckpoint, Reply, Request};
use odradek_shards::runtime::{self, Directory};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tracing::{error, warn};

/// Shard 0's hand on the checkpoint files.
pub struct Checkpoints {
    shards: Shards,
    dirs: Vec<Directory>,
    written: RefCell<Vec<Checkpoint>>,
}

impl Checkpoints {
    pub fn new(shards: Shards, dirs: Vec<Directory>) -> Rc<Self> {
        Rc::new(Self { shards, dirs, written: RefCell::default() })
    }

    /// Writes every `interval`, as long as the shard runs.
    pub async fn run(self: Rc<Self>, interval: Duration) {
        loop {
            runtime::sleep(interval).await;
            let told = self.ask(|| Request::Checkpoint).await;
            if let Err(error) = self.write(&told).await {
                warn!("checkpoints are not written: {error}; a crash would have more to recover");
            }
        }
    }

    /// Closes every log of every shard and writes what they say, last of all that the directories are clean.
    /// Without a sound metadata log none of them is.
    pub async fn close(&self, broker_epoch: i64, is_metadata_sound: bool) {
        let told = self.ask(|| Request::Shutdown).await;
        if let Err(error) = self.write(&told).await {
            error!("checkpoints are not written: {error}; the next start recovers every log");
            return;
        }
        for (index, dir) in self.dirs.iter().enumerate() {
            let sound =
                is_metadata_sound && told.iter().filter(|one| usize::from(one.log_dir.0) == index).all(|one| one.sound);
            if !sound {
                warn!("{} is not marked clean: the next start recovers its logs", dir.path().display());
            } else if let Err(error) = mark_clean(dir, broker_epoch).await {
                warn!("{} is not marked clean: {error}; the next start recovers its logs", dir.path().display());
            }
        }
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

    /// Writes nothing when nothing moved.
    async fn write(&self, told: &[PartitionCheckpoint]) -> Result<(), StorageError> {
        let mut checkpoints: Vec<Checkpoint> = told.iter().map(checkpoint).collect();
        checkpoints.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        if *self.written.borrow() == checkpoints {
            return Ok(());
        }
        write_checkpoints(&self.dirs, &checkpoints).await?;
        *self.written.borrow_mut() = checkpoints;
        Ok(())
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
