//! A segment's place on disk, shared by the log and by reads under way: a lease that keeps a deleted segment readable.

use super::limits::HINTS;
use super::names;
use crate::runtime::{Directory, File, OpenMode};
use crate::types::{Offset, Timestamp};
use std::cell::{Cell, RefCell};
use std::io;

/// Held in an `Rc`: by the log while the segment belongs to it, and by every read until it is done.
pub(super) struct SegmentFile {
    dir: Directory,
    base: Offset,
    /// Added to the names once the segment is to be deleted.
    suffix: Cell<&'static str>,
    reader: RefCell<Option<File>>,
    /// Counts truncations: a read that began before one must not believe what it finds.
    generation: Cell<u32>,
    hints: RefCell<Hints>,
    /// Of a sealed segment, once its time index has been asked.
    largest_timestamp: Cell<Option<Timestamp>>,
}

/// Where the last reads ended: a reader in sequence goes on there without an index.
#[derive(Default)]
struct Hints {
    places: [Option<(Offset, u64)>; HINTS],
    next: usize,
}

impl SegmentFile {
    pub fn new(dir: &Directory, base: Offset) -> Self {
        Self {
            dir: dir.clone(),
            base,
            suffix: Cell::new(""),
            reader: RefCell::default(),
            generation: Cell::default(),
            hints: RefCell::default(),
            largest_timestamp: Cell::default(),
        }
    }

    pub fn base(&self) -> Offset {
        self.base
    }

    pub fn dir(&self) -> &Directory {
        &self.dir
    }

    /// Name of one of the segment's files as it is now.
    pub fn name(&self, extension: &str) -> String {
        names::file(self.base, extension) + self.suffix.get()
    }

    /// The `.log` file, open for reading.
    pub async fn reader(&self) -> io::Result<File> {
        if let Some(file) = &*self.reader.borrow() {
            return Ok(file.clone());
        }
        let file = self.open(names::LOG).await?;
        Ok(self.reader.borrow_mut().get_or_insert(file).clone())
    }

    /// Any of the segment's files, open for reading.
    pub async fn open(&self, extension: &str) -> io::Result<File> {
        self.dir.open_file(&self.name(extension), OpenMode::Read).await
    }

    /// Lets go of the file until the next read.
    pub fn release(&self) {
        self.reader.take();
        self.hints.take();
    }

    pub fn generation(&self) -> u32 {
        self.generation.get()
    }

    /// The file is about to be cut: reads under way become void, places remembered too.
    pub fn invalidate(&self) {
        self.generation.set(self.generation.get() + 1);
        self.largest_timestamp.take();
        self.hints.take();
    }

    pub fn largest_timestamp(&self) -> Option<Timestamp> {
        self.largest_timestamp.get()
    }

    pub fn set_largest_timestamp(&self, timestamp: Timestamp) {
        self.largest_timestamp.set(Some(timestamp));
    }

    pub fn is_deleted(&self) -> bool {
        !self.suffix.get().is_empty()
    }

    /// The files carry `.deleted` from now on.
    pub fn mark_deleted(&self) {
        self.suffix.set(names::DELETED);
    }

    /// Where the batch that begins with `offset` lies, if a read ended just before it.
    pub fn hint(&self, offset: Offset) -> Option<u64> {
        let hints = self.hints.borrow();
        hints.places.iter().flatten().find(|(at, _)| *at == offset).map(|(_, position)| *position)
    }

    pub fn remember(&self, offset: Offset, position: u64) {
        let mut hints = self.hints.borrow_mut();
        if hints.places.contains(&Some((offset, position))) {
            return;
        }
        let next = hints.next;
        hints.places[next] = Some((offset, position));
        hints.next = (next + 1) % HINTS;
    }
}
