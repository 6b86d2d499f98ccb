//! What a start finds in the log directories.

use odradek_shards::log::{PartitionOffset, names};
use odradek_shards::runtime::lock::Lock;
use odradek_shards::types::{Offset, PartitionIndex};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use uuid::Uuid;

/// Its log is the controller's and stands in no checkpoint.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// All directories of this node, locked for as long as this value lives.
#[derive(Debug)]
pub struct LogDirs {
    pub cluster_id: String,
    /// `log.dirs` in their order; the metadata log's directory stands last when it is none of them.
    pub dirs: Vec<LogDir>,
    /// Index in `dirs` of the one with `__cluster_metadata-0`.
    pub metadata: usize,
    /// How many of `dirs` hold partitions of topics.
    pub(super) data_dirs: usize,
    pub(super) _locks: Vec<Lock>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogDir {
    pub path: PathBuf,
    pub directory_id: Uuid,
    /// It was closed in order, so logs need no scan.
    pub is_clean: bool,
    /// Of the broker that closed it in order.
    pub broker_epoch: Option<i64>,
    /// By name, without the metadata log; a topic of a name may be another one by now.
    pub partitions: BTreeSet<(String, PartitionIndex)>,
    /// Directories renamed for deletion, to be removed (`*-delete`).
    pub doomed: Vec<String>,
    pub(super) recovery_points: Offsets,
    pub(super) log_starts: Offsets,
    pub(super) high_watermarks: Offsets,
    pub(super) cleaned: Offsets,
}

/// A partition's place, and how its log is to be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Home {
    /// Index in [`LogDirs::dirs`], as in `log.dirs`.
    pub log_dir: usize,
    pub is_clean: bool,
    /// 0 when no checkpoint tells it.
    pub recovery_point: Offset,
    /// 0 when no checkpoint tells it.
    pub log_start: Offset,
    /// 0 when no checkpoint tells it.
    pub high_watermark: Offset,
    /// 0 when no checkpoint tells it.
    pub cleaned: Offset,
}

impl LogDirs {
    /// Where the partition lies; none when no directory has it.
    pub fn home(&self, topic: &str, partition: PartitionIndex) -> Option<Home> {
        let key = (topic.to_string(), partition);
        let log_dir = self.dirs.iter().position(|dir| dir.partitions.contains(&key))?;
        let dir = &self.dirs[log_dir];
        Some(Home {
            log_dir,
            is_clean: dir.is_clean,
            recovery_point: dir.recovery_points.get(&key),
            log_start: dir.log_starts.get(&key),
            high_watermark: dir.high_watermarks.get(&key),
            cleaned: dir.cleaned.get(&key),
        })
    }

    /// A place for a partition that no directory has: the directory of `log.dirs` with the fewest, as Kafka chooses.
    /// Placing counts, so that the next one goes elsewhere.
    pub fn place(&mut self, topic: &str, partition: PartitionIndex) -> Home {
        let dirs = &mut self.dirs[..self.data_dirs];
        let fewest = dirs.iter_mut().enumerate().min_by_key(|(_, dir)| dir.partitions.len());
        let (log_dir, dir) = fewest.expect("a configuration names at least one log directory");
        dir.partitions.insert((topic.to_string(), partition));
        let zero = Offset::ZERO;
        let is_clean = dir.is_clean;
        Home { log_dir, is_clean, recovery_point: zero, log_start: zero, high_watermark: zero, cleaned: zero }
    }

    /// The partition's directory was removed.
    pub fn forget(&mut self, topic: &str, partition: PartitionIndex) {
        let key = (topic.to_string(), partition);
        for dir in &mut self.dirs {
            dir.partitions.remove(&key);
        }
    }
}

impl LogDir {
    /// Takes note of what `names` in the directory are.
    pub(super) fn note(&mut self, names: impl Iterator<Item = String>) {
        for name in names {
            if names::is_deleted_directory(&name) {
                self.doomed.push(name);
            } else if let Some((topic, partition)) = names::parse_directory(&name)
                && topic != METADATA_TOPIC
            {
                self.partitions.insert((topic.to_string(), partition));
            }
        }
    }
}

/// A checkpoint file's offsets by partition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Offsets(BTreeMap<(String, PartitionIndex), Offset>);

impl Offsets {
    pub fn new(rows: Vec<PartitionOffset>) -> Self {
        Self(rows.into_iter().map(|row| ((row.topic, row.partition), row.offset)).collect())
    }

    fn get(&self, key: &(String, PartitionIndex)) -> Offset {
        self.0.get(key).copied().unwrap_or(Offset::ZERO)
    }
}
