//! The space of a journal: which file the next frame goes to, and when a file may be written anew. Decides, and writes
//! nothing.
//!
//! A file is *held* by each partition that has an entry in it which its segments do not have on stable storage, and by
//! each frame in flight to it. One that nobody holds is free, in whatever order they become so.

use crate::types::{Offset, TopicPartition};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

pub(super) struct Ring {
    file_bytes: u64,
    files_max: usize,
    files: Vec<Space>,
    current: Option<usize>,
    free: VecDeque<usize>,
    /// By partition: the files it holds, oldest first, and the offset after its last entry in each.
    held: FxHashMap<TopicPartition, VecDeque<Held>>,
    laps: u64,
}

#[derive(Default)]
struct Space {
    used: u64,
    holders: u32,
    /// Grows with each file that becomes the current one.
    age: u64,
}

struct Held {
    file: usize,
    next: Offset,
}

/// A journal's files, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// What they may come to.
    pub limit: u64,
    pub size: u64,
    /// Of those that hold what no segment has on stable storage, and the current one.
    pub held: u64,
}

/// Where a frame goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub file: usize,
    pub position: u64,
}

impl Ring {
    /// At most `bytes` in files of `file_bytes`; two files at least, for one is written while the other becomes free.
    pub fn new(bytes: u64, file_bytes: u64) -> Self {
        let files_max = usize::try_from(bytes / file_bytes).unwrap_or(usize::MAX).max(2);
        Self {
            file_bytes,
            files_max,
            files: Vec::new(),
            current: None,
            free: VecDeque::new(),
            held: FxHashMap::default(),
            laps: 0,
        }
    }

    /// One more file is there, initialised; returns its number.
    pub fn add_file(&mut self) -> usize {
        self.files.push(Space::default());
        self.free.push_back(self.files.len() - 1);
        self.files.len() - 1
    }

    /// No file is free beside the current one, and there may be more of them.
    pub fn wants_file(&self) -> bool {
        self.free.is_empty() && self.files.len() < self.files_max
    }

    /// There is a file to write to, though it may prove too full for the next frame.
    pub fn has_room(&self) -> bool {
        !self.free.is_empty() || self.current.is_some_and(|file| self.files[file].used < self.file_bytes)
    }

    /// More than half of the space is held: time to let go of the oldest file.
    pub fn is_tight(&self) -> bool {
        let held = self.held_files();
        held > self.files_max / 2 && held > 1
    }

    pub fn files_max(&self) -> usize {
        self.files_max
    }

    /// Its files as they are.
    pub fn usage(&self) -> Usage {
        let bytes = |files: usize| files as u64 * self.file_bytes;
        Usage { limit: bytes(self.files_max), size: bytes(self.files.len()), held: bytes(self.held_files()) }
    }

    /// Files that are held, the current one among them.
    pub fn held_files(&self) -> usize {
        self.files.len() - self.free.len()
    }

    /// A place for a frame of `len` bytes, whole blocks. It holds the file until it has [`Ring::landed`].
    pub fn reserve(&mut self, len: u64) -> Option<Place> {
        let fits = |file: &usize| self.files[*file].used + len <= self.file_bytes;
        let file = match self.current.filter(fits) {
            Some(file) => file,
            None if len > self.file_bytes => return None,
            None => self.next_file()?,
        };
        let space = &mut self.files[file];
        let place = Place { file, position: space.used };
        space.used += len;
        space.holders += 1;
        Some(place)
    }

    fn next_file(&mut self) -> Option<usize> {
        let next = self.free.pop_front()?;
        self.laps += 1;
        self.files[next] = Space { age: self.laps, ..Space::default() };
        if let Some(full) = self.current.replace(next)
            && self.files[full].holders == 0
        {
            self.free.push_back(full);
        }
        Some(next)
    }

    /// A frame has been written, or never will be.
    pub fn landed(&mut self, file: usize) {
        self.let_go(file);
    }

    /// The partition has an entry in the file, up to the offset `next`.
    pub fn hold(&mut self, partition: TopicPartition, file: usize, next: Offset) {
        let held = self.held.entry(partition).or_default();
        match held.back_mut().filter(|last| last.file == file) {
            Some(last) => last.next = next,
            None => {
                held.push_back(Held { file, next });
                self.files[file].holders += 1;
            }
        }
    }

    /// The partition's own segments have everything below `flushed` on stable storage.
    pub fn release(&mut self, partition: TopicPartition, flushed: Offset) {
        let Some(held) = self.held.get_mut(&partition) else { return };
        let count = held.partition_point(|held| held.next <= flushed);
        let released: Vec<Held> = held.drain(..count).collect();
        if held.is_empty() {
            self.held.remove(&partition);
        }
        released.iter().for_each(|held| self.let_go(held.file));
    }

    /// The partition is gone.
    pub fn forget(&mut self, partition: TopicPartition) {
        self.release(partition, Offset(i64::MAX));
    }

    fn let_go(&mut self, file: usize) {
        let space = &mut self.files[file];
        space.holders = space.holders.checked_sub(1).expect("who lets go has held");
        if space.holders == 0 && self.current != Some(file) {
            self.free.push_back(file);
        }
    }

    /// The partitions that hold the oldest file besides the current one, and the offset after their last entry there.
    pub fn holders_of_oldest(&self) -> Vec<(TopicPartition, Offset)> {
        let full = (0..self.files.len()).filter(|&file| self.files[file].holders > 0 && self.current != Some(file));
        let Some(oldest) = full.min_by_key(|&file| self.files[file].age) else { return Vec::new() };
        let next = |held: &VecDeque<Held>| held.iter().find(|held| held.file == oldest).map(|held| held.next);
        let mut holders: Vec<_> =
            self.held.iter().filter_map(|(partition, held)| Some((*partition, next(held)?))).collect();
        holders.sort_unstable();
        holders
    }

    /// Nobody needs anything in the journal.
    pub fn is_unneeded(&self) -> bool {
        self.files.iter().all(|space| space.holders == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{PartitionIndex, TopicId};

    fn partition(index: i32) -> TopicPartition {
        TopicPartition { topic: TopicId::default(), partition: PartitionIndex(index) }
    }

    /// Puts an entry of `partition` up to `next` into a frame of one block, which lands.
    fn write(ring: &mut Ring, index: i32, next: i64) -> Option<Place> {
        let place = ring.reserve(4096)?;
        ring.hold(partition(index), place.file, Offset(next));
        ring.landed(place.file);
        Some(place)
    }

    fn ring(files: usize) -> Ring {
        let mut ring = Ring::new(files as u64 * 8192, 8192);
        for _ in 0..files {
            ring.add_file();
        }
        ring
    }

    #[test]
    fn frames_fill_a_file_and_go_on_in_the_next() {
        let mut ring = ring(2);
        let places: Vec<_> = (1..=4).map(|next| write(&mut ring, 0, next).unwrap()).collect();
        let expected = [(0, 0), (0, 4096), (1, 0), (1, 4096)].map(|(file, position)| Place { file, position });
        assert_eq!(places, expected);
        assert_eq!(write(&mut ring, 0, 5), None, "all of it is held");
        assert!(!ring.has_room() && ring.is_tight() && !ring.wants_file());
    }

    #[test]
    fn a_file_is_written_anew_when_its_entries_are_in_the_segments() {
        let mut ring = ring(2);
        for next in 1..=4 {
            write(&mut ring, 0, next);
        }
        ring.release(partition(0), Offset(1));
        assert_eq!(write(&mut ring, 0, 5), None, "the second entry of the first file is missing");
        ring.release(partition(0), Offset(2));
        assert_eq!(write(&mut ring, 0, 5), Some(Place { file: 0, position: 0 }));
    }

    #[test]
    fn every_partition_with_an_entry_holds_the_file() {
        let mut ring = ring(2);
        write(&mut ring, 0, 10);
        write(&mut ring, 1, 20);
        write(&mut ring, 0, 11);
        write(&mut ring, 0, 12);
        assert_eq!(ring.holders_of_oldest(), [(partition(0), Offset(10)), (partition(1), Offset(20))]);
        ring.release(partition(0), Offset(12));
        assert_eq!(ring.holders_of_oldest(), [(partition(1), Offset(20))]);
        assert_eq!(ring.reserve(4096), None);
        ring.forget(partition(1));
        assert_eq!(ring.reserve(4096), Some(Place { file: 0, position: 0 }));
    }

    #[test]
    fn a_frame_in_flight_holds_its_file() {
        let mut ring = ring(2);
        let first = ring.reserve(8192).unwrap();
        ring.reserve(8192).unwrap();
        assert_eq!(ring.reserve(4096), None, "the first file would be free but for the frame");
        ring.landed(first.file);
        assert_eq!(ring.reserve(4096), Some(Place { file: 0, position: 0 }));
    }

    #[test]
    fn a_full_file_that_nobody_holds_is_free_at_once() {
        let mut ring = ring(2);
        for _ in 0..10 {
            let place = ring.reserve(8192).unwrap();
            ring.landed(place.file);
        }
        assert!(ring.is_unneeded());
    }

    #[test]
    fn it_grows_up_to_its_size_and_no_frame_is_longer_than_a_file() {
        let mut ring = Ring::new(3 * 8192, 8192);
        assert!(ring.wants_file() && !ring.has_room());
        assert_eq!(ring.reserve(4096), None);
        ring.add_file();
        assert!(!ring.wants_file());
        assert_eq!(ring.reserve(12288), None);
        ring.reserve(8192).unwrap();
        assert!(ring.wants_file());
        ring.add_file();
        ring.reserve(8192).unwrap();
        ring.add_file();
        ring.reserve(8192).unwrap();
        assert!(!ring.wants_file());
    }

    #[test]
    fn it_is_tight_when_more_than_half_is_held() {
        let mut ring = ring(4);
        for next in 1..=4 {
            write(&mut ring, 0, next);
        }
        assert!(!ring.is_tight(), "two of four");
        write(&mut ring, 0, 5);
        assert!(ring.is_tight());
        ring.release(partition(0), Offset(2));
        assert!(!ring.is_tight());
    }
}
