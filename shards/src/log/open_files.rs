//! Owns how many segment files of a shard are open at the same time. Past the bound, the readers that were not used for
//! longest are closed, and writers after every write; both are opened again when they are needed.

use super::segment_file::SegmentFile;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

/// For one shard.
pub struct OpenFiles {
    /// Of readers, and of writers.
    max: usize,
    /// Those that were used longest ago come first, but for those used since.
    readers: RefCell<VecDeque<Weak<SegmentFile>>>,
    writers: Rc<Cell<usize>>,
}

/// A writer that is open.
pub(super) struct WriterSlot(Rc<Cell<usize>>);

impl OpenFiles {
    pub fn new(max: usize) -> Rc<Self> {
        assert!(max > 0, "a file must be open to be read");
        Rc::new(Self { max, readers: RefCell::default(), writers: Rc::default() })
    }

    /// The segment's reader is in use now.
    pub(super) fn read(&self, file: &Rc<SegmentFile>) {
        if file.note_use() {
            return;
        }
        let mut readers = self.readers.borrow_mut();
        readers.push_back(Rc::downgrade(file));
        while readers.len() > self.max {
            let Some(oldest) = readers.pop_front() else { break };
            let Some(file) = oldest.upgrade() else { continue };
            // What is deleted cannot be opened again, and goes with its last reader.
            if file.take_use() {
                readers.push_back(oldest);
            } else if !file.is_deleted() {
                file.close_reader();
            }
        }
    }

    pub(super) fn writer(&self) -> WriterSlot {
        self.writers.set(self.writers.get() + 1);
        WriterSlot(self.writers.clone())
    }

    /// Whoever has written should close its file.
    pub(super) fn has_many_writers(&self) -> bool {
        self.writers.get() > self.max
    }
}

impl Drop for WriterSlot {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::names;
    use crate::runtime::memory::Disk;
    use crate::runtime::simulation::simulate;
    use crate::runtime::{Directory, OpenMode};
    use crate::types::Offset;

    #[test]
    fn the_reader_that_was_not_used_for_longest_is_closed() {
        simulate(1, async {
            let dir = Directory::memory(&Disk::new(1));
            let open = OpenFiles::new(2);
            let mut files = Vec::new();
            for base in 0..4 {
                let file = Rc::new(SegmentFile::new(&dir, Offset(base)));
                dir.open_file(&file.name(names::LOG), OpenMode::Write { create: true, synced: false }).await.unwrap();
                files.push(file);
            }
            for at in [0, 1, 0, 2, 3] {
                files[at].reader().await.unwrap();
                open.read(&files[at]);
            }
            let is_open: Vec<_> = files.iter().map(|file| file.is_open()).collect();
            assert_eq!(is_open, [true, false, false, true], "the first was used again");
            files[1].reader().await.unwrap();
            open.read(&files[1]);
            assert!(files[1].is_open() && !files[0].is_open(), "that gave it one more turn");
        });
    }

    #[test]
    fn a_writer_counts_until_it_is_closed() {
        let open = OpenFiles::new(1);
        let first = open.writer();
        assert!(!open.has_many_writers());
        let second = open.writer();
        assert!(open.has_many_writers());
        drop((first, second));
        assert!(!open.has_many_writers());
    }
}
