//! Owns what readers in sequence will ask for next: read from disk while they are still sent what they asked for.
//! Readers of one log that follow each other closely share it.

use super::limits::{READ_AHEAD_KEPT, READS_IN_FLIGHT_MAX};
use super::read_pace::ReadPace;
use super::segment_file::SegmentFile;
use crate::budget::Budget;
use crate::clock::Instant;
use crate::runtime::sync::Notify;
use crate::runtime::{self, Class};
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// Windows into segment files, oldest first. For one shard; its memory is a budget of its own.
pub struct ReadAhead {
    bytes_max: usize,
    windows: RefCell<VecDeque<Rc<Window>>>,
    /// Bytes that the disk is being asked for: whoever writes stands behind them.
    in_flight: Budget,
    pace: RefCell<ReadPace>,
    /// A task is there that lets go of what nobody took.
    tidying: Cell<bool>,
}

/// A part of a file, read or being read.
struct Window {
    file: Rc<SegmentFile>,
    generation: u32,
    position: u64,
    len: usize,
    begun: Instant,
    used: Cell<bool>,
    state: RefCell<State>,
    done: Notify,
}

enum State {
    UnderWay,
    Read(Bytes),
    Failed,
}

impl ReadAhead {
    pub fn new(bytes_max: usize) -> Rc<Self> {
        let in_flight = Budget::new(READS_IN_FLIGHT_MAX);
        let pace = RefCell::new(ReadPace::new());
        let (windows, tidying) = Default::default();
        Rc::new(Self { bytes_max, windows, in_flight, pace, tidying })
    }

    /// Bytes of memory that windows take or will take.
    pub fn bytes(&self) -> usize {
        self.windows.borrow().iter().map(|window| window.len).sum()
    }

    /// Reads from disk when it is this reader's turn.
    pub(super) async fn read(&self, file: &SegmentFile, position: u64, len: usize) -> io::Result<Bytes> {
        self.in_flight.set_limit(self.pace.borrow().bytes(runtime::now()));
        let read = file.read(position, len, &self.in_flight).await;
        self.pace.borrow_mut().read(runtime::now());
        read
    }

    /// A journal's write ended after so long: readers give way to it, or need not.
    pub fn wrote(&self, took: Duration) {
        let now = runtime::now();
        self.pace.borrow_mut().wrote(now, took, self.in_flight.held() > 0);
        self.in_flight.set_limit(self.pace.borrow().bytes(now));
    }

    /// The file's bytes from `position` to the end of the window that holds it; `None` when nobody foresaw it.
    pub(super) async fn take(&self, file: &Rc<SegmentFile>, position: u64) -> Option<Bytes> {
        let window = self.find(file, position)?;
        window.used.set(true);
        let bytes = window.bytes().await?;
        let skipped = usize::try_from(position - window.position).ok()?;
        (skipped < bytes.len()).then(|| bytes.slice(skipped..))
    }

    fn find(&self, file: &Rc<SegmentFile>, position: u64) -> Option<Rc<Window>> {
        self.windows.borrow().iter().find(|window| window.holds(file, position)).cloned()
    }

    /// Begins to read `len` bytes from `position` on, if there is memory for it.
    pub(super) fn foresee(self: &Rc<Self>, file: &Rc<SegmentFile>, position: u64, len: usize) {
        if len == 0 || self.find(file, position).is_some() || !self.make_room(len) {
            return;
        }
        let window = Rc::new(Window {
            file: file.clone(),
            generation: file.generation(),
            position,
            len,
            begun: runtime::now(),
            used: Cell::default(),
            state: RefCell::new(State::UnderWay),
            done: Notify::new(),
        });
        self.windows.borrow_mut().push_back(window.clone());
        let ahead = self.clone();
        runtime::spawn_in(Class::Data, async move { window.fill(&ahead).await });
        if !self.tidying.replace(true) {
            runtime::spawn_in(Class::Background, self.clone().tidy());
        }
    }

    /// Only what was taken or lies there for long makes room: reading more than is taken would read all of it twice.
    fn make_room(&self, len: usize) -> bool {
        let mut windows = self.windows.borrow_mut();
        let mut bytes: usize = windows.iter().map(|window| window.len).sum();
        windows.retain(|window| {
            let goes = bytes + len > self.bytes_max && window.used.get();
            bytes -= if goes { window.len } else { 0 };
            !goes
        });
        bytes + len <= self.bytes_max
    }

    /// Runs while there are windows.
    async fn tidy(self: Rc<Self>) {
        while !self.windows.borrow().is_empty() {
            runtime::sleep(READ_AHEAD_KEPT).await;
            let now = runtime::now();
            self.windows.borrow_mut().retain(|window| now - window.begun < READ_AHEAD_KEPT);
        }
        self.tidying.set(false);
    }
}

impl Window {
    fn holds(&self, file: &Rc<SegmentFile>, position: u64) -> bool {
        let here = Rc::ptr_eq(&self.file, file) && self.generation == file.generation();
        here && (self.position..self.position + self.len as u64).contains(&position)
    }

    async fn fill(&self, ahead: &ReadAhead) {
        let state = match ahead.read(&self.file, self.position, self.len).await {
            Ok(bytes) => State::Read(bytes),
            // Whoever needs the bytes reads them again, and says what is wrong.
            Err(_) => State::Failed,
        };
        *self.state.borrow_mut() = state;
        self.done.notify_all();
    }

    /// Waits for the read to end.
    async fn bytes(&self) -> Option<Bytes> {
        loop {
            let done = self.done.notified();
            match &*self.state.borrow() {
                State::Read(bytes) => return Some(bytes.clone()),
                State::Failed => return None,
                State::UnderWay => {}
            }
            done.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::memory::Disk;
    use crate::runtime::simulation::simulate;
    use crate::runtime::{Directory, OpenMode};
    use crate::types::Offset;

    const BYTES: usize = 16 << 10;

    async fn file() -> Rc<SegmentFile> {
        let dir = Directory::memory(&Disk::new(1));
        let file = SegmentFile::new(&dir, Offset(0));
        let log = dir.open_file(&file.name("log"), OpenMode::Write { create: true, synced: false }).await.unwrap();
        let mut buffer = log.allocate(BYTES);
        (0..BYTES).for_each(|at| buffer[at] = (at / 100) as u8);
        log.pre_allocate(BYTES as u64).await.unwrap();
        log.write_at(buffer, 0).await.unwrap();
        Rc::new(file)
    }

    #[test]
    fn what_was_foreseen_is_taken_without_another_read() {
        simulate(1, async {
            let (file, ahead) = (file().await, ReadAhead::new(BYTES));
            assert!(ahead.take(&file, 1000).await.is_none());
            ahead.foresee(&file, 1000, 500);
            let bytes = ahead.take(&file, 1100).await.unwrap();
            assert_eq!((bytes.len(), bytes[0]), (400, 11));
            assert!(ahead.take(&file, 1500).await.is_none(), "the window ends before");
        });
    }

    #[test]
    fn only_what_was_taken_makes_room() {
        simulate(1, async {
            let (file, ahead) = (file().await, ReadAhead::new(1000));
            ahead.foresee(&file, 0, 600);
            ahead.foresee(&file, 600, 600);
            assert!(ahead.take(&file, 600).await.is_none(), "no room beside what nobody took yet");
            assert!(ahead.take(&file, 0).await.is_some());
            ahead.foresee(&file, 600, 600);
            assert!(ahead.take(&file, 600).await.is_some());
            assert_eq!(ahead.bytes(), 600);
        });
    }

    #[test]
    fn what_nobody_takes_is_let_go() {
        simulate(1, async {
            let (file, ahead) = (file().await, ReadAhead::new(1000));
            ahead.foresee(&file, 0, 600);
            runtime::sleep(READ_AHEAD_KEPT * 3).await;
            assert_eq!(ahead.bytes(), 0);
        });
    }

    #[test]
    fn a_file_that_was_cut_since_is_read_again() {
        simulate(1, async {
            let (file, ahead) = (file().await, ReadAhead::new(1000));
            ahead.foresee(&file, 0, 600);
            file.invalidate();
            assert!(ahead.take(&file, 0).await.is_none());
        });
    }
}
