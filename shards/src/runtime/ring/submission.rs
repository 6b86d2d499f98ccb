//! Owns the ring and the operations in flight on it.
#![allow(unsafe_code)]

use super::readiness::Readiness;
use crate::runtime::AlignedBuffer;
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue, types};
use slab::Slab;
use std::collections::VecDeque;
use std::ffi::CString;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// A ring of this thread.
pub(super) struct Ring {
    uring: IoUring,
    /// What the kernel may still refer to, by the number it answers with.
    slots: Slab<Slot>,
    /// Queued while the ring's own queue was full.
    overflow: VecDeque<squeue::Entry>,
    waiting_flags: u32,
}

/// What an operation needs until the kernel has finished it.
#[expect(dead_code, reason = "kept for the kernel, which does not ask by name")]
pub(super) struct Keep {
    /// Open until then, so that its number means no other file.
    pub file: Option<Arc<OwnedFd>>,
    pub memory: Memory,
}

#[expect(dead_code, reason = "kept for the kernel, which does not ask by name")]
pub(super) enum Memory {
    Nothing,
    /// Read from.
    Buffer(AlignedBuffer),
    /// A part of it is written to.
    Shared(Rc<AlignedBuffer>),
    Path(CString),
}

enum Slot {
    Operation { keep: Keep, state: State },
    Polled(Rc<Readiness>),
}

enum State {
    Waiting(Option<Waker>),
    Done(i32),
    /// Nobody asks for the result any more.
    Abandoned,
}

/// An operation in flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key(usize);

/// How long [`Ring::enter`] may wait for something to finish.
pub(super) enum Wait {
    No,
    For(Duration),
    Forever,
}

impl Ring {
    pub fn new() -> io::Result<Self> {
        let uring = build()?;
        if !uring.params().is_feature_ext_arg() || !uring.params().is_feature_nodrop() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this io_uring cannot wait with a timeout"));
        }
        // Waiting for clients is not waiting for a disk.
        let no_iowait = if uring.params().is_feature_no_iowait() { EnterFlags::NO_IOWAIT.bits() } else { 0 };
        let waiting_flags = (EnterFlags::GETEVENTS | EnterFlags::EXT_ARG).bits() | no_iowait;
        Ok(Self { uring, slots: Slab::new(), overflow: VecDeque::new(), waiting_flags })
    }

    /// Queues an operation, which starts at the next [`Ring::enter`].
    ///
    /// # Safety
    ///
    /// Whatever `entry` refers to must be kept by `keep`, at a fixed address, and nobody else may write there (or read,
    /// where the kernel writes) until the operation is done.
    pub unsafe fn start(&mut self, entry: squeue::Entry, keep: Keep) -> Key {
        let key = self.slots.insert(Slot::Operation { keep, state: State::Waiting(None) });
        self.queue(entry.user_data(key as u64));
        Key(key)
    }

    /// Tells `readiness` whenever its descriptor may have become readable, until [`Ring::cancel`].
    pub fn watch(&mut self, readiness: Rc<Readiness>) -> Key {
        let descriptor = types::Fd(readiness.descriptor.as_raw_fd());
        let key = self.slots.insert(Slot::Polled(readiness));
        let events = (libc::POLLIN | libc::POLLRDHUP) as u32;
        let poll = opcode::PollAdd::new(descriptor, events).multi(true).build();
        self.queue(poll.user_data(key as u64));
        Key(key)
    }

    /// Asks the kernel to give up on an operation; nobody waits for it any more.
    pub fn cancel(&mut self, key: Key) {
        self.queue(opcode::AsyncCancel::new(key.0 as u64).build().user_data(UNANSWERED));
    }

    /// The result, once; otherwise `waker` is told when it is there.
    pub fn poll(&mut self, key: Key, waker: &Waker) -> Option<i32> {
        let result = match self.state(key) {
            State::Waiting(Some(kept)) => {
                kept.clone_from(waker);
                return None;
            }
            State::Waiting(kept) => {
                *kept = Some(waker.clone());
                return None;
            }
            State::Done(result) => *result,
            State::Abandoned => unreachable!("nobody polls what was abandoned"),
        };
        self.slots.remove(key.0);
        Some(result)
    }

    /// Nobody will poll the operation again. What it needs is kept until the kernel is done with it; false when it is.
    pub fn abandon(&mut self, key: Key) -> bool {
        match mem::replace(self.state(key), State::Abandoned) {
            State::Waiting(_) => true,
            State::Done(result) => {
                discard(self.slots.remove(key.0), result);
                false
            }
            State::Abandoned => unreachable!("an operation is abandoned once"),
        }
    }

    fn state(&mut self, key: Key) -> &mut State {
        match &mut self.slots[key.0] {
            Slot::Operation { state, .. } => state,
            Slot::Polled(_) => unreachable!("the key of a poll is never that of an operation"),
        }
    }

    /// Whether the kernel has to be entered for anything to go on.
    pub fn is_pending(&mut self) -> bool {
        let queue = self.uring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow() || !self.overflow.is_empty()
    }

    /// Operations and polls the kernel has.
    pub fn in_flight(&self) -> usize {
        self.slots.iter().filter(|(_, slot)| !matches!(slot, Slot::Operation { state: State::Done(_), .. })).count()
    }

    /// Submits what is queued, and waits as told unless something has finished already.
    pub fn enter(&mut self, wait: Wait) -> io::Result<()> {
        self.refill();
        let queued = self.uring.submission().len() as u32;
        let timeout = match wait {
            Wait::For(time) => Some(Timespec::new(time)),
            Wait::No | Wait::Forever => None,
        };
        let argument = WaitArgument {
            signals: 0,
            signals_len: 0,
            min_wait_micros: 0,
            timeout: timeout.as_ref().map_or(0, |timeout| &raw const *timeout as u64),
        };
        let least = match wait {
            Wait::No => 0,
            // What did not fit yet may be what the loop waits for.
            _ if !self.overflow.is_empty() => 0,
            Wait::For(_) | Wait::Forever => 1,
        };
        // SAFETY: the argument is laid out as the kernel's io_uring_getevents_arg and refers to `timeout`, and both
        // outlive the call. What the queued entries refer to is kept in `slots`.
        match unsafe { self.uring.submitter().enter(queued, least, self.waiting_flags, Some(&argument)) } {
            Ok(_) => Ok(()),
            // The timeout, a signal, or too much unfinished: the next turn goes on.
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN)) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Takes what has finished, and adds who waited for it to `woken`.
    pub fn reap(&mut self, woken: &mut Vec<Waker>) {
        for completion in self.uring.completion() {
            if completion.user_data() != UNANSWERED {
                woken.extend(finish(&mut self.slots, &completion));
            }
        }
    }

    /// Lets go of all who wait, and has the kernel give up what would never end.
    pub fn give_up(&mut self) -> Vec<Waker> {
        let mut waiting = Vec::new();
        let mut endless = Vec::new();
        for (key, slot) in &mut self.slots {
            match slot {
                Slot::Operation { state: State::Waiting(waker), .. } => waiting.extend(waker.take()),
                Slot::Operation { .. } => {}
                Slot::Polled(readiness) => {
                    waiting.extend(readiness.take_waker());
                    endless.push(key);
                }
            }
        }
        endless.into_iter().for_each(|key| self.cancel(Key(key)));
        waiting
    }

    /// For operations that would not end in time: the kernel may yet write to their memory.
    pub fn leak(&mut self) {
        mem::forget(mem::take(&mut self.slots));
    }

    fn queue(&mut self, entry: squeue::Entry) {
        // SAFETY: what the entry refers to is kept in `slots` (see `start`), or it refers to nothing.
        if !self.overflow.is_empty() || unsafe { self.uring.submission().push(&entry) }.is_err() {
            self.overflow.push_back(entry);
        }
    }

    /// Moves what did not fit into the ring's queue.
    fn refill(&mut self) {
        let mut queue = self.uring.submission();
        while let Some(entry) = self.overflow.front() {
            // SAFETY: as in `queue`.
            if unsafe { queue.push(entry) }.is_err() {
                return;
            }
            self.overflow.pop_front();
        }
    }
}

/// Entries submitted by one call; more wait in `overflow`.
const DEPTH: u32 = 256;
/// Polls that stay armed can finish in crowds; what does not fit the kernel keeps, at a price.
const COMPLETIONS: u32 = 4096;

/// Of entries whose outcome nobody wants to know.
const UNANSWERED: u64 = u64::MAX;

/// The best this kernel has: completions worked off on demand (6.1), without interrupting the thread (5.19), or any.
fn build() -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.setup_cqsize(COMPLETIONS);
    let mut deferred = builder.clone();
    deferred.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
    let mut cooperative = builder.clone();
    cooperative.setup_coop_taskrun().setup_taskrun_flag();
    let unknown = |error: &io::Error| error.raw_os_error() == Some(libc::EINVAL);
    deferred
        .build(DEPTH)
        .or_else(|error| if unknown(&error) { cooperative.build(DEPTH) } else { Err(error) })
        .or_else(|error| if unknown(&error) { builder.build(DEPTH) } else { Err(error) })
}

fn finish(slots: &mut Slab<Slot>, completion: &cqueue::Entry) -> Option<Waker> {
    let (key, result) = (completion.user_data() as usize, completion.result());
    let last = !cqueue::more(completion.flags());
    let slot = slots.get_mut(key).expect("the kernel finishes what was started, and a slot stays until then");
    match slot {
        Slot::Polled(readiness) => {
            let waker = readiness.tell(Key(key), result, last);
            if last {
                slots.remove(key);
            }
            waker
        }
        Slot::Operation { state: State::Abandoned, .. } => {
            discard(slots.remove(key), result);
            None
        }
        Slot::Operation { state, .. } => match mem::replace(state, State::Done(result)) {
            State::Waiting(waker) => waker,
            State::Done(_) | State::Abandoned => unreachable!("an operation finishes once"),
        },
    }
}

/// A file opened for nobody is closed again.
fn discard(slot: Slot, result: i32) {
    if matches!(slot, Slot::Operation { keep: Keep { memory: Memory::Path(_), .. }, .. }) && result >= 0 {
        // SAFETY: opening answered with a new descriptor that nobody else has seen.
        drop(unsafe { OwnedFd::from_raw_fd(result) });
    }
}

/// struct __kernel_timespec.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanos: i64,
}

impl Timespec {
    fn new(time: Duration) -> Self {
        Self { seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX), nanos: i64::from(time.subsec_nanos()) }
    }
}

/// struct io_uring_getevents_arg.
#[repr(C)]
struct WaitArgument {
    signals: u64,
    signals_len: u32,
    min_wait_micros: u32,
    timeout: u64,
}
