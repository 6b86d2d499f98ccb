//! What a crash left in the journals of a log directory: looked through once, then read partition by partition while
//! their logs are opened. However many shards there were then, and are now.

use super::frame::{self, ENTRY_HEAD, FRAME_HEAD, Frame, FrameHeader, FrameWriter};
use super::limits::READ_BYTES;
use super::names::{self, Kind};
use crate::runtime::{self, BLOCK_BYTES, Directory, File, OpenMode};
use crate::types::{Offset, TopicPartition};
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where the entries of each partition lie, in their order. May cross to other shards.
#[derive(Debug, Default)]
pub struct Leftovers {
    files: Vec<String>,
    entries: HashMap<TopicPartition, Vec<Entry>>,
    last_start: u32,
    /// Logs are being opened that may take something back, or find what was not synced.
    needed: AtomicBool,
    /// What they found is on stable storage.
    synced: AtomicBool,
    /// What was noted of each partition, in the order it was; taken as its log is opened.
    notes: Mutex<HashMap<TopicPartition, Vec<Bytes>>>,
    /// Partitions that could not take back what is theirs.
    kept: Mutex<BTreeSet<TopicPartition>>,
}

/// An entry's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    file: usize,
    position: u64,
    len: usize,
    /// The log's end before its batches.
    pub from: Offset,
}

/// A frame's place, and what it holds.
struct Found {
    file: usize,
    position: u64,
    frame: Frame,
}

/// A frame of notes, and its bytes.
type Noted = (Frame, Bytes);

impl Leftovers {
    /// Looks through all journals in `dir`. Frames that are damaged are passed over; a file that cannot be read is an
    /// error, which names it: going on without it would lose what was acknowledged. Notes that cannot be read spare
    /// nobody a scan, and nothing else.
    pub async fn find(dir: &Directory) -> io::Result<Self> {
        let mut leftovers = Self { needed: AtomicBool::new(true), ..Self::default() };
        // Older starts come first.
        let mut found: BTreeMap<u64, Vec<Found>> = BTreeMap::new();
        let mut noted: BTreeMap<u64, Vec<Noted>> = BTreeMap::new();
        for entry in dir.list().await? {
            let Some((kind, incarnation)) = names::parse_file(&entry.name).filter(|_| !entry.is_dir) else { continue };
            let file = leftovers.files.len();
            leftovers.files.push(entry.name.clone());
            leftovers.last_start = leftovers.last_start.max(names::start(incarnation));
            match kind {
                Kind::Journal => {
                    let found = found.entry(incarnation).or_default();
                    let take = |position, frame, _| found.push(Found { file, position, frame });
                    read_file(dir, &entry, incarnation, take)
                        .await
                        .map_err(|error| unreadable(dir, &entry.name, &error))?;
                }
                Kind::Notes => {
                    let noted = noted.entry(incarnation).or_default();
                    if let Err(error) =
                        read_file(dir, &entry, incarnation, |_, frame, bytes| noted.push((frame, bytes))).await
                    {
                        let path = dir.path().join(&entry.name);
                        tracing::warn!("{}: {error}; the logs noted there are scanned", path.display());
                    }
                }
            }
        }
        found.into_values().for_each(|found| leftovers.take(found));
        noted.into_values().for_each(|noted| leftovers.take_noted(noted));
        Ok(leftovers)
    }

    /// Takes the frames of one incarnation.
    fn take(&mut self, mut found: Vec<Found>) {
        found.sort_unstable_by_key(|found| found.frame.header.sequence);
        for Found { file, position, frame } in found {
            for entry in frame.entries {
                let position = position + entry.batches.start as u64;
                let place = Entry { file, position, len: entry.batches.len(), from: entry.from };
                self.entries.entry(entry.partition).or_default().push(place);
            }
        }
    }

    fn take_noted(&mut self, mut noted: Vec<Noted>) {
        noted.sort_unstable_by_key(|(frame, _)| frame.header.sequence);
        let notes = self.notes.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (frame, bytes) in noted {
            for entry in frame.entries {
                notes.entry(entry.partition).or_default().push(bytes.slice(entry.batches));
            }
        }
    }

    /// What was noted of the partition, in the order it was; forgotten here.
    pub fn take_notes(&self, partition: TopicPartition) -> Vec<Bytes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition).unwrap_or_default()
    }

    /// The logs of the directory are being opened after a crash, and nobody is served yet.
    pub fn is_needed(&self) -> bool {
        self.needed.load(Ordering::Acquire)
    }

    /// There were no journals.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Those that something was stored of.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = TopicPartition> {
        self.entries.keys().copied()
    }

    /// The number of this start, past those of all that left something.
    pub fn next_start(&self) -> u32 {
        self.last_start.saturating_add(1)
    }

    /// The partition's entries, in the order they were stored. Some may be older than what its log has.
    pub fn of(&self, partition: TopicPartition) -> &[Entry] {
        self.entries.get(&partition).map_or(&[], Vec::as_slice)
    }

    /// The partition could not take back what is here: it stays for a later start.
    pub fn keep(&self, partition: TopicPartition) {
        if !self.of(partition).is_empty() {
            self.kept().insert(partition);
        }
    }

    fn kept(&self) -> MutexGuard<'_, BTreeSet<TopicPartition>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every partition that there still is has its batches in its own segments: these are synced here, all at once, with
    /// whatever else the logs found unsynced. The logs may note then what they found, before [`Leftovers::remove`].
    pub async fn sync(&self, dir: &Directory) -> io::Result<()> {
        if self.needed.swap(false, Ordering::AcqRel) {
            dir.sync_file_system().await?;
        }
        self.synced.store(true, Ordering::Release);
        Ok(())
    }

    pub fn is_synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }

    /// Removes the files after [`Leftovers::sync`]. What is kept is put into a file of its own first: nothing stays of those
    /// that have gone on.
    pub async fn remove(self: &Arc<Self>, dir: &Directory) -> io::Result<()> {
        assert!(self.is_synced(), "what logs have taken from journals is synced before those go");
        let kept: Vec<TopicPartition> = self.kept().iter().copied().collect();
        if !kept.is_empty() {
            let path = dir.path().display();
            tracing::warn!("{path}: what journals hold of {} partitions stays for the next start", kept.len());
            self.put_aside(dir, &kept).await?;
        }
        remove(dir, self.files.iter().map(String::as_str)).await
    }

    /// Copies the entries of these partitions into a file that is older than any start.
    async fn put_aside(self: &Arc<Self>, dir: &Directory, kept: &[TopicPartition]) -> io::Result<()> {
        let incarnation = names::incarnation(0, runtime::random_u64());
        let name = names::file(Kind::Journal, incarnation, 0);
        let file = dir.open_file(&name, OpenMode::Write { create: true, synced: false }).await?;
        let reader = Reader::new(self.clone(), dir.clone());
        let (mut sequence, mut at) = (0, 0);
        for &partition in kept {
            for entry in self.of(partition) {
                let batches = reader.read(entry).await?;
                let mut buffer = file.allocate((FRAME_HEAD + ENTRY_HEAD + batches.len()).next_multiple_of(BLOCK_BYTES));
                let mut frame = FrameWriter::new(&mut buffer);
                frame.entry(partition, entry.from, batches.len()).copy_from_slice(&batches);
                sequence += 1;
                frame.finish(FrameHeader { incarnation, sequence });
                let len = buffer.len() as u64;
                file.pre_allocate(at + len).await?;
                file.write_at(buffer, at).await?;
                at += len;
            }
        }
        file.sync().await?;
        file.close().await?;
        dir.sync().await
    }
}

/// Removes the journals of a directory whose logs were closed in order, by us or by Kafka: they tell of what was before.
pub async fn discard(dir: &Directory) -> io::Result<()> {
    let entries = dir.list().await?;
    remove(dir, entries.iter().map(|entry| entry.name.as_str()).filter(|name| names::is_file(name))).await
}

async fn remove(dir: &Directory, names: impl Iterator<Item = &str>) -> io::Result<()> {
    let mut removed = false;
    for name in names {
        dir.remove_file(name).await?;
        removed = true;
    }
    if removed { dir.sync().await } else { Ok(()) }
}

fn unreadable(dir: &Directory, name: &str, error: &io::Error) -> io::Error {
    let path = dir.path().join(name);
    let why = format!(
        "{}: {error}; it may hold acknowledged records that are nowhere else: make it readable, or remove it to go on \
         without them",
        path.display()
    );
    io::Error::new(error.kind(), why)
}

/// Goes through a file block by block, as frames of an older lap may begin at any, and gives `take` each frame that is good
/// with its position and its bytes.
async fn read_file(
    dir: &Directory,
    entry: &runtime::Entry,
    incarnation: u64,
    mut take: impl FnMut(u64, Frame, Bytes),
) -> io::Result<()> {
    let mut window = Window { file: dir.open_file(&entry.name, OpenMode::Read).await?, at: 0, bytes: Bytes::new() };
    let (len, mut position) = (entry.len, 0);
    while position + FRAME_HEAD as u64 <= len {
        let head = window.read(position, FRAME_HEAD).await?;
        let claimed = frame::claimed(&head).filter(|claimed| position + claimed.len as u64 <= len);
        let frame = match claimed {
            Some(claimed) => {
                let bytes = window.read(position, claimed.len).await?;
                frame::parse(&bytes).map(|frame| (frame, bytes))
            }
            None => None,
        };
        match frame.filter(|(frame, _)| frame.header.incarnation == incarnation) {
            Some((frame, bytes)) => {
                let len = bytes.len();
                take(position, frame, bytes);
                position += len.next_multiple_of(BLOCK_BYTES) as u64;
            }
            None => position += BLOCK_BYTES as u64,
        }
    }
    window.file.close().await
}

/// A file read in long steps.
struct Window {
    file: File,
    at: u64,
    bytes: Bytes,
}

impl Window {
    async fn read(&mut self, at: u64, len: usize) -> io::Result<Bytes> {
        let from = at.checked_sub(self.at).and_then(|from| usize::try_from(from).ok());
        if let Some(from) = from.filter(|from| from + len <= self.bytes.len()) {
            return Ok(self.bytes.slice(from..from + len));
        }
        self.bytes = self.file.read_at(at, len.max(READ_BYTES)).await?;
        self.at = at;
        if self.bytes.len() < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.bytes.slice(..len))
    }
}

/// Leftovers as one shard reads them.
pub struct Reader {
    leftovers: Arc<Leftovers>,
    dir: Directory,
    files: RefCell<HashMap<usize, File>>,
}

impl Reader {
    pub fn new(leftovers: Arc<Leftovers>, dir: Directory) -> Self {
        Self { leftovers, dir, files: RefCell::default() }
    }

    pub fn leftovers(&self) -> &Leftovers {
        &self.leftovers
    }

    /// Lets go of the files; who reads again opens them again.
    pub async fn rest(&self) {
        let files = std::mem::take(&mut *self.files.borrow_mut());
        for (number, file) in files {
            if let Err(error) = file.close().await {
                tracing::warn!("{} is not closed: {error}", self.leftovers.files[number]);
            }
        }
    }

    #[cfg(test)]
    pub fn open_files(&self) -> usize {
        self.files.borrow().len()
    }

    /// The batches of an entry.
    pub async fn read(&self, entry: &Entry) -> io::Result<Bytes> {
        let open = self.files.borrow().get(&entry.file).cloned();
        let file = match open {
            Some(file) => file,
            None => {
                let file = self.dir.open_file(&self.leftovers.files[entry.file], OpenMode::Read).await?;
                self.files.borrow_mut().entry(entry.file).or_insert(file).clone()
            }
        };
        let bytes = file.read_at(entry.position, entry.len).await?;
        if bytes.len() < entry.len { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
    }
}
