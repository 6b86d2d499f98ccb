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

impl Node {
    /// What a sync that begins now has to save.
    pub(super) fn dirty(&self) -> Dirty {
        match self {
            Self::File(file) => Dirty::File(file.snapshot()),
            Self::Directory(directory) => Dirty::Directory(directory.made()),
        }
    }

    /// That is saved, and nothing that came later.
    pub(super) fn save(&mut self, dirty: Dirty) {
        match (self, dirty) {
            (Self::File(file), Dirty::File(dirty)) => file.save(dirty),
            (Self::Directory(directory), Dirty::Directory(made)) => directory.save(made),
            _ => panic!("a node stays what it is"),
        }
    }

    /// A sync that failed.
    pub(super) fn forget(&mut self) {
        match self {
            Self::File(file) => file.forget_dirty(),
            Self::Directory(directory) => directory.forget_pending(),
        }
    }
}

/// Counts the changes of a file.
type Version = u64;

/// What a sync of the file system found to be done for a file when it began.
pub(super) struct DirtyFile {
    version: Version,
    sectors: Vec<(u64, [u8; SECTOR_BYTES])>,
    len: u64,
}

/// The same of a node.
pub(super) enum Dirty {
    File(DirtyFile),
    /// How many of a directory's changes had been made, ever.
    Directory(u64),
}

/// ```text
/// seen by programs    pages, len
/// on stable storage   durable, durable_len
/// differs in          dirty sectors: a power cut keeps any subset of them; and in the size: any since the last sync
/// ```
#[derive(Default)]
pub(super) struct FileNode {
    pages: Pages,
    len: u64,
    durable: Pages,
    durable_len: u64,
    /// Sectors, and since when.
    dirty: BTreeMap<u64, Version>,
    /// Sizes the file has had since `durable_len`, and from when on.
    sizes: Vec<(Version, u64)>,
    version: Version,
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
        self.modified = wall_clock();
        self.touch(sectors(pos, bytes.len()));
        self.set_len(self.len.max(pos + bytes.len() as u64));
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
        let smallest = self.sizes.iter().map(|(_, size)| *size).fold(self.durable_len, u64::min);
        if pos + len as u64 > smallest {
            self.harden_len();
        }
    }

    pub(super) fn sync(&mut self) {
        while let Some((sector, _)) = self.dirty.first_key_value() {
            self.harden(*sector);
        }
        self.durable.truncate(self.len);
        self.harden_len();
    }

    fn snapshot(&self) -> DirtyFile {
        let sectors = self.dirty.keys().map(|sector| (*sector, self.pages.sector(*sector))).collect();
        DirtyFile { version: self.version, sectors, len: self.len }
    }

    /// What another sync has saved meanwhile is newer.
    fn save(&mut self, dirty: DirtyFile) {
        for (sector, bytes) in dirty.sectors {
            if self.dirty.get(&sector).is_none_or(|since| *since > dirty.version) {
                continue;
            }
            self.durable.write(sector * SECTOR_BYTES as u64, &bytes);
            if self.pages.sector(sector) == bytes {
                self.dirty.remove(&sector);
            } else {
                self.dirty.insert(sector, self.version);
            }
        }
        if self.sizes.first().is_some_and(|(since, _)| *since <= dirty.version) {
            self.durable_len = dirty.len;
            self.sizes.retain(|(since, _)| *since > dirty.version);
        }
    }

    /// A sync that failed: the kernel forgets what was dirty, so later syncs succeed and save nothing of it.
    pub(super) fn forget_dirty(&mut self) {
        self.dirty.clear();
    }

    pub(super) fn resize(&mut self, len: u64) {
        let cut: Vec<_> = self.durable.sectors_from(len).collect();
        self.touch(cut.into_iter());
        self.pages.truncate(len);
        self.modified = wall_clock();
        self.set_len(len);
    }

    /// The power goes: a random subset of the dirty sectors survives, and one of the sizes since the last sync.
    pub(super) fn lose(&mut self, random: &mut Random) {
        for (sector, _) in std::mem::take(&mut self.dirty) {
            if random.coin() {
                self.harden(sector);
            }
        }
        let sizes = std::mem::take(&mut self.sizes);
        self.durable_len = match random.below(4) {
            0 | 1 => self.durable_len,
            2 => self.len,
            _ => sizes.get(random.below(sizes.len().max(1) as u64) as usize).map_or(self.durable_len, |(_, len)| *len),
        };
        self.durable.truncate(self.durable_len);
        self.len = self.durable_len;
        self.pages = self.durable.clone();
        self.blocks = Rc::default();
    }

    fn touch(&mut self, sectors: impl Iterator<Item = u64>) {
        self.version += 1;
        for sector in sectors {
            self.dirty.entry(sector).or_insert(self.version);
        }
    }

    fn set_len(&mut self, len: u64) {
        if len != self.len {
            self.len = len;
            self.sizes.push((self.version, len));
        }
    }

    fn harden_len(&mut self) {
        self.durable_len = self.len;
        self.sizes.clear();
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
    /// Changes before the pending ones.
    done: u64,
}

/// What happened to a node's name; a node has one.
#[derive(Clone)]
enum Change {
    Insert(String, NodeId),
    Remove(String, NodeId),
    /// Whatever had the new name has none any more.
    Rename(String, String, NodeId),
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

    /// Nothing, when there is no such name.
    pub(super) fn remove(&mut self, name: &str) {
        if let Some(node) = self.get(name) {
            self.change(Change::Remove(name.to_owned(), node));
        }
    }

    /// Nothing, when there is no such name.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        if let Some(node) = self.get(from).filter(|_| from != to) {
            self.change(Change::Rename(from.to_owned(), to.to_owned(), node));
        }
    }

    pub(super) fn sync(&mut self) {
        self.save(self.made());
    }

    /// How many changes were made, ever.
    fn made(&self) -> u64 {
        self.done + self.pending.len() as u64
    }

    /// The first `made` changes are durable.
    fn save(&mut self, made: u64) {
        let count = made.saturating_sub(self.done) as usize;
        self.pending.drain(..count).for_each(|change| change.apply(&mut self.durable));
        self.done += count as u64;
    }

    /// A sync that failed: what was pending is no longer written by a later one.
    pub(super) fn forget_pending(&mut self) {
        self.done = self.made();
        self.pending.clear();
    }

    /// The power goes: of the changes since the last sync none survive, or the first few, or of each file its first few,
    /// whatever becomes of the others.
    pub(super) fn lose(&mut self, random: &mut Random) {
        let mut pending = std::mem::take(&mut self.pending);
        self.done += pending.len() as u64;
        match random.below(3) {
            0 => pending.clear(),
            1 => pending.truncate(random.between(0, pending.len() as u64) as usize),
            _ => keep_some_of_each(&mut pending, random),
        }
        pending.into_iter().for_each(|change| change.apply(&mut self.durable));
        self.names = self.durable.clone();
    }

    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.names);
        self.pending.push(change);
    }
}

/// A change of a node does not survive one before it that is lost.
fn keep_some_of_each(changes: &mut Vec<Change>, random: &mut Random) {
    let mut lost = BTreeSet::new();
    changes.retain(|change| {
        let survives = !lost.contains(&change.node()) && random.coin();
        if !survives {
            lost.insert(change.node());
        }
        survives
    });
}

impl Change {
    fn node(&self) -> NodeId {
        let (Self::Insert(_, node) | Self::Remove(_, node) | Self::Rename(_, _, node)) = self;
        *node
    }

    /// A name that another node has taken is left to it.
    fn apply(self, names: &mut BTreeMap<String, NodeId>) {
        match self {
            Self::Insert(name, node) => {
                names.insert(name, node);
            }
            Self::Remove(name, node) => vacate(names, &name, node),
            Self::Rename(from, to, node) => {
                vacate(names, &from, node);
                names.insert(to, node);
            }
        }
    }
}

fn vacate(names: &mut BTreeMap<String, NodeId>, name: &str, node: NodeId) {
    if names.get(name) == Some(&node) {
        names.remove(name);
    }
}
