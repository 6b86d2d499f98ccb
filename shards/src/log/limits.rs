//! The numbers of a log, and how they relate.

use std::time::Duration;

/// Alignment of positions and lengths of direct I/O, as every file system takes it.
pub(super) const BLOCK: u64 = 4096;

/// One direct write; a longer job writes several, one after another.
pub(super) const WRITE_BYTES_MAX: usize = 1 << 20;

/// Batches one write job takes along; at least one, however large.
pub const JOB_BYTES_MAX: usize = 4 << 20;

/// The first step of preallocation. Doubled at every step, so that a quiet partition costs little.
pub(super) const PREALLOCATE_STEP_MIN: u64 = 128 << 10;

/// The largest step of preallocation.
pub(super) const PREALLOCATE_STEP_MAX: u64 = 32 << 20;

/// Batches below this size are copied into the tail: a slice pins the frame it came in, or the 64 KiB it was read with.
pub(super) const TAIL_COPY_BELOW: usize = 8 << 10;

/// Charged per batch in the tail above its own bytes.
pub(super) const TAIL_ENTRY_BYTES: usize = 128;

/// What a log may keep of its written tail unless its shard says otherwise.
pub(super) const TAIL_SHARE_DEFAULT: usize = 1 << 20;

/// One read of a scan that hops from header to header.
pub(super) const HOP_BYTES: usize = 16 << 10;

/// One read of a scan that looks at every byte.
pub(super) const SCAN_BYTES: usize = 1 << 20;

/// The largest answer to one disk read; a single larger batch still comes whole.
pub(super) const READ_BYTES_MAX: usize = 16 << 20;

/// What a log's readers in sequence may have read ahead, unless its shard shares one among its logs.
pub(super) const READ_AHEAD_BYTES_DEFAULT: usize = 4 << 20;

/// Bytes that one shard asks the disk for at the same time on behalf of readers: the most keeps a disk busy, the least is
/// what goes on however slow a journal's writes are; a single larger read goes alone.
pub(super) const READS_IN_FLIGHT_MAX: usize = 4 << 20;
pub(super) const READS_IN_FLIGHT_MIN: usize = 64 << 10;

/// In so many parts at a time, none of them smaller.
pub(super) const READ_PARTS: usize = 4;
pub(super) const READ_PART_MIN: usize = 64 << 10;

/// What it grows by with each write that is not slow.
pub(super) const READS_IN_FLIGHT_STEP: usize = 4 << 10;

/// A write of a journal may take twice what it takes alone and so much more, before readers give way.
pub(super) const WRITE_DELAY_MIN: Duration = Duration::from_micros(300);

/// So long after a read no other is about to follow it: writes are alone.
pub(super) const READERS_GONE: Duration = Duration::from_millis(100);

/// Without a write of the journal for so long, readers have the disk to themselves.
pub(super) const PACE_FORGOTTEN: Duration = Duration::from_millis(200);

/// What was read ahead and is not taken within this time goes.
pub(super) const READ_AHEAD_KEPT: Duration = Duration::from_secs(2);

/// How finely a segment's readers are watched.
pub(super) const HEAT_PART_BYTES: u64 = 256 << 10;

/// A part that is read twice within this time is kept in memory by the kernel.
pub(super) const HEAT_KEPT: Duration = Duration::from_mins(10);

/// The longest read from the page cache: it copies on the shard.
pub(super) const AT_HAND_BYTES_MAX: usize = 2 << 20;

/// One note; the batches after it begin another.
pub(super) const NOTE_BYTES_MAX: usize = 64 << 10;

/// Headers of a log that may wait for their batches to be synced; with more, all of them are given up.
pub(super) const UNSYNCED_NOTES_BYTES_MAX: usize = 1 << 20;

/// Headers that a start finds in a log and notes again; with more, those before are given up. As many as a segment of 1 GiB
/// has of 4 KiB.
pub(super) const FOUND_NOTES_BYTES_MAX: usize = 16 << 20;

/// Positions remembered per segment, so that readers in sequence need no index.
pub(super) const HINTS: usize = 8;

/// What one batch may inflate to while a timestamp is looked up.
pub(super) const INFLATED_BYTES_MAX: usize = 256 << 20;

/// Bytes of batches that are judged by one turn of the blocking thread; a single larger batch comes whole.
pub(super) const CLEAN_BYTES: usize = 256 << 10;

/// Bytes of a file that are removed at once: file systems keep writers waiting as long as they free space.
pub(super) const REMOVED_AT_ONCE: u64 = 4 << 20;

/// Segments renamed by one deletion, so that writes have their turn soon.
pub(super) const SEGMENTS_REMOVED_AT_ONCE: usize = 8;

/// Producers remembered per partition; the longest idle one goes first.
pub(super) const PRODUCERS_MAX: usize = 100_000;

/// Batches remembered per producer: as many as a client may have in flight (KIP-98).
pub(super) const PRODUCER_BATCHES: usize = 5;

/// A checkpoint or metadata file larger than this is not one.
pub(super) const CHECKPOINT_BYTES_MAX: usize = 64 << 20;

const _: () = assert!(PREALLOCATE_STEP_MIN.is_multiple_of(BLOCK) && PREALLOCATE_STEP_MAX.is_multiple_of(BLOCK));
const _: () = assert!((WRITE_BYTES_MAX as u64).is_multiple_of(BLOCK) && WRITE_BYTES_MAX <= JOB_BYTES_MAX);
const _: () = assert!(PREALLOCATE_STEP_MIN <= PREALLOCATE_STEP_MAX);
const _: () = assert!(TAIL_COPY_BELOW < TAIL_SHARE_DEFAULT);
const _: () = assert!(HOP_BYTES < SCAN_BYTES && READS_IN_FLIGHT_MIN < READS_IN_FLIGHT_MAX);
