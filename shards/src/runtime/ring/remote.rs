//! Owns how other threads make a task of this one ready, and wake it when it sleeps in the kernel.

use super::executor::Task;
use crossbeam_queue::SegQueue;
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// The door of one executor, held by all its tasks.
pub(super) struct Remote {
    /// Never 0, never used again.
    pub id: u64,
    woken: SegQueue<Task>,
    asleep: AtomicBool,
    bell: EventFd,
}

impl Remote {
    pub fn new() -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Self { id, woken: SegQueue::new(), asleep: AtomicBool::new(false), bell })
    }

    /// From any thread. The bell costs a system call and is rung only for a sleeper.
    pub fn wake(&self, task: Task) {
        self.woken.push(task);
        // Either this sees that the executor has lain down, or the executor sees the task before it sleeps.
        fence(Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst) {
            // It fails only when its count is full, and then it has rung.
            let _ = self.bell.write(1);
        }
    }

    pub fn take(&self) -> Option<Task> {
        self.woken.pop()
    }

    /// Says that the executor is about to sleep; false when there is something to do first.
    pub fn lie_down(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if !self.woken.is_empty() {
            self.asleep.store(false, Ordering::SeqCst);
            return false;
        }
        true
    }

    pub fn get_up(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Readable from the first ring on: watch it for changes, it is never read.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
