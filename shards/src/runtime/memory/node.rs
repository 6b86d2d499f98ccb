//! Owns what a file and a directory hold: as programs see them, and as a power cut would leave them.

use super::SECTOR_BYTES;
use super::pages::Pages;
use crate::clock::wall_clock;
use crate::runtime::blocks::Blocks;
use crate::runtime::random::Random;
use crate::types::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Index of a node on its disk.
pub(super) type NodeId = usize;

pub(super) enum Node {
    File(FileNode),
    Directory(DirectoryNode),
}

/// ```text
/// seen by programs    pages, len
/// on stable storage   durable, durable_len
/// differs in          dirty sectors: a power cut keeps any subset of them; and in the size: old or new
/// ```
#[derive(Default)]
pub(super) struct FileNode {
    pages: Pages,
    len: u64,
    durable: Pages,
    durable_len: u64,
    dirty: BTreeSet<u64>,
    /// When it was last written or resized.
    pub(super) modified: Timestamp,
    pub(super) blocks: Rc<Blocks>,
}

impl FileNode {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn read(&self, pos: u64, len: usize) -> Vec<u8> {
        let left = usize::try_from(self.len.saturating_sub(pos)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len.min(left)];
        self.pages.read(pos, &mut bytes);
        bytes
    }

    pub(super) fn write(&mut self, pos: u64, bytes: &[u8]) {
        self.pages.write(pos, bytes);
        self.len = self.len.max(pos + bytes.len() as u64);
        self.modified = wall_clock();
        self.dirty.extend(sectors(pos, bytes.len()));
    }

    /// A write that failed: any of its sectors may have changed, none is durable.
    pub(super) fn write_partly(&mut self, pos: u64, bytes: &[u8], random: &mut Random) {
        for (sector, piece) in sectors(pos, bytes.len()).zip(bytes.chunks(SECTOR_BYTES)) {
            if random.coin() {
                self.write(sector * SECTOR_BYTES as u64, piece);
            }
        }
    }

    /// What an `O_DSYNC` write promises: these bytes, and the size when it is needed to read them.
    pub(super) fn sync_range(&mut self, pos: u64, len: usize) {
        sectors(pos, len).for_each(|sector| self.harden(sector));
        if pos + len as u64 > self.durable_len {
            self.durable_len = self.len;
        }
    }

    pub(super) fn sync(&mut self) {
        while let Some(sector) = self.dirty.first().copied() {
            self.harden(sector);
        }
        self.durable.truncate(self.len);
        self.durable_len = self.len;
    }

    /// A sync that failed: the kernel forgets what was dirty, so later syncs succeed and save nothing of it.
    pub(super) fn forget_dirty(&mut self) {
        self.dirty.clear();
    }

    pub(super) fn resize(&mut self, len: u64) {
        self.dirty.extend(self.durable.sectors_from(len));
        self.pages.truncate(len);
        self.len = len;
        self.modified = wall_clock();
    }

    /// The power goes: a random subset of the dirty sectors survives, and the old or the new size.
    pub(super) fn lose(&mut self, random: &mut Random) {
        for sector in std::mem::take(&mut self.dirty) {
            if random.coin() {
                self.harden(sector);
            }
        }
        if random.coin() {
            self.durable_len = self.len;
        }
        self.durable.truncate(self.durable_len);
        self.len = self.durable_len;
        self.pages = self.durable.clone();
        self.blocks = Rc::default();
    }

    fn harden(&mut self, sector: u64) {
        self.durable.write(sector * SECTOR_BYTES as u64, &self.pages.sector(sector));
        self.dirty.remove(&sector);
    }
}

fn sectors(pos: u64, len: usize) -> std::ops::Range<u64> {
    let sector = SECTOR_BYTES as u64;
    pos / sector..(pos + len as u64).div_ceil(sector)
}

/// Names as seen, names as synced, and the changes in between in their order.
#[derive(Default)]
pub(super) struct DirectoryNode {
    names: BTreeMap<String, NodeId>,
    durable: BTreeMap<String, NodeId>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Insert(String, NodeId),
    Remove(String),
    Rename(String, String),
}

impl DirectoryNode {
    pub(super) fn get(&self, name: &str) -> Option<NodeId> {
        self.names.get(name).copied()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (&String, NodeId)> {
        self.names.iter().map(|(name, node)| (name, *node))
    }

    pub(super) fn insert(&mut self, name: &str, node: NodeId) {
        self.change(Change::Insert(name.to_owned(), node));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.change(Change::Remove(name.to_owned()));
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        self.change(Change::Rename(from.to_owned(), to.to_owned()));
    }

    pub(super) fn sync(&mut self) {
        self.pending.drain(..).for_each(|change| change.apply(&mut self.durable));
    }

    /// A sync that failed: what was pending is no longer written by a later one.
    pub(super) fn forget_pending(&mut self) {
        self.pending.clear();
    }

    /// The power goes: of the changes since the last sync, the first few survive, mostly none.
    pub(super) fn lose(&mut self, random: &mut Random) {
        let survivors = match random.coin() {
            true => 0,
            false => random.between(0, self.pending.len() as u64) as usize,
        };
        for change in self.pending.drain(..).take(survivors) {
            change.apply(&mut self.durable);
        }
        self.names = self.durable.clone();
    }

    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.names);
        self.pending.push(change);
    }
}

impl Change {
    fn apply(self, names: &mut BTreeMap<String, NodeId>) {
        match self {
            Self::Insert(name, node) => {
                names.insert(name, node);
            }
            Self::Remove(name) => {
                names.remove(&name);
            }
            Self::Rename(from, to) => {
                if let Some(node) = names.remove(&from) {
                    names.insert(to, node);
                }
            }
        }
    }
}
