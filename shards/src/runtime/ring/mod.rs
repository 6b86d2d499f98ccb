//! One core's executor on one io_uring: tasks in weighted queues, timers, operations of the ring, wakes from other
//! threads, and a few threads for calls that block.
//!
//! A turn runs the tasks that are ready and then looks at the ring: one system call submits what was queued, waits when
//! nothing is ready (until the next timer at most), and brings what has finished.
//!
//! Needs Linux 5.13 (waiting with a timeout, polls that stay armed); from 6.1 on completions are worked off only when the
//! loop asks for them, so that nothing interrupts a task.

mod blocking;
mod dozing;
mod executor;
mod operation;
mod readiness;
mod remote;
mod submission;
mod tasks;
mod timers;

pub(in crate::runtime) use executor::{Setup, add_timer, blocking, class, run, spawn, yield_now};
pub(in crate::runtime) use operation::{allocate_space, data_sync, open, read, writable, write};
pub(in crate::runtime) use readiness::Watched;

#[cfg(test)]
mod tests;
