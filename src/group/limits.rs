//! How much clients can make a coordinator remember.

use std::time::Duration;

/// Bytes of a string in a record's key, and in the values without compact lengths.
pub const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// Of a member id that is made for a client: a dash and a UUID.
pub const RANDOM_PART_BYTES: usize = 37;

/// Between two ends of a join phase that nobody came to, however short clients want it.
pub const JOIN_AGAIN_MIN: Duration = Duration::from_secs(1);

/// Groups of one partition of `__consumer_offsets`.
pub const GROUPS_MAX: usize = 100_000;

/// Members of one group that were given an id and have not come back with it.
pub const PENDING_MEMBERS_MAX: usize = 10_000;

/// Protocols a member of a classic group may offer.
pub const PROTOCOLS_MAX: usize = 64;

/// Bytes of metadata that one member of a classic group offers, over all its protocols; for each one all members' have
/// to fit into a record.
pub const METADATA_BYTES_MAX: usize = 4 << 20;

/// Bytes of the assignments that a leader hands in: with the metadata they have to fit into one batch.
pub const ASSIGNMENT_BYTES_MAX: usize = 1_000_000;

/// And how many: members of so large a group do not fit into one batch either.
pub const ASSIGNMENTS_MAX: usize = 50_000;

/// Partitions a consumer says it has: more are in no record of what it was given.
pub const OWNED_MAX: usize = 250_000;

/// Records that one round of expiry writes at most in one turn.
pub const EXPIRED_PER_TURN_MAX: usize = 1_000;

const _: () = assert!(EXPIRED_PER_TURN_MAX > 0);

/// Offsets whose lag is told at a time.
pub const LAGS_MAX: usize = 20_000;

/// Bytes of the topic names that one member of a consumer group subscribes to.
pub const SUBSCRIPTION_BYTES_MAX: usize = 256 << 10;

/// Bytes of a regular expression, and of the program it is compiled to.
pub const REGEX_BYTES_MAX: usize = 4096;
pub const REGEX_PROGRAM_BYTES_MAX: usize = 256 << 10;

/// Different regular expressions in one group: each is matched with every topic when topics change.
pub const REGEXES_MAX: usize = 64;
