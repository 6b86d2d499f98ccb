//! What an earlier run left in the journals of the log directories: found before the shards open any log, removed when all
//! of them have taken back what is theirs.

use crate::log_dirs::LogDirs;
use odradek_shards::journal::{self, Leftovers};
use odradek_shards::runtime::Directory;
use std::io;
use std::sync::Arc;
use tracing::info;

pub struct Journals {
    found: Vec<(Directory, Arc<Leftovers>)>,
}

impl Journals {
    /// `dirs` are `log_dirs.dirs`, opened. Of a directory that was closed in order nothing is left: it may have been
    /// another broker that closed it, which knows no journals.
    pub async fn find(dirs: &[Directory], log_dirs: &LogDirs) -> io::Result<Self> {
        let mut found = Vec::with_capacity(dirs.len());
        for (dir, log_dir) in dirs.iter().zip(&log_dirs.dirs) {
            let leftovers = if log_dir.is_clean {
                journal::discard(dir).await?;
                Leftovers::default()
            } else {
                Leftovers::find(dir).await?
            };
            if !leftovers.is_empty() {
                let partitions = leftovers.partitions();
                info!("{}: journals hold batches of {partitions} partitions", log_dir.path.display());
            }
            found.push((dir.clone(), Arc::new(leftovers)));
        }
        Ok(Self { found })
    }

    /// In the order of the directories.
    pub fn leftovers(&self) -> Vec<Arc<Leftovers>> {
        self.found.iter().map(|(_, leftovers)| leftovers.clone()).collect()
    }

    /// To be called when every log has been opened.
    pub async fn remove(self) -> io::Result<()> {
        for (dir, leftovers) in &self.found {
            leftovers.remove(dir).await?;
        }
        Ok(())
    }
}
