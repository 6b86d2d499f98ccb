//! Opening the log directories at start: lock, check whose they are, make new ones ours, read what the last run left.

use super::error::LogDirError;
use super::log_dir::{LogDir, LogDirs, Offsets};
use super::meta_properties::{self, MetaProperties, id_text, new_id};
use super::{clean_shutdown, files};
use crate::config::BrokerConfig;
use odradek_shards::log::{CLEANED, HIGH_WATERMARKS, LOG_STARTS, RECOVERY_POINTS, names, parse_offsets};
use odradek_shards::runtime::lock::{Lock, LockFault};
use odradek_shards::types::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Opens every directory of `config`, creating what is missing. Blocks on the disks; call it before the shards start.
/// One that cannot be used is left out, with a line in the log, as long as another can and it is not the metadata log's.
/// Nothing is changed in any of them, but for locks and empty directories, unless all the others are in order.
pub fn open(config: &BrokerConfig) -> Result<LogDirs, LogDirError> {
    let mut paths = config.log_dirs.clone();
    if !paths.contains(&config.metadata_log_dir) {
        paths.push(config.metadata_log_dir.clone());
    }
    let mut offline = Vec::new();
    let mut found = Vec::with_capacity(paths.len());
    for path in &paths {
        found.extend(or_offline(Found::lock_and_read(path, config.node_id), path, config, &mut offline)?);
    }
    check_together(&found)?;
    let cluster_id = found.iter().find_map(|found| found.meta.as_ref()).map(|meta| meta.cluster_id.clone());
    let cluster_id = cluster_id.unwrap_or_else(|| id_text(new_id()));
    let mut dirs = Vec::with_capacity(found.len());
    for found in found {
        let path = found.path.clone();
        dirs.extend(or_offline(found.take(config.node_id, &cluster_id), &path, config, &mut offline)?);
    }
    let metadata = dirs.iter().position(|dir| dir.path == config.metadata_log_dir);
    let metadata = metadata.expect("without the metadata log's directory there was an error");
    let data_dirs = dirs.iter().filter(|dir| config.log_dirs.contains(&dir.path)).count();
    if data_dirs == 0 {
        return Err(LogDirError::AllUnusable);
    }
    Ok(LogDirs { cluster_id, dirs, metadata, data_dirs, offline })
}

/// Says what is wrong with a directory that is left out.
fn or_offline<T>(
    found: Result<T, LogDirError>,
    path: &Path,
    config: &BrokerConfig,
    offline: &mut Vec<PathBuf>,
) -> Result<Option<T>, LogDirError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if !error.is_of_one_directory() => Err(error),
        Err(error) if *path == *config.metadata_log_dir => Err(LogDirError::Metadata(Box::new(error))),
        Err(error) => {
            tracing::error!("{error}; until a start finds it usable, its partitions are offline");
            offline.push(path.to_path_buf());
            Ok(None)
        }
    }
}

fn lock(path: &Path) -> Result<Lock, LogDirError> {
    fs::create_dir_all(path).map_err(unusable(path))?;
    Lock::acquire(path).map_err(|fault| match fault {
        LockFault::Unusable { source, .. } => LogDirError::Unusable { path: path.into(), source },
        held @ LockFault::Held { .. } => LogDirError::Locked(held),
    })
}

/// A directory that was read and not changed.
struct Found {
    path: PathBuf,
    meta: Option<MetaProperties>,
    /// Names of the directories in it.
    names: Vec<String>,
    lock: Lock,
}

impl Found {
    fn lock_and_read(path: &Path, node_id: NodeId) -> Result<Self, LogDirError> {
        let lock = lock(path)?;
        Self::read(path, node_id, lock)
    }

    fn read(path: &Path, node_id: NodeId, lock: Lock) -> Result<Self, LogDirError> {
        let names = directories(path).map_err(unusable(path))?;
        let Some(bytes) = files::read(path, meta_properties::FILE).map_err(unusable(path))? else {
            let holds_logs = names.iter().any(|name| names::parse_directory(name).is_some());
            let path = path.to_path_buf();
            return if holds_logs {
                Err(LogDirError::Ownerless { path })
            } else {
                Ok(Self { path, meta: None, names, lock })
            };
        };
        let meta = MetaProperties::parse(&String::from_utf8_lossy(&bytes))
            .map_err(|fault| LogDirError::Malformed { path: path.into(), fault })?;
        if meta.node_id != node_id {
            return Err(LogDirError::OtherNode { path: path.into(), stored: meta.node_id.0, configured: node_id.0 });
        }
        Ok(Self { path: path.into(), meta: Some(meta), names, lock })
    }

    /// Makes the directory this node's, and no longer clean: from here on a crash means recovery.
    fn take(self, node_id: NodeId, cluster_id: &str) -> Result<LogDir, LogDirError> {
        let path = self.path;
        let is_new = self.meta.is_none();
        let directory_id = own(&path, self.meta, node_id, cluster_id).map_err(unusable(&path))?;
        let clean = files::read(&path, clean_shutdown::FILE).map_err(unusable(&path))?;
        files::remove(&path, clean_shutdown::FILE).map_err(unusable(&path))?;
        let mut dir = LogDir {
            directory_id,
            is_new,
            is_clean: clean.is_some(),
            broker_epoch: clean.as_deref().and_then(clean_shutdown::parse),
            partitions: BTreeSet::new(),
            journaled: BTreeSet::new(),
            doomed: Vec::new(),
            recovery_points: offsets(&path, RECOVERY_POINTS)?,
            log_starts: offsets(&path, LOG_STARTS)?,
            high_watermarks: offsets(&path, HIGH_WATERMARKS)?,
            cleaned: offsets(&path, CLEANED)?,
            path,
            futures: BTreeMap::new(),
            _lock: self.lock,
        };
        dir.note(self.names.into_iter());
        Ok(dir)
    }
}

/// The directory's id; whatever its meta.properties lacks is given to it.
fn own(path: &Path, meta: Option<MetaProperties>, node_id: NodeId, cluster_id: &str) -> io::Result<Uuid> {
    if let Some(id) = meta.and_then(|meta| meta.directory_id) {
        return Ok(id);
    }
    let id = new_id();
    let meta = MetaProperties { cluster_id: cluster_id.into(), node_id, directory_id: Some(id) };
    files::replace(path, meta_properties::FILE, meta.text().as_bytes())?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        files::sync(parent)?;
    }
    Ok(id)
}

fn check_together(found: &[Found]) -> Result<(), LogDirError> {
    let owned: Vec<_> = found.iter().filter_map(|found| Some((&found.path, found.meta.as_ref()?))).collect();
    for (at, (path, meta)) in owned.iter().enumerate() {
        for (other_path, other) in &owned[..at] {
            let (path, other_path) = ((*path).clone(), (*other_path).clone());
            if meta.cluster_id != other.cluster_id {
                let (stored, other) = (meta.cluster_id.clone(), other.cluster_id.clone());
                return Err(LogDirError::OtherCluster { path, stored, other_path, other });
            }
            if meta.directory_id.is_some() && meta.directory_id == other.directory_id {
                return Err(LogDirError::SameDirectoryId { path, other_path });
            }
        }
    }
    Ok(())
}

/// A checkpoint file. Without a good one the logs are scanned from their beginning, so a bad one is no reason to stop.
fn offsets(path: &Path, name: &str) -> Result<Offsets, LogDirError> {
    let bytes = files::read(path, name).map_err(unusable(path))?.unwrap_or_default();
    if bytes.is_empty() {
        return Ok(Offsets::default());
    }
    Ok(parse_offsets(&bytes).map(Offsets::new).unwrap_or_else(|malformed| {
        tracing::warn!("{}/{name}: {malformed}; logs are opened without it", path.display());
        Offsets::default()
    }))
}

/// Names that are not UTF-8 are nobody's here.
fn directories(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn unusable(path: &Path) -> impl Fn(io::Error) -> LogDirError {
    let path = path.to_path_buf();
    move |source| LogDirError::Unusable { path: path.clone(), source }
}

#[cfg(test)]
mod tests;
