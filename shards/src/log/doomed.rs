//! Files that nobody finds any more, and how they leave the disk: one after another, long ones in parts.

use super::delete::{EXTENSIONS, absent_is_fine};
use super::error::{Doing, StorageError};
use super::limits::REMOVED_AT_ONCE;
use super::log::Log;
use super::segment_file::SegmentFile;
use crate::runtime::{Directory, Removed, Space};
use std::io;
use std::rc::{Rc, Weak};

/// Segments that left their log, a log that was retired, or what an earlier run left of either. Stays on disk until the next
/// start when it is dropped.
#[must_use]
pub struct Doomed {
    place: Place,
    /// The next one last.
    names: Vec<String>,
    leases: Vec<Weak<SegmentFile>>,
}

enum Place {
    /// The files lie in a log that goes on. Unless `durable` a crash may have left them so: that they were renamed is to be
    /// synced first.
    Files { dir: Directory, durable: bool },
    /// A log's directory in its log directory, and what it is when it is open and its files are known.
    Log { parent: Directory, name: String, open: Option<Directory> },
}

impl Doomed {
    /// Segments whose files are renamed.
    pub(super) fn segments(dir: Directory, files: &[Rc<SegmentFile>]) -> Self {
        let names = files.iter().flat_map(|file| EXTENSIONS.map(|extension| file.name(extension)));
        let mut names: Vec<_> = names.collect();
        names.reverse();
        Self { place: Place::Files { dir, durable: true }, names, leases: files.iter().map(Rc::downgrade).collect() }
    }

    /// Files in a log's directory that a start found renamed.
    pub(super) fn found(dir: Directory, names: Vec<String>) -> Self {
        Self { place: Place::Files { dir, durable: false }, names, leases: Vec::new() }
    }

    /// A retired log, which may still be read if it was open.
    pub fn log(parent: Directory, name: String, log: Option<&Log>) -> Self {
        let files = log.into_iter().flat_map(|log| log.segments.iter());
        let leases = files.map(|segment| Rc::downgrade(&segment.file)).collect();
        Self { place: Place::Log { parent, name, open: None }, names: Vec::new(), leases }
    }

    /// Somebody reads it still.
    pub fn is_leased(&self) -> bool {
        self.leases.iter().any(|lease| lease.strong_count() > 0)
    }

    /// Of the volume it is on.
    pub async fn space(&self) -> io::Result<Space> {
        let (Place::Files { dir, .. } | Place::Log { parent: dir, .. }) = &self.place;
        dir.space().await
    }

    /// Takes one step, as short as possible.
    pub async fn remove_some(&mut self) -> Result<Removed, StorageError> {
        match &mut self.place {
            Place::Files { dir, durable } if !*durable => {
                dir.sync().await.doing("syncing a log's directory")?;
                *durable = true;
                Ok(NOTHING)
            }
            Place::Log { parent, name, open: open @ None } => {
                let within = parent.open_dir(name).await.doing("opening a deleted log")?;
                let entries = within.list().await.doing("listing a deleted log")?;
                self.names = entries.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.name).collect();
                *open = Some(within);
                Ok(NOTHING)
            }
            Place::Files { dir, .. } | Place::Log { open: Some(dir), .. } if !self.names.is_empty() => {
                let dir = dir.clone();
                self.remove_from(&dir).await
            }
            Place::Files { .. } => Ok(self.gone()),
            Place::Log { parent, name, .. } => {
                absent_is_fine(parent.remove_dir_all(name).await).doing("removing a deleted log")?;
                Ok(self.gone())
            }
        }
    }

    /// Who has a file open reads on when its name goes, but would miss what is cut off: a leased one goes whole.
    async fn remove_from(&mut self, dir: &Directory) -> Result<Removed, StorageError> {
        let Some(name) = self.names.last() else { return Ok(NOTHING) };
        let bytes_max = if self.is_leased() { u64::MAX } else { REMOVED_AT_ONCE };
        let removed = match dir.remove_some(name, bytes_max).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Removed { bytes: 0, is_gone: true },
            removed => removed.doing("removing a deleted file")?,
        };
        if removed.is_gone {
            self.names.pop();
        }
        Ok(Removed { is_gone: false, ..removed })
    }

    fn gone(&self) -> Removed {
        self.leases.iter().filter_map(Weak::upgrade).for_each(|file| file.release());
        Removed { is_gone: true, ..NOTHING }
    }

    /// All of it at once.
    #[cfg(test)]
    pub async fn remove(mut self) -> Result<(), StorageError> {
        while !self.remove_some().await?.is_gone {}
        Ok(())
    }
}

const NOTHING: Removed = Removed { bytes: 0, is_gone: false };
