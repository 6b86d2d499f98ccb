//! Writing a journal: batches gather while frames are in flight, and are acknowledged in the order of the frames.

use super::frame::{ENTRY_HEAD, FRAME_HEAD, FrameHeader, FrameWriter};
use super::limits::{BYTES_DEFAULT, CLOSE_PAUSE, FILE_BYTES, FRAME_BYTES_MAX, IN_FLIGHT_MAX, INITIAL_WRITE_BYTES};
use super::names::{self, Kind};
use super::ring::{Place, Ring, Usage};
use crate::runtime::{self, AlignedBuffer, BLOCK_BYTES, Class, Directory, File, OpenMode};
use crate::types::{Offset, TopicPartition};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// How large a journal may become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// In all.
    pub bytes: u64,
    /// One file; whole blocks.
    pub file_bytes: u64,
}

impl Settings {
    /// `bytes` in all, as files of a fitting size.
    pub fn new(bytes: u64) -> Self {
        let quarter = bytes / 4;
        let file_bytes = FILE_BYTES.min(quarter - quarter % BLOCK_BYTES as u64);
        Self { bytes, file_bytes }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(BYTES_DEFAULT)
    }
}

/// Whose batches are journaled: a partition and all it takes to tell it. A clone is the same one.
pub trait Source: Clone + 'static {
    fn partition(&self) -> TopicPartition;

    /// Whether it stands in the journal's line; kept by the journal.
    fn in_line(&self) -> &Cell<bool>;

    /// The next batches, of at most `bytes_max` but one at least.
    fn waiting(&self, bytes_max: usize) -> Waiting;

    /// Copies what [`Source::waiting`] has just told; it is the journal's from now on.
    fn hand_over(&self, waiting: Waiting, into: &mut [u8]);

    /// Everything handed over below `next` is on stable storage.
    fn stored(&self, next: Offset);

    /// The write that stored it took so long; said once for all that it stored.
    fn wrote(&self, took: Duration);

    /// The journal does not take what waits, or lost what it took: to be synced elsewhere.
    fn refused(&self);

    /// A write of the journal failed, of all its partitions. Said to one of them, before the others hear that they are
    /// refused.
    fn failed(&self, error: &io::Error);
}

/// Batches that wait for a journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// The log's end before them.
    pub from: Offset,
    /// The offset after them.
    pub next: Offset,
    /// 0 when there are none.
    pub bytes: usize,
}

/// One shard's journal in one log directory; clones share it. Nothing is on disk before the first use.
pub struct Journal<S>(Rc<Inner<S>>);

impl<S> Clone for Journal<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Inner<S> {
    dir: Directory,
    settings: Settings,
    incarnation: u64,
    ring: RefCell<Ring>,
    /// Open so that every write is synced; by their numbers in the ring.
    files: RefCell<Vec<File>>,
    line: RefCell<VecDeque<S>>,
    /// In the order of their sequences.
    flights: RefCell<VecDeque<Flight<S>>>,
    last_sequence: Cell<u64>,
    /// A task has been started that will gather the next frame.
    gathering: Cell<bool>,
    growing: Cell<bool>,
    /// The last attempt to add a file failed.
    full_grown: Cell<bool>,
    over: Cell<bool>,
}

/// A frame on its way. It leaves when it and all before it have landed.
struct Flight<S> {
    sequence: u64,
    landed: bool,
    entries: Vec<(S, Offset)>,
}

/// A frame to be written.
struct Departure {
    sequence: u64,
    file: File,
    place: Place,
    buffer: AlignedBuffer,
}

impl<S: Source> Journal<S> {
    /// `start` is [`Leftovers::next_start`] of the directory: it tells the journals of one start from those of others.
    pub fn new(dir: Directory, settings: Settings, start: u32) -> Self {
        assert!(settings.file_bytes.is_multiple_of(BLOCK_BYTES as u64) && settings.file_bytes > 0);
        Self(Rc::new(Inner {
            ring: RefCell::new(Ring::new(settings.bytes, settings.file_bytes)),
            incarnation: names::incarnation(start, runtime::random_u64()),
            dir,
            settings,
            files: RefCell::default(),
            line: RefCell::default(),
            flights: RefCell::default(),
            last_sequence: Cell::default(),
            gathering: Cell::default(),
            growing: Cell::default(),
            full_grown: Cell::default(),
            over: Cell::default(),
        }))
    }

    /// Whether there is room for more. While there is none, or no file yet, more is being made if it may.
    pub fn has_room(&self) -> bool {
        self.grow_if_due();
        !self.0.over.get() && self.0.ring.borrow().has_room()
    }

    /// Takes what waits at `source` along with the next frame.
    pub fn offer(&self, source: S) {
        if !source.in_line().replace(true) {
            self.0.line.borrow_mut().push_back(source);
        }
        self.depart_if_due();
    }

    /// The partition's segments have everything below `flushed` on stable storage.
    pub fn release(&self, partition: TopicPartition, flushed: Offset) {
        self.0.ring.borrow_mut().release(partition, flushed);
    }

    /// The partition was deleted.
    pub fn forget(&self, partition: TopicPartition) {
        self.0.ring.borrow_mut().forget(partition);
    }

    pub fn usage(&self) -> Usage {
        self.0.ring.borrow().usage()
    }

    /// Space is running short: those of [`Journal::holders_of_oldest`] should write and sync their segments.
    pub fn is_tight(&self) -> bool {
        self.0.ring.borrow().is_tight()
    }

    /// And below which offset, for the oldest file to become free.
    pub fn holders_of_oldest(&self) -> Vec<(TopicPartition, Offset)> {
        self.0.ring.borrow().holders_of_oldest()
    }

    /// Ends the journal. Its files go when nobody needs them any more; otherwise the next start reads them.
    pub async fn close(&self) -> io::Result<()> {
        self.0.over.set(true);
        // A partition that went offline waits for nothing, and may have left a frame on its way.
        while self.0.growing.get() || !self.0.flights.borrow().is_empty() {
            runtime::sleep(CLOSE_PAUSE).await;
        }
        let files = std::mem::take(&mut *self.0.files.borrow_mut());
        let count = files.len();
        for file in files {
            file.close().await?;
        }
        if count == 0 || !self.0.ring.borrow().is_unneeded() {
            return Ok(());
        }
        for number in 0..count {
            self.0.dir.remove_file(&names::file(Kind::Journal, self.0.incarnation, number)).await?;
        }
        self.0.dir.sync().await
    }

    /// The task is first polled after its spawner yields, so its frame takes all of that turn's batches.
    fn depart_if_due(&self) {
        let slot = self.0.flights.borrow().len() < IN_FLIGHT_MAX;
        if slot && !self.0.line.borrow().is_empty() && !self.0.gathering.replace(true) {
            runtime::spawn_in(Class::Data, self.clone().depart());
        }
    }

    async fn depart(self) {
        loop {
            self.0.gathering.set(false);
            let Some(departure) = self.gather() else { return };
            self.depart_if_due();
            let Departure { sequence, file, place, buffer } = departure;
            let begun = runtime::now();
            let written = file.write_at(buffer, place.position).await;
            self.landed(sequence, place, written, begun.elapsed());
            // The slot is free; what has gathered goes out in this very turn.
            if self.0.line.borrow().is_empty() || self.0.gathering.replace(true) {
                return;
            }
        }
    }

    /// The next frame, of what stands in line; `None` when nothing does, or it has to go elsewhere.
    fn gather(&self) -> Option<Departure> {
        if self.0.flights.borrow().len() >= IN_FLIGHT_MAX {
            return None;
        }
        let (chosen, len) = self.choose();
        if chosen.is_empty() {
            return None;
        }
        let len = len.next_multiple_of(BLOCK_BYTES);
        let place = match self.0.over.get() {
            true => None,
            false => self.0.ring.borrow_mut().reserve(len as u64),
        };
        self.grow_if_due();
        let Some(place) = place else {
            chosen.iter().for_each(|(source, _)| source.refused());
            // Those still in line must not wait for the next offer.
            self.depart_if_due();
            return None;
        };
        Some(self.load(chosen, place, len))
    }

    /// Those in line as far as a frame holds them, and the frame's length.
    fn choose(&self) -> (Vec<(S, Waiting)>, usize) {
        let mut chosen: Vec<(S, Waiting)> = Vec::new();
        let mut len = FRAME_HEAD;
        loop {
            let first = self.0.line.borrow_mut().pop_front();
            let Some(source) = first else { break };
            let room = FRAME_BYTES_MAX.saturating_sub(len + ENTRY_HEAD);
            let waiting = source.waiting(room);
            if waiting.bytes > room && !chosen.is_empty() {
                self.0.line.borrow_mut().push_front(source);
                break;
            }
            source.in_line().set(false);
            if waiting.bytes > 0 {
                len += ENTRY_HEAD + waiting.bytes;
                chosen.push((source, waiting));
            }
        }
        (chosen, len)
    }

    fn load(&self, chosen: Vec<(S, Waiting)>, place: Place, len: usize) -> Departure {
        let file = self.0.files.borrow()[place.file].clone();
        let mut buffer = file.allocate(len);
        let mut frame = FrameWriter::new(&mut buffer);
        let sequence = self.0.last_sequence.get() + 1;
        self.0.last_sequence.set(sequence);
        for (source, waiting) in &chosen {
            source.hand_over(*waiting, frame.entry(source.partition(), waiting.from, waiting.bytes));
            self.0.ring.borrow_mut().hold(source.partition(), place.file, waiting.next);
        }
        frame.finish(FrameHeader { incarnation: self.0.incarnation, sequence });
        let entries: Vec<_> = chosen.into_iter().map(|(source, waiting)| (source, waiting.next)).collect();
        for (source, _) in entries.iter().filter(|(source, _)| source.waiting(0).bytes > 0) {
            if !source.in_line().replace(true) {
                self.0.line.borrow_mut().push_back(source.clone());
            }
        }
        self.0.flights.borrow_mut().push_back(Flight { sequence, landed: false, entries });
        Departure { sequence, file, place, buffer }
    }

    fn landed(&self, sequence: u64, place: Place, written: io::Result<()>, took: Duration) {
        self.0.ring.borrow_mut().landed(place.file);
        match written {
            Ok(()) => {
                let mut flights = self.0.flights.borrow_mut();
                if let Some(flight) = flights.iter_mut().find(|flight| flight.sequence == sequence) {
                    flight.landed = true;
                    flight.entries.first().inspect(|(source, _)| source.wrote(took));
                }
            }
            Err(error) => self.fail(&error),
        }
        loop {
            let first = self.0.flights.borrow_mut().pop_front_if(|first| first.landed);
            let Some(flight) = first else { break };
            flight.entries.iter().for_each(|(source, next)| source.stored(*next));
        }
    }

    /// A failed write is not tried again, and nothing more is taken. What was stored before stays needed.
    fn fail(&self, error: &io::Error) {
        let first = !self.0.over.replace(true);
        let lost: Vec<_> = self.0.flights.borrow_mut().drain(..).collect();
        if let Some((source, _)) = lost.iter().find_map(|flight| flight.entries.first()).filter(|_| first) {
            source.failed(error);
        }
        for flight in lost {
            flight.entries.iter().for_each(|(source, _)| source.refused());
        }
    }

    fn grow_if_due(&self) {
        let may = !self.0.over.get() && !self.0.full_grown.get();
        if may && self.0.ring.borrow().wants_file() && !self.0.growing.replace(true) {
            runtime::spawn_in(Class::Background, self.clone().grow());
        }
    }

    /// Adds a file. After a failure there are no more attempts: the disk may be full.
    async fn grow(self) {
        let number = self.0.files.borrow().len();
        match initialise(
            &self.0.dir,
            &names::file(Kind::Journal, self.0.incarnation, number),
            self.0.settings.file_bytes,
        )
        .await
        {
            Ok(file) => {
                self.0.files.borrow_mut().push(file);
                assert_eq!(self.0.ring.borrow_mut().add_file(), number, "files are added one by one");
            }
            Err(error) => {
                self.0.full_grown.set(true);
                let path = self.0.dir.path().display();
                tracing::warn!("the journal in {path} grows no further: {error}; more partitions sync by themselves");
            }
        }
        self.0.growing.set(false);
    }
}

/// A new file, written once with zeros so that its blocks are never converted later, and known by its name durably.
async fn initialise(dir: &Directory, name: &str, bytes: u64) -> io::Result<File> {
    let file = dir.open_file(name, OpenMode::Write { create: true, synced: false }).await?;
    file.pre_allocate(bytes).await?;
    let mut at = 0;
    while at < bytes {
        let mut buffer = file.allocate((bytes - at).min(INITIAL_WRITE_BYTES as u64) as usize);
        buffer.zero_from(0);
        let len = buffer.len() as u64;
        file.write_at(buffer, at).await?;
        at += len;
    }
    file.sync().await?;
    file.close().await?;
    dir.sync().await?;
    dir.open_file(name, OpenMode::Write { create: false, synced: true }).await
}
