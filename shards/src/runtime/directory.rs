//! Owns what a directory can do, on either disk. Names are single path components.

use super::shortage::harmless;
use super::{File, Space, direct, memory};
use crate::types::Timestamp;
use std::io;
use std::path::Path;
use std::rc::Rc;

/// An open directory of this shard. It stays itself when it is renamed; a clone is cheap.
///
/// Creating, renaming and removing are durable only after [`Directory::sync`] of the directory that holds the name.
#[derive(Clone)]
pub struct Directory(Inner);

#[derive(Clone)]
enum Inner {
    Direct(Rc<direct::Directory>),
    Memory(Rc<memory::Directory>),
}

/// One name in a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub name: String,
    pub is_dir: bool,
    /// Bytes of a file; without meaning for a directory.
    pub len: u64,
}

/// What [`Directory::remove_some`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Removed {
    pub bytes: u64,
    /// The name is free.
    pub is_gone: bool,
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenMode {
    Read,
    /// Also readable. `create` makes the file when it is missing and leaves an existing one as it is; `synced` makes
    /// every write durable before it returns (`O_DSYNC`).
    Write {
        create: bool,
        synced: bool,
    },
}

impl Directory {
    /// Opens a log directory on the real disk, creating what is missing of its path, and checks that files can be
    /// written there by direct I/O. To be called once per shard and log directory before any file is opened.
    ///
    /// The error names the path and the remedy.
    pub async fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(Inner::Direct(Rc::new(direct::open_log_dir(path).await?))))
    }

    /// The root of a disk in memory, as it is after its last power cut.
    pub fn memory(disk: &memory::Disk) -> Self {
        Self(Inner::Memory(Rc::new(disk.root())))
    }

    /// Where it was when it was opened; for messages.
    pub fn path(&self) -> &Path {
        match &self.0 {
            Inner::Direct(dir) => dir.path(),
            Inner::Memory(dir) => dir.path(),
        }
    }

    /// Creates a directory, or opens the one that is there.
    pub async fn create_dir(&self, name: &str) -> io::Result<Self> {
        check(name)?;
        Ok(Self(match &self.0 {
            Inner::Direct(dir) => Inner::Direct(Rc::new(dir.create_dir(name).await?)),
            Inner::Memory(dir) => Inner::Memory(Rc::new(dir.create_dir(name).await?)),
        }))
    }

    pub async fn open_dir(&self, name: &str) -> io::Result<Self> {
        check(name)?;
        Ok(Self(match &self.0 {
            Inner::Direct(dir) => Inner::Direct(Rc::new(dir.open_dir(name).await.map_err(harmless)?)),
            Inner::Memory(dir) => Inner::Memory(Rc::new(dir.open_dir(name).await?)),
        }))
    }

    /// Every name, sorted. Names that are not UTF-8 are left out: nobody here made them.
    pub async fn list(&self) -> io::Result<Vec<Entry>> {
        let mut entries = match &self.0 {
            Inner::Direct(dir) => dir.list().await.map_err(harmless)?,
            Inner::Memory(dir) => dir.list().await?,
        };
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Whether the name exists, as a file or a directory.
    pub async fn exists(&self, name: &str) -> io::Result<bool> {
        check(name)?;
        match &self.0 {
            Inner::Direct(dir) => dir.exists(name).await.map_err(harmless),
            Inner::Memory(dir) => dir.exists(name),
        }
    }

    /// Nobody else may rename or remove `name` meanwhile.
    pub async fn open_file(&self, name: &str, mode: OpenMode) -> io::Result<File> {
        check(name)?;
        match &self.0 {
            Inner::Direct(dir) => dir.open_file(name, mode).await.map(File::direct).map_err(harmless),
            Inner::Memory(dir) => dir.open_file(name, mode).await.map(File::memory),
        }
    }

    /// Renames a file or directory, replacing a file (or an empty directory) of the new name.
    pub async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check(from)?;
        check(to)?;
        match &self.0 {
            Inner::Direct(dir) => dir.rename(from, to).await,
            Inner::Memory(dir) => dir.rename(from, to).await,
        }
    }

    /// Makes all that was written, created, renamed and removed on the directory's file system durable, by whomever: one
    /// call instead of a sync per file. After an error nothing of it may be believed.
    pub async fn sync_file_system(&self) -> io::Result<()> {
        match &self.0 {
            Inner::Direct(dir) => dir.sync_file_system().await,
            Inner::Memory(dir) => dir.sync_file_system().await,
        }
    }

    /// Removes a name; handles that are open keep the file.
    pub async fn remove_file(&self, name: &str) -> io::Result<()> {
        check(name)?;
        match &self.0 {
            Inner::Direct(dir) => dir.remove_file(name).await,
            Inner::Memory(dir) => dir.remove_file(name).await,
        }
    }

    /// Removes a file of `bytes_max` or less, and takes so many bytes off the end of a longer one: file systems may let all
    /// writers wait as long as they free space. A file that has another name besides is left whole there.
    pub async fn remove_some(&self, name: &str, bytes_max: u64) -> io::Result<Removed> {
        check(name)?;
        match &self.0 {
            Inner::Direct(dir) => dir.remove_some(name, bytes_max).await,
            Inner::Memory(dir) => dir.remove_some(name, bytes_max).await,
        }
    }

    /// Removes a directory and everything in it.
    pub async fn remove_dir_all(&self, name: &str) -> io::Result<()> {
        check(name)?;
        match &self.0 {
            Inner::Direct(dir) => dir.remove_dir_all(name).await,
            Inner::Memory(dir) => dir.remove_dir_all(name).await,
        }
    }

    /// When a file was last written, by the clock of the machine.
    pub async fn modified(&self, name: &str) -> io::Result<Timestamp> {
        check(name)?;
        match &self.0 {
            Inner::Direct(dir) => dir.modified(name).await,
            Inner::Memory(dir) => dir.modified(name).await,
        }
    }

    /// Gives a file another time of its last write: one that takes the place of an older file is as old as that.
    pub async fn set_modified(&self, name: &str, time: Timestamp) -> io::Result<()> {
        check(name)?;
        match &self.0 {
            Inner::Direct(dir) => dir.set_modified(name, time).await,
            Inner::Memory(dir) => dir.set_modified(name, time).await,
        }
    }

    /// Makes the names in this directory durable: a full fsync, as fdatasync may skip it.
    pub async fn sync(&self) -> io::Result<()> {
        match &self.0 {
            Inner::Direct(dir) => dir.sync().await,
            Inner::Memory(dir) => dir.sync().await,
        }
    }

    /// Of the volume that holds it; a disk in memory has no end of it.
    pub async fn space(&self) -> io::Result<Space> {
        match &self.0 {
            Inner::Direct(dir) => super::space(dir.path().to_owned()).await,
            Inner::Memory(_) => Ok(Space { total_bytes: u64::MAX, usable_bytes: u64::MAX }),
        }
    }

    /// The bytes of a small file; `InvalidData` when it is longer than `max`.
    pub async fn read_whole(&self, name: &str, max: usize) -> io::Result<Vec<u8>> {
        check(name)?;
        match &self.0 {
            Inner::Direct(dir) => dir.read_whole(name, max).await.map_err(harmless),
            Inner::Memory(dir) => dir.read_whole(name, max).await,
        }
    }

    /// Writes a small file without syncing it: after a power cut it may be missing, shorter, or hold zeros.
    pub async fn put_whole(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        check(name)?;
        match &self.0 {
            Inner::Direct(dir) => dir.put_whole(name, bytes).await,
            Inner::Memory(dir) => dir.put_whole(name, bytes).await,
        }
    }

    /// Replaces a small file: written to `<name>.tmp`, synced, renamed, directory synced. At every moment, and after
    /// a crash at any moment, the name holds the old bytes or the new ones.
    pub async fn write_whole(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        check(name)?;
        match &self.0 {
            Inner::Direct(dir) => dir.write_whole(name, bytes).await,
            Inner::Memory(dir) => dir.write_whole(name, bytes).await,
        }
    }
}

pub(super) fn too_long(path: &Path, len: u64, max: usize) -> io::Error {
    let message = format!("{}: {len} bytes, expected at most {max}", path.display());
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn check(name: &str) -> io::Result<()> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is not a file name")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
