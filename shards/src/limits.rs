//! Owns the engine's numbers: every bound, and how they relate. Full means refuse or wait, never queue without end.

use std::time::Duration;

/// Requests in flight on their way from one shard to another, all senders of a shard together have this much room at
/// a receiver; each pair gets its part of it.
pub const MAILBOX_REQUESTS_PER_SHARD: usize = 4096;

/// Least and most room of one pair of shards.
pub const MAILBOX_REQUESTS_PER_PAIR_MIN: usize = 64;
pub const MAILBOX_REQUESTS_PER_PAIR_MAX: usize = 1024;

/// Calls of one shard that have no reply yet, parked ones (long polls) included, before it has no credit.
pub const MAILBOX_CALLS_MAX: usize = 1 << 18;

/// Requests or replies taken from one lane before the next lane has its turn.
pub const MAILBOX_BATCH: usize = 64;

/// Bytes that the written tails of a shard's logs keep in memory for readers, unless configured.
pub const TAIL_BYTES_MAX_DEFAULT: usize = 64 << 20;

/// One log may keep this part of [`TAIL_BYTES_MAX_DEFAULT`], or of what is configured instead.
pub const TAIL_SHARE: usize = 4;

/// Bytes that the requests of a shard's connections may hold, unless configured.
pub const REQUEST_BYTES_MAX_DEFAULT: usize = 256 << 20;

/// Bytes that one shard reads from disk at the same time for consumers; a single larger read goes alone.
pub const DISK_READ_BYTES_MAX: usize = 32 << 20;

/// Parts of one request that are read from disk although too little room is left for what they have; others are read only
/// from memory then.
pub const UNFIT_READS_MAX: usize = 4;

/// Bytes that one shard has read ahead for readers in sequence of old data.
pub const READ_AHEAD_BYTES_MAX: usize = 32 << 20;

/// Fetches parked on one shard; the next one is answered as if its time were up.
pub const PARKED_FETCHES_MAX: usize = 100_000;

/// Logs that are opened, or closed, at the same time on one shard.
pub const OPENS_AT_ONCE: usize = 32;

/// How often a long recovery says how much is left.
pub const RECOVERY_SAID_EVERY: Duration = Duration::from_secs(5);

/// A partition without an append for this long gets its files cut to their content.
pub const TRIM_AFTER_IDLE: Duration = Duration::from_secs(2);

/// Journaled batches of a partition are written to its segment when so many bytes wait; sooner when it falls idle, or
/// its journal runs short of space.
pub const WRITE_BACK_BYTES: usize = 256 << 10;

/// Journaled batches on their way to segments, of all partitions of a shard: enough to keep a disk busy, and little enough
/// that journals' writes need not wait long behind them.
pub const WRITING_BACK_BYTES_MAX: usize = 8 << 20;

/// When so many bytes of a partition wait, they are written and synced where they belong instead of being journaled: one
/// write less.
pub const JOURNAL_BYPASS_BYTES: usize = 128 << 10;

/// What comes back from a journal at an unclean start is written to its segment whenever it has so many bytes.
pub const RESTORE_BYTES_MAX: usize = 4 << 20;

/// Of the files that the process may have open, the share that all shards together have open for reading, and for writing,
/// is one in so many. Each partition has its directory open besides.
pub const OPEN_FILES_SHARE: u64 = 16;

/// What one shard may have open however little the process may.
pub const OPEN_FILES_MIN: usize = 64;

/// Open for reading, and for writing, on one shard as long as nothing else is said.
pub const OPEN_FILES_DEFAULT: usize = 1_000;

/// Segments written back and synced at once to make space in a journal.
pub const FLUSHES_AT_ONCE: usize = 4;

/// When so many partitions are to be synced, one sync of their file system does it for all. It writes what others have left
/// dirty there too, so it is not for a few.
pub const SYNCED_TOGETHER_FROM: usize = 64;

/// Bytes that a shard's partitions may have in a journal and in no segment yet; above it, appends are written where they
/// belong before they are acknowledged. Half of it starts writing back.
pub const UNWRITTEN_BYTES_MAX: usize = 256 << 20;

/// Bytes that the logs of a shard may have past their recovery points when they are recorded: what a start after a crash
/// has to scan, besides what is written until then.
pub const SCAN_BYTES_MAX: u64 = 64 << 20;

/// Smaller batches are not noted: a scan reads them in no time, and their headers would be half of what there is to read.
pub const NOTED_BATCH_BYTES: usize = 4 << 10;

/// Between two rounds of writing back; appends come first.
pub const WRITE_BACK_PAUSE: Duration = Duration::from_millis(2);

/// How often, and after which pause, moving a recovery point is tried beside other work on the same files.
pub const MARK_TRIES: usize = 10;
pub const MARK_PAUSE: Duration = Duration::from_millis(5);

/// Bytes read at once of a log that moves to another directory.
pub const MOVE_CHUNK_BYTES: usize = 1 << 20;

/// How often a move looks whether it may go on.
pub const MOVE_PAUSE: Duration = Duration::from_millis(1);

/// A move that the controller did not take is tried again after this long.
pub const MOVE_RETRY: Duration = Duration::from_secs(1);

/// As long as the controller takes it not, tries come less and less often, down to this.
pub const MOVE_RETRY_MAX: Duration = Duration::from_mins(1);

/// What failed for want of descriptors or memory is tried again after this long.
pub const SHORTAGE_PAUSE: Duration = Duration::from_millis(200);

/// How often a log is tried to be opened when they are missing.
pub const SHORTAGE_TRIES: usize = 10;

/// How often that is said.
pub const SHORTAGE_SAID_EVERY: Duration = Duration::from_secs(10);

/// How long a shard waits when partitions that failed keep a journal from getting space.
pub const RELIEF_PAUSE: Duration = Duration::from_secs(1);

/// Partitions trimmed at once; the others of the same sweep follow after [`TRIM_PAUSE`].
pub const TRIMS_AT_ONCE: usize = 16;

/// Lets requests pass between two groups of partitions that are trimmed.
pub const TRIM_PAUSE: Duration = Duration::from_millis(10);

/// Lets writes pass between two groups of segments that a log loses.
pub const REMOVAL_PAUSE: Duration = Duration::from_millis(5);

/// What is removed from disk rests for so many times as long as its last step took.
pub const REMOVAL_RESTS: u32 = 19;

/// However fast a file system forgets files: its disk is told later.
pub const REMOVAL_BYTES_PER_SECOND: u64 = 400 << 20;

/// What is due for so long is removed at twice the speed, and after so much more again.
pub const REMOVALS_LATE: Duration = Duration::from_secs(30);

/// Removals hurry where no more than one in so many bytes of a volume is left.
pub const SPACE_SHORT_BELOW: u64 = 20;

/// How often a removal that is due asks whether its readers are done, and how long it waits for them.
pub const LEASE_POLL: Duration = Duration::from_secs(1);
pub const LEASE_MAX: Duration = Duration::from_mins(1);

/// A cleaned segment takes the place of others within a few of these.
pub const REPLACEMENT_POLL: Duration = Duration::from_millis(1);

/// How often a search by time is made when segments go under it; then the client asks again.
pub const SEARCHES_MAX: usize = 1_000;

/// A log that could not be cleaned is tried again after this long, then after twice as long, up to the last.
pub const QUARANTINE_MIN: Duration = Duration::from_mins(1);
pub const QUARANTINE_MAX: Duration = Duration::from_hours(1);

/// How often Kafka looks for segments whose time has come, unless configured.
pub const RETENTION_CHECK_DEFAULT: Duration = Duration::from_mins(5);

/// And how long after a start first.
pub const RETENTION_FIRST_CHECK_DEFAULT: Duration = Duration::from_secs(30);

/// Lets requests pass between two partitions that lose segments.
pub const RETENTION_PAUSE: Duration = Duration::from_millis(10);

/// The first round of scrubbing begins no later after a start.
pub const SCRUB_FIRST: Duration = Duration::from_mins(10);

/// Logs that are flushed at once because `flush.ms` have passed.
pub const TIMED_FLUSHES_AT_ONCE: usize = 4;

/// Partitions looked at before others have their turn.
pub const RETENTION_YIELD: usize = 64;

const _: () = assert!(MAILBOX_REQUESTS_PER_PAIR_MIN <= MAILBOX_REQUESTS_PER_PAIR_MAX);
const _: () = assert!(MAILBOX_BATCH <= MAILBOX_REQUESTS_PER_PAIR_MIN);
const _: () = assert!(WRITE_BACK_BYTES < UNWRITTEN_BYTES_MAX / 2 && MARK_TRIES > 0);
const _: () = assert!(MAILBOX_CALLS_MAX >= MAILBOX_REQUESTS_PER_SHARD);
const _: () = assert!(MAILBOX_CALLS_MAX <= u32::MAX as usize);
const _: () = assert!(TRIM_PAUSE.as_millis() < TRIM_AFTER_IDLE.as_millis());
const _: () = assert!(OPENS_AT_ONCE > 0 && TRIMS_AT_ONCE > 0 && FLUSHES_AT_ONCE > 0);
