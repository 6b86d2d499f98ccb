//! Notes beside a journal: what partitions want to find after a crash about batches that are in their segments already. Kept
//! as well as can be done for nothing: gathered, written without a sync, dropped when there is no room.

use super::frame::{ENTRY_HEAD, FRAME_HEAD, FrameHeader, FrameWriter};
use super::journal::Settings;
use super::limits::{CLOSE_PAUSE, FRAME_BYTES_MAX, NOTES_EASY_SHARE, NOTES_PAUSE, NOTES_WAITING_BYTES_MAX};
use super::names::{self, Kind};
use super::ring::Ring;
use crate::runtime::{self, BLOCK_BYTES, Class, Directory, File, OpenMode};
use crate::types::{Offset, TopicPartition};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

/// One shard's notes in one log directory; clones share them. Nothing is on disk before the first.
#[derive(Clone)]
pub struct Notes(Rc<Inner>);

struct Inner {
    dir: Directory,
    settings: Settings,
    incarnation: u64,
    /// Held by partitions whose recovery points lie below their notes.
    ring: RefCell<Ring>,
    files: RefCell<Vec<File>>,
    waiting: RefCell<VecDeque<Entry>>,
    waiting_bytes: Cell<usize>,
    last_sequence: Cell<u64>,
    writing: Cell<bool>,
    over: Cell<bool>,
}

struct Entry {
    partition: TopicPartition,
    from: Offset,
    next: Offset,
    bytes: Vec<u8>,
}

impl Notes {
    /// `start` as of the journal beside it.
    pub fn new(dir: Directory, settings: Settings, start: u32) -> Self {
        Self(Rc::new(Inner {
            dir,
            settings,
            incarnation: names::incarnation(start, runtime::random_u64()),
            ring: RefCell::new(Ring::new(settings.bytes, settings.file_bytes)),
            files: RefCell::default(),
            waiting: RefCell::default(),
            waiting_bytes: Cell::default(),
            last_sequence: Cell::default(),
            writing: Cell::default(),
            over: Cell::default(),
        }))
    }

    /// Keeps what is to be known of the partition's batches `from` up to `next`, when there is room.
    pub fn note(&self, partition: TopicPartition, from: Offset, next: Offset, bytes: Vec<u8>) {
        let len = ENTRY_HEAD + bytes.len();
        let waiting = self.0.waiting_bytes.get() + len;
        if self.0.over.get() || waiting > NOTES_WAITING_BYTES_MAX || FRAME_HEAD + len > FRAME_BYTES_MAX {
            return;
        }
        self.0.waiting_bytes.set(waiting);
        self.0.waiting.borrow_mut().push_back(Entry { partition, from, next, bytes });
        if !self.0.writing.replace(true) {
            runtime::spawn_in(Class::Background, self.clone().write());
        }
    }

    /// Waits until a note is not dropped for those that have not been written yet.
    pub async fn room(&self) {
        while self.0.writing.get() && self.0.waiting_bytes.get() > NOTES_WAITING_BYTES_MAX / 2 {
            runtime::sleep(CLOSE_PAUSE).await;
        }
    }

    /// Waits until all are written, or given up.
    pub async fn settled(&self) {
        while self.0.writing.get() {
            runtime::sleep(CLOSE_PAUSE).await;
        }
    }

    /// A start after a crash will begin to scan the partition at `recovery_point`, or past it.
    pub fn release(&self, partition: TopicPartition, recovery_point: Offset) {
        self.0.ring.borrow_mut().release(partition, recovery_point);
    }

    /// The partition is gone from here.
    pub fn forget(&self, partition: TopicPartition) {
        let mut waiting = self.0.waiting.borrow_mut();
        waiting.retain(|entry| entry.partition != partition);
        self.0.waiting_bytes.set(waiting.iter().map(|entry| ENTRY_HEAD + entry.bytes.len()).sum());
        self.0.ring.borrow_mut().forget(partition);
    }

    /// The partitions that should move their recovery points, for the notes of the others to have room.
    pub fn pressed(&self) -> Vec<TopicPartition> {
        let ring = self.0.ring.borrow();
        let holders =
            if ring.held_files() > ring.files_max() / NOTES_EASY_SHARE { ring.holders_of_oldest() } else { Vec::new() };
        holders.into_iter().map(|(partition, _)| partition).collect()
    }

    #[cfg(test)]
    pub fn is_unneeded(&self) -> bool {
        self.0.waiting.borrow().is_empty() && self.0.ring.borrow().is_unneeded()
    }

    /// Ends the notes, whose files go: the logs are closed in order.
    pub async fn close(&self) -> io::Result<()> {
        self.0.over.set(true);
        self.settled().await;
        let files = std::mem::take(&mut *self.0.files.borrow_mut());
        for (number, file) in files.into_iter().enumerate() {
            file.close().await?;
            self.0.dir.remove_file(&names::file(Kind::Notes, self.0.incarnation, number)).await?;
        }
        Ok(())
    }

    async fn write(self) {
        while !self.0.over.get() && !self.0.waiting.borrow().is_empty() {
            if self.0.waiting_bytes.get() < FRAME_BYTES_MAX {
                runtime::sleep(NOTES_PAUSE).await;
            }
            if let Err(error) = self.write_frame().await {
                let path = self.0.dir.path().display();
                tracing::warn!("no more is noted in {path}: {error}; a start after a crash has more to scan");
                self.0.over.set(true);
            }
        }
        self.0.writing.set(false);
    }

    async fn write_frame(&self) -> io::Result<()> {
        let (entries, len) = self.next_entries();
        let len = len.next_multiple_of(BLOCK_BYTES);
        self.grow_if_due().await?;
        let place = { self.0.ring.borrow_mut().reserve(len as u64) };
        let Some(place) = place else { return Ok(()) };
        let file = { self.0.files.borrow()[place.file].clone() };
        let mut buffer = file.allocate(len);
        let mut frame = FrameWriter::new(&mut buffer);
        for entry in &entries {
            frame.entry(entry.partition, entry.from, entry.bytes.len()).copy_from_slice(&entry.bytes);
            self.0.ring.borrow_mut().hold(entry.partition, place.file, entry.next);
        }
        let sequence = self.0.last_sequence.get() + 1;
        self.0.last_sequence.set(sequence);
        frame.finish(FrameHeader { incarnation: self.0.incarnation, sequence });
        let written = file.write_at(buffer, place.position).await;
        self.0.ring.borrow_mut().landed(place.file);
        written
    }

    /// As many as a frame holds, one at least, and the frame's length.
    fn next_entries(&self) -> (Vec<Entry>, usize) {
        let mut waiting = self.0.waiting.borrow_mut();
        let (mut entries, mut len) = (Vec::new(), FRAME_HEAD);
        while let Some(entry) = waiting.pop_front_if(|entry| len + ENTRY_HEAD + entry.bytes.len() <= FRAME_BYTES_MAX) {
            len += ENTRY_HEAD + entry.bytes.len();
            entries.push(entry);
        }
        self.0.waiting_bytes.set(self.0.waiting_bytes.get() - (len - FRAME_HEAD));
        (entries, len)
    }

    async fn grow_if_due(&self) -> io::Result<()> {
        let wants = { self.0.ring.borrow().wants_file() };
        if !wants {
            return Ok(());
        }
        let number = self.0.files.borrow().len();
        let name = names::file(Kind::Notes, self.0.incarnation, number);
        let file = self.0.dir.open_file(&name, OpenMode::Write { create: true, synced: false }).await?;
        file.pre_allocate(self.0.settings.file_bytes).await?;
        self.0.files.borrow_mut().push(file);
        assert_eq!(self.0.ring.borrow_mut().add_file(), number, "files are added one by one");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Leftovers;
    use super::*;
    use crate::runtime::memory::Disk;
    use crate::runtime::simulation::simulate;
    use crate::types::{PartitionIndex, TopicId};
    use bytes::Bytes;
    use std::time::Duration;

    const SETTINGS: Settings = Settings { bytes: 2 * 16_384, file_bytes: 16_384 };

    fn partition(index: i32) -> TopicPartition {
        TopicPartition { topic: TopicId::default(), partition: PartitionIndex(index) }
    }

    fn test<F: Future<Output = ()>>(run: impl FnOnce(Directory, Notes) -> F) {
        simulate(1, async {
            let dir = Directory::memory(&Disk::new(1));
            run(dir.clone(), Notes::new(dir, SETTINGS, 1)).await;
        });
    }

    async fn quiet() {
        runtime::sleep(Duration::from_secs(1)).await;
    }

    /// Notes a number of the partition, as of one offset, and waits until it is written.
    async fn note(notes: &Notes, index: i32, number: u8) {
        let from = Offset(i64::from(number));
        notes.note(partition(index), from, from.plus(1), vec![number; 3_000]);
        quiet().await;
    }

    async fn found(dir: &Directory, index: i32) -> Vec<u8> {
        let leftovers = Leftovers::find(dir).await.unwrap();
        leftovers.take_notes(partition(index)).iter().map(|note: &Bytes| note[0]).collect()
    }

    #[test]
    fn notes_come_back_by_partition_in_their_order() {
        test(async |dir, notes| {
            for number in 1..4 {
                note(&notes, i32::from(number) % 2, number).await;
            }
            assert_eq!((found(&dir, 0).await, found(&dir, 1).await), (vec![2], vec![1, 3]));
            let leftovers = Leftovers::find(&dir).await.unwrap();
            assert!(leftovers.of(partition(0)).is_empty(), "they are nothing to be restored");
            assert_eq!(leftovers.next_start(), 2);
        });
    }

    #[test]
    fn without_room_nothing_is_noted_until_there_is_some() {
        test(async |dir, notes| {
            for number in 1..=20 {
                note(&notes, 0, number).await;
            }
            assert_eq!(found(&dir, 0).await, (1..=8).collect::<Vec<_>>());
            notes.release(partition(0), Offset(5));
            note(&notes, 0, 30).await;
            assert_eq!(found(&dir, 0).await, [2, 3, 4, 5, 6, 7, 8, 30], "the first file was written anew");
        });
    }

    #[test]
    fn partitions_are_told_to_move_on_before_there_is_no_room() {
        test(async |_, notes| {
            for number in 1..=4 {
                note(&notes, 0, number).await;
            }
            note(&notes, 1, 5).await;
            assert_eq!(notes.pressed(), [partition(0)]);
            notes.release(partition(0), Offset(100));
            assert_eq!(notes.pressed(), [], "the file that is being written is in nobody's way");
        });
    }

    #[test]
    fn closed_notes_leave_nothing() {
        test(async |dir, notes| {
            note(&notes, 0, 1).await;
            assert_eq!(dir.list().await.unwrap().len(), 1);
            notes.close().await.unwrap();
            notes.note(partition(0), Offset(2), Offset(3), vec![0; 10]);
            quiet().await;
            assert!(dir.list().await.unwrap().is_empty());
        });
    }
}
