//! A segment's place on disk, shared by the log and by reads under way: a lease that keeps a deleted segment readable.

use super::error::{Doing, StorageError};
use super::heat::Heat;
use super::index_file;
use super::limits::{AT_HAND_BYTES_MAX, HINTS, READ_PART_MIN, READ_PARTS};
use super::names;
use super::time_index::{TIME_ENTRY, TimeEntry};
use crate::budget::Budget;
use crate::runtime::{self, Directory, File, OpenMode};
use crate::types::{Offset, Timestamp};
use bytes::Bytes;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::io;

/// Held in an `Rc`: by the log while the segment belongs to it, and by every read until it is done.
pub(super) struct SegmentFile {
    dir: Directory,
    base: Offset,
    /// Added to the names once the segment is to be deleted.
    suffix: RefCell<Cow<'static, str>>,
    reader: RefCell<Option<File>>,
    /// Counts truncations: a read that began before one must not believe what it finds.
    generation: Cell<u32>,
    hints: RefCell<Hints>,
    heat: RefCell<Heat>,
    /// Whether its shard knows the reader as open, and whether that was used since it was last asked.
    listed: Cell<bool>,
    used: Cell<bool>,
    /// Of a sealed segment, once its time index has been asked.
    largest_timestamp: Cell<Option<Timestamp>>,
    /// When the `.log` file of a sealed segment was last written, once that was asked.
    modified: Cell<Option<Timestamp>>,
    /// The transaction index has entries, in its file or in memory.
    aborted: Cell<bool>,
    /// Of the first batch of a sealed segment, once that was asked.
    first_timestamp: Cell<Option<Timestamp>>,
    /// Another file may bear its name now.
    replaced: Cell<bool>,
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
            suffix: RefCell::default(),
            reader: RefCell::default(),
            generation: Cell::default(),
            hints: RefCell::default(),
            heat: RefCell::default(),
            listed: Cell::default(),
            used: Cell::default(),
            largest_timestamp: Cell::default(),
            modified: Cell::default(),
            aborted: Cell::default(),
            first_timestamp: Cell::default(),
            replaced: Cell::default(),
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
        names::file(self.base, extension) + &self.suffix.borrow()
    }

    /// The `.log` file, open for reading.
    pub async fn reader(&self) -> io::Result<File> {
        if let Some(file) = &*self.reader.borrow() {
            return Ok(file.clone());
        }
        let file = self.open(names::LOG).await?;
        Ok(self.reader.borrow_mut().get_or_insert(file).clone())
    }

    /// Bytes of the `.log` file that are in memory since others read them.
    pub fn at_hand(&self, position: u64, len: usize) -> Option<Bytes> {
        self.reader.borrow().as_ref().filter(|_| self.is_kept(position, len))?.at_hand(position, len)
    }

    /// Whether [`SegmentFile::at_hand`] is likely to have something.
    pub fn is_kept(&self, position: u64, len: usize) -> bool {
        len <= AT_HAND_BYTES_MAX && self.heat.borrow().is_kept(position, len)
    }

    /// Reads the `.log` file from disk when there is room in `turns`, so that it stays in memory if that has been done
    /// before.
    pub async fn read(&self, position: u64, len: usize, turns: &Budget) -> io::Result<Bytes> {
        let file = self.reader().await?;
        let again = self.heat.borrow_mut().touch(runtime::now(), position, len);
        if !again {
            // Some at a time, so that one ends while another is under way; few bytes mean that somebody else waits.
            let part = (turns.limit() / READ_PARTS).next_power_of_two().max(READ_PART_MIN);
            return file.read_in_turn(position, len, part, async |size| turns.charge(size).await).await;
        }
        let _turn = turns.charge(len).await;
        file.read_and_keep(position, len).await
    }

    /// Any of the segment's files, open for reading.
    pub async fn open(&self, extension: &str) -> io::Result<File> {
        if self.replaced.get() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.dir.open_file(&self.name(extension), OpenMode::Read).await
    }

    /// Lets go of the file until the next read.
    pub fn release(&self) {
        self.reader.take();
        self.hints.take();
        self.heat.take();
    }

    /// Its reader is used; returns whether it was listed already.
    pub fn note_use(&self) -> bool {
        self.used.set(self.listed.get());
        self.listed.replace(true)
    }

    /// Whether it was used since it was last asked.
    pub fn take_use(&self) -> bool {
        self.used.take()
    }

    /// Lets go of the descriptors, and of nothing else.
    pub fn close_reader(&self) {
        self.listed.set(false);
        self.reader.take();
    }

    #[cfg(test)]
    pub fn is_open(&self) -> bool {
        self.reader.borrow().is_some()
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

    /// The largest timestamp of a sealed segment, from its time index: `Timestamp::NONE` when no record has one, `None`
    /// when there is no index.
    pub async fn load_largest_timestamp(&self) -> Result<Option<Timestamp>, StorageError> {
        if let Some(known) = self.largest_timestamp() {
            return Ok(Some(known));
        }
        let index = match self.open(names::TIME_INDEX).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            index => index.doing("opening a time index")?,
        };
        let (_, last) = index_file::last::<TIME_ENTRY>(&index).await.doing("reading a time index")?;
        index.close().await.doing("closing a time index")?;
        let largest = last.map_or(Timestamp::NONE, |bytes| TimeEntry::parse(self.base, &bytes).timestamp);
        self.set_largest_timestamp(largest);
        Ok(Some(largest))
    }

    pub fn set_modified(&self, modified: Timestamp) {
        self.modified.set(Some(modified));
    }

    /// The largest timestamp of a sealed segment, or when it was last written if its records have none; as far as
    /// either was asked for.
    pub fn age(&self) -> Option<Timestamp> {
        self.largest_timestamp().filter(|largest| *largest != Timestamp::NONE).or(self.modified.get())
    }

    pub fn has_aborted(&self) -> bool {
        self.aborted.get()
    }

    pub fn set_aborted(&self, aborted: bool) {
        self.aborted.set(aborted);
    }

    pub fn first_timestamp(&self) -> Option<Timestamp> {
        self.first_timestamp.get()
    }

    pub fn set_first_timestamp(&self, timestamp: Timestamp) {
        self.first_timestamp.set(Some(timestamp));
    }

    pub fn is_deleted(&self) -> bool {
        self.suffix.borrow().ends_with(names::DELETED) || self.replaced.get()
    }

    /// The files have names from now on that no other will have.
    pub fn mark_deleted(&self) {
        self.suffix.replace(names::deleted_suffix(runtime::random_u64()).into());
    }

    /// A cleaned segment takes its place. Who has the file open reads on; who has not finds it gone, as a later
    /// replacement gives its name to another.
    pub fn mark_replaced(&self) {
        self.replaced.set(true);
    }

    /// The files carry this after their names from now on.
    pub fn rename_to(&self, suffix: &'static str) {
        self.suffix.replace(suffix.into());
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
