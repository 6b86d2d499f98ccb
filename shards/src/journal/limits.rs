//! The numbers of a journal, and how they relate.

use crate::runtime::BLOCK_BYTES;
use std::time::Duration;

/// Frames written at the same time. One more hides the turn between two writes; more only make frames smaller.
pub(super) const IN_FLIGHT_MAX: usize = 2;

/// One frame; a single entry may be longer.
pub(super) const FRAME_BYTES_MAX: usize = 1 << 20;

/// One file; the journal grows by as much.
pub(super) const FILE_BYTES: u64 = 16 << 20;

/// One write while a file is initialised.
pub(super) const INITIAL_WRITE_BYTES: usize = 1 << 20;

/// One read while leftovers are looked through.
pub(super) const READ_BYTES: usize = 1 << 20;

/// What a shard's journal in one log directory may take, unless configured.
pub const BYTES_DEFAULT: u64 = 512 << 20;

/// The least it can be told to take.
pub const BYTES_MIN: u64 = 8 << 20;

/// What a shard's notes in one log directory may take.
pub const NOTES_BYTES_DEFAULT: u64 = 256 << 20;

/// With one in so many files of notes in use, partitions should move their recovery points past the oldest.
pub(super) const NOTES_EASY_SHARE: usize = 2;

/// Notes gather for so long before they are written.
pub(super) const NOTES_PAUSE: Duration = Duration::from_millis(20);

/// Notes that may wait to be written; more are dropped.
pub(super) const NOTES_WAITING_BYTES_MAX: usize = 4 << 20;

/// Notes that the logs of a shard may make anew at a start after a crash: no more than are held without pressing anybody.
pub const RENOTED_BYTES_MAX: usize = NOTES_BYTES_DEFAULT as usize / NOTES_EASY_SHARE;

/// Between two looks whether what is under way has ended.
pub(super) const CLOSE_PAUSE: Duration = Duration::from_millis(1);

const _: () = assert!(IN_FLIGHT_MAX > 0);
const _: () = assert!(FRAME_BYTES_MAX.is_multiple_of(BLOCK_BYTES) && INITIAL_WRITE_BYTES.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(FILE_BYTES.is_multiple_of(BLOCK_BYTES as u64) && FRAME_BYTES_MAX as u64 <= BYTES_MIN / 4);
