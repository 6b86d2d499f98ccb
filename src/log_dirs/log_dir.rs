//! What a start finds in the log directories, and where partitions lie while the broker runs.

use super::table::LogDirTable;
use odradek_shards::log::{PartitionOffset, names};
use odradek_shards::runtime::lock::Lock;
use odradek_shards::types::{Offset, PartitionIndex, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use uuid::Uuid;

/// Its log is the controller's and stands in no checkpoint.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// All usable directories of this node, locked for as long as this value lives.
#[derive(Debug)]
pub struct LogDirs {
    pub cluster_id: String,
    /// `log.dirs` in their order; the metadata log's directory stands last when it is none of them.
    pub dirs: Vec<LogDir>,
    /// Index in `dirs` of the one with `__cluster_metadata-0`.
    pub metadata: usize,
    /// How many of `dirs` hold partitions of topics.
    pub(super) data_dirs: usize,
    /// Those of `log.dirs` that could not be used at start.
    pub offline: Vec<PathBuf>,
}

#[derive(Debug)]
pub struct LogDir {
    pub path: PathBuf,
    pub directory_id: Uuid,
    /// It had no meta.properties: nothing of an earlier run can be in it.
    pub is_new: bool,
    /// It was closed in order, so logs need no scan.
    pub is_clean: bool,
    /// Of the broker that closed it in order.
    pub broker_epoch: Option<i64>,
    /// By name, without the metadata log; a topic of a name may be another one by now.
    pub partitions: BTreeSet<Key>,
    /// Logs on their way here from another directory, and the names of theirs.
    pub(super) futures: BTreeMap<Key, String>,
    /// Of which its journals hold something from before this start.
    pub journaled: BTreeSet<TopicPartition>,
    /// Directories renamed for deletion, to be removed (`*-delete`).
    pub doomed: Vec<String>,
    pub(super) recovery_points: Offsets,
    pub(super) log_starts: Offsets,
    pub(super) high_watermarks: Offsets,
    pub(super) cleaned: Offsets,
    pub(super) _lock: Lock,
}

pub(super) type Key = (String, PartitionIndex);

/// A partition's place, and how its log is to be opened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Home {
    /// Index in [`LogDirs::dirs`].
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
    /// Its log is complete under this name: a crash came between the controller's word and the renaming.
    pub promote: Option<String>,
    /// A copy on its way to another directory, and its name.
    pub future: Option<(usize, String)>,
    /// Directories of what it left elsewhere.
    pub stale: Vec<(usize, String)>,
}

/// Where a partition is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whereabouts {
    Here(Home),
    /// No directory has it.
    Nowhere,
    /// In a directory that cannot be used, as far as one can tell.
    Offline,
    /// In two directories, and nothing says which is right.
    Twice(PathBuf, PathBuf),
}

impl LogDirs {
    /// Where the partition lies; `assigned` is the directory that the metadata log tells. That one is right: a log moves
    /// by being complete elsewhere first, then by the controller's word, then by name.
    pub fn locate(&self, topic: &str, partition: PartitionIndex, assigned: Option<Uuid>) -> Whereabouts {
        let key = (topic.to_string(), partition);
        let named = assigned.and_then(|id| self.dirs.iter().position(|dir| dir.directory_id == id));
        let is_missing = assigned.is_some() && named.is_none();
        if is_missing && !self.offline.is_empty() {
            return Whereabouts::Offline;
        }
        let holders: Vec<usize> = self.having(|dir| dir.partitions.contains(&key)).collect();
        let is_whole = |at: usize| holders.contains(&at) || self.dirs[at].futures.contains_key(&key);
        let at = match (named.filter(|at| is_whole(*at)), &holders[..]) {
            (Some(named), _) => named,
            (None, [only]) => *only,
            (None, [first, second, ..]) => {
                return Whereabouts::Twice(self.dirs[*first].path.clone(), self.dirs[*second].path.clone());
            }
            (None, []) => return Whereabouts::Nowhere,
        };
        Whereabouts::Here(self.home(&key, at, &holders))
    }

    fn having(&self, what: impl Fn(&LogDir) -> bool) -> impl Iterator<Item = usize> {
        self.dirs.iter().enumerate().filter(move |(_, dir)| what(dir)).map(|(at, _)| at)
    }

    fn home(&self, key: &Key, at: usize, holders: &[usize]) -> Home {
        let dir = &self.dirs[at];
        let is_whole = holders.contains(&at);
        let others = holders.iter().filter(|holder| **holder != at);
        let mut stale: Vec<_> = others.map(|holder| (*holder, names::directory(&key.0, key.1))).collect();
        let mut futures: Vec<_> = self.having(|dir| dir.futures.contains_key(key)).collect();
        futures.retain(|future| *future != at || is_whole);
        // One copy goes on; there are more of them only after a crash in changing one's mind.
        let future = futures.iter().position(|future| *future != at).map(|first| futures.remove(first));
        let named = |at: usize| (at, self.dirs[at].futures[key].clone());
        stale.extend(futures.into_iter().map(named));
        let home = Home {
            log_dir: at,
            promote: (!is_whole).then(|| dir.futures[key].clone()),
            future: future.map(named),
            stale,
            ..Home::default()
        };
        match is_whole {
            // Its own checkpoints do not speak of what was on its way; it was closed in order before the controller was told.
            false => {
                let log_start = holders.iter().map(|holder| self.dirs[*holder].log_starts.get(key)).max();
                Home { is_clean: true, log_start: log_start.unwrap_or_default(), ..home }
            }
            true => Home {
                is_clean: dir.is_clean,
                recovery_point: dir.recovery_points.get(key),
                log_start: dir.log_starts.get(key),
                high_watermark: dir.high_watermarks.get(key),
                cleaned: dir.cleaned.get(key),
                ..home
            },
        }
    }

    /// Where a partition belongs that no directory has: a crash may have taken its name, and what was acknowledged is in
    /// the journals of where it was; else as the metadata log tells.
    pub fn belongs(&self, partition: TopicPartition, assigned: Option<Uuid>) -> Option<Uuid> {
        let journaled = self.having(|dir| dir.journaled.contains(&partition)).map(|at| self.dirs[at].directory_id);
        let journaled: Vec<_> = journaled.collect();
        assigned.filter(|id| journaled.is_empty() || journaled.contains(id)).or(journaled.first().copied())
    }

    /// A place for a partition that no directory has: `assigned` if that can be, else the directory of `log.dirs` with
    /// the fewest that is not cordoned, as Kafka chooses. Placing counts, so that the next one goes elsewhere.
    pub fn place(
        &mut self,
        topic: &str,
        partition: PartitionIndex,
        assigned: Option<Uuid>,
        table: &LogDirTable,
    ) -> Option<Home> {
        let rows = table.rows().filter(|row| row.is_online());
        let usable =
            rows.filter_map(|row| Some((row, usize::from(row.index?.0)))).filter(|(_, at)| self.holds_topics(*at));
        let fewest = usable.min_by_key(|(row, at)| {
            let dir = &self.dirs[*at];
            let count = dir.partitions.len() + dir.futures.len();
            // Where all are cordoned it must lie somewhere all the same: the controller has placed it on this broker.
            (assigned != Some(dir.directory_id), row.is_cordoned(), count)
        });
        let (_, log_dir) = fewest?;
        let dir = &mut self.dirs[log_dir];
        dir.partitions.insert((topic.to_string(), partition));
        Some(Home { log_dir, is_clean: dir.is_clean, ..Home::default() })
    }

    /// The partition lies in this directory from now on.
    pub fn moved(&mut self, topic: &str, partition: PartitionIndex, to: usize) {
        self.forget(topic, partition);
        self.dirs[to].partitions.insert((topic.to_string(), partition));
    }

    /// The partition's directory was removed.
    pub fn forget(&mut self, topic: &str, partition: PartitionIndex) {
        let key = (topic.to_string(), partition);
        for dir in &mut self.dirs {
            dir.partitions.remove(&key);
            dir.futures.remove(&key);
        }
    }

    /// Leaves out a directory that proves unusable after all; none of the partitions have been opened.
    pub fn leave_out(&mut self, index: usize) {
        let dir = self.dirs.remove(index);
        assert_ne!(index, self.metadata, "without the metadata log there is no broker");
        self.metadata -= usize::from(index < self.metadata);
        self.data_dirs -= usize::from(index < self.data_dirs);
        self.offline.push(dir.path);
    }

    /// Whether partitions of topics may lie in a directory of `dirs`.
    pub fn holds_topics(&self, index: usize) -> bool {
        index < self.data_dirs
    }
}

impl LogDir {
    /// Takes note of what `names` in the directory are.
    pub(super) fn note(&mut self, names: impl Iterator<Item = String>) {
        for name in names {
            if names::is_deleted_directory(&name) {
                self.doomed.push(name);
            } else if let Some((topic, partition)) = names::parse_future_directory(&name) {
                let key = (topic.to_string(), partition);
                self.doomed.extend(self.futures.insert(key, name));
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
pub(super) struct Offsets(BTreeMap<Key, Offset>);

impl Offsets {
    pub fn new(rows: Vec<PartitionOffset>) -> Self {
        Self(rows.into_iter().map(|row| ((row.topic, row.partition), row.offset)).collect())
    }

    fn get(&self, key: &Key) -> Offset {
        self.0.get(key).copied().unwrap_or(Offset::ZERO)
    }
}
