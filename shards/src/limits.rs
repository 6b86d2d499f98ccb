//! Owns the engine's numbers: every bound, and how they relate. Full means refuse or wait, never queue without end.

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

const _: () = assert!(MAILBOX_REQUESTS_PER_PAIR_MIN <= MAILBOX_REQUESTS_PER_PAIR_MAX);
const _: () = assert!(MAILBOX_BATCH <= MAILBOX_REQUESTS_PER_PAIR_MIN);
const _: () = assert!(MAILBOX_CALLS_MAX >= MAILBOX_REQUESTS_PER_SHARD);
const _: () = assert!(MAILBOX_CALLS_MAX <= u32::MAX as usize);
