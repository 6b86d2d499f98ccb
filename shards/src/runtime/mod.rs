//! The seam to the kernel: the only room that names io_uring, nix or libc, or uses `unsafe`.
//!
//! Everything here exists twice behind one concrete type: on io_uring with direct I/O, and in memory on a virtual
//! clock with seeded faults. Which one runs is decided by where the caller stands: inside [`simulation::simulate`]
//! time and tasks are simulated, elsewhere they are the ring's; a [`Directory`] is opened on the real disk or on a
//! [`memory::Disk`].
//!
//! Calls that could block never run on the loop:
//!
//! | call | where it runs | why the loop is safe |
//! |---|---|---|
//! | direct read, direct write inside the file's size, `O_DSYNC` or not | ring | asynchronous in the kernel |
//! | open, fdatasync, fallocate | ring | kernel worker threads |
//! | close, truncate, rename, remove, mkdir, list, whole-file read and write, directory fsync, syncfs, statvfs | blocking threads of the shard | they may wait, the shard does not |
//! | packing and judging batches (`log/cleaner`, the broker's repacker) | blocking threads of the shard | it takes milliseconds of theirs |
//! | read of a file for the page cache to keep | blocking threads of the shard | it waits for the disk |
//! | fstat of an open file, opening it once more | inline | the inode is in memory |
//! | read of what the page cache has (`RWF_NOWAIT`) | inline | a copy in memory, or a refusal |
//! | accept, send, recv | inline | non-blocking; readiness comes from the ring |
//!
//! The executor looks at its ring between tasks, 200 us apart at most; a task that works on without waiting must call
//! [`yield_now`] by count, about every 100 us.

mod blocks;
mod buffer;
pub mod checks;
mod copy;
mod direct;
mod directory;
mod executor;
pub mod executors;
mod file;
pub mod lock;
pub mod memory;
pub mod net;
pub mod random;
mod ring;
mod shortage;
pub mod signals;
pub mod simulation;
mod space;
pub mod sync;
pub mod watchdog;

pub use crate::clock::{Instant, now, wall_clock};
pub use buffer::AlignedBuffer;
pub use copy::copy_past_caches;
pub use directory::{Directory, Entry, OpenMode, Removed};
pub use executor::{Class, blocking, sleep, sleep_until, spawn, spawn_in, spawn_joined, yield_now};
pub use file::File;
pub use random::random_u64;
pub use shortage::is_shortage;
pub use space::{Space, space};

/// Blocks of this many bytes are never shared by two writes in flight, and direct I/O is aligned to them.
pub const BLOCK_BYTES: usize = 4096;
