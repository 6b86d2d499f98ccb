//! The log directories as every shard knows them: their names for clients, and which of them are offline.

use super::log_dir::LogDirs;
use odradek_shards::message::LogDirIndex;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

/// `log.dirs`, shared by all shards.
#[derive(Debug, Default)]
pub struct LogDirTable {
    rows: Vec<LogDirRow>,
}

#[derive(Debug)]
pub struct LogDirRow {
    /// Absolute: what clients name it by.
    pub path: PathBuf,
    /// None when it could not be used at start.
    pub index: Option<LogDirIndex>,
    pub directory_id: Uuid,
    /// It holds partitions of topics, and not the metadata log alone.
    pub holds_topics: bool,
    failed: AtomicBool,
    cordoned: AtomicBool,
}

impl LogDirTable {
    pub fn new(log_dirs: &LogDirs) -> Self {
        let usable = log_dirs.dirs.iter().enumerate().map(|(at, dir)| LogDirRow {
            path: absolute(&dir.path),
            index: Some(LogDirIndex(u16::try_from(at).expect("log.dirs names few directories"))),
            directory_id: dir.directory_id,
            holds_topics: log_dirs.holds_topics(at),
            failed: AtomicBool::new(false),
            cordoned: AtomicBool::new(false),
        });
        let offline = log_dirs.offline.iter().map(|path| LogDirRow {
            path: absolute(path),
            index: None,
            directory_id: Uuid::nil(),
            holds_topics: true,
            failed: AtomicBool::new(true),
            cordoned: AtomicBool::new(false),
        });
        Self { rows: usable.chain(offline).collect() }
    }

    pub fn rows(&self) -> impl Iterator<Item = &LogDirRow> {
        self.rows.iter()
    }

    pub fn row(&self, index: LogDirIndex) -> &LogDirRow {
        self.rows.iter().find(|row| row.index == Some(index)).expect("shards know the directories of this table")
    }

    /// By the path that a client gave, as Kafka compares them: letter by letter.
    pub fn by_path(&self, path: &str) -> Option<&LogDirRow> {
        self.rows.iter().find(|row| row.holds_topics && row.path == *Path::new(path))
    }

    /// Those that get no more partitions, by their paths, until this is said again. Returns whether it says anything new.
    pub fn cordon(&self, is_cordoned: impl Fn(&Path) -> bool) -> bool {
        let set = |row: &LogDirRow| {
            let cordoned = is_cordoned(&row.path);
            row.cordoned.swap(cordoned, Ordering::Relaxed) != cordoned
        };
        self.rows.iter().filter(|row| set(row)).count() > 0
    }

    /// Ids of those, as far as they are usable: what the controller is told (KIP-1066).
    pub fn cordoned_ids(&self) -> Vec<Uuid> {
        let cordoned = self.rows.iter().filter(|row| row.index.is_some() && row.holds_topics && row.is_cordoned());
        cordoned.map(|row| row.directory_id).collect()
    }

    /// Some partitions may lie where nobody can look.
    pub fn any_offline(&self) -> bool {
        self.rows.iter().any(|row| !row.is_online())
    }
}

impl LogDirRow {
    pub fn is_online(&self) -> bool {
        !self.failed.load(Ordering::Relaxed)
    }

    /// It gets no partitions of its own accord.
    pub fn is_cordoned(&self) -> bool {
        self.cordoned.load(Ordering::Relaxed)
    }

    /// Returns whether it was online before.
    pub fn fail(&self) -> bool {
        !self.failed.swap(true, Ordering::Relaxed)
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
