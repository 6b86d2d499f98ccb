//! What an earlier run left in the journals of the log directories: found before the shards open any log, removed when all
//! of them have taken back what is theirs.

use crate::log_dirs::LogDir;
use futures_util::future::join_all;
use odradek_shards::Shards;
use odradek_shards::journal::{self, Leftovers};
use odradek_shards::message::{LogDirIndex, Request};
use odradek_shards::runtime::Directory;
use std::io;
use std::sync::Arc;
use tracing::info;

pub struct Journals {
    found: Vec<(Directory, Arc<Leftovers>)>,
}

impl Journals {
    /// What was [`look`]ed up in each directory.
    pub fn new(found: Vec<(Directory, Arc<Leftovers>)>) -> Self {
        Self { found }
    }

    /// In the order of the directories.
    pub fn leftovers(&self) -> Vec<Arc<Leftovers>> {
        self.found.iter().map(|(_, leftovers)| leftovers.clone()).collect()
    }

    /// To be called when every log has been opened. What stays must not come to light later, when its log has grown to
    /// where it would fit: who cannot be rid of it tells by index.
    pub async fn remove(self, shards: &Shards, is_online: impl Fn(usize) -> bool) -> Vec<(usize, io::Error)> {
        let mut failed = Vec::new();
        for (index, (dir, leftovers)) in self.found.iter().enumerate().filter(|(index, _)| is_online(*index)) {
            if let Err(error) = remove(shards, index, dir, leftovers).await {
                failed.push((index, error));
            }
        }
        failed
    }
}

async fn remove(shards: &Shards, index: usize, dir: &Directory, leftovers: &Arc<Leftovers>) -> io::Result<()> {
    leftovers.sync(dir).await?;
    let log_dir = LogDirIndex(u16::try_from(index).expect("log.dirs names few directories"));
    let told: Vec<_> = shards.shards().map(|shard| shards.call(shard, Request::Synced(log_dir))).collect();
    join_all(told).await;
    leftovers.remove(dir).await
}

/// The journals in one directory. Of one that was closed in order nothing is left: it may have been another broker that
/// closed it, which knows no journals.
pub async fn look(dir: &Directory, log_dir: &LogDir) -> io::Result<Arc<Leftovers>> {
    if log_dir.is_clean {
        journal::discard(dir).await?;
        return Ok(Arc::default());
    }
    let leftovers = Leftovers::find(dir).await?;
    if !leftovers.is_empty() {
        let partitions = leftovers.partitions().len();
        info!("{}: journals hold batches of {partitions} partitions", log_dir.path.display());
    }
    Ok(Arc::new(leftovers))
}
