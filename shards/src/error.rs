//! What can go wrong with a request to a shard: one variant per reaction of the caller, Kafka's code beside it.

use thiserror::Error;

/// The partition cannot serve any request of this kind now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Unavailable {
    /// UNKNOWN_TOPIC_OR_PARTITION (3): not here, or deleted.
    #[error("this shard has no such partition")]
    UnknownPartition,
    /// NOT_LEADER_OR_FOLLOWER (6): its log is still being opened; ask again.
    #[error("the partition's log is being opened")]
    NotReady,
    /// NOT_LEADER_OR_FOLLOWER (6): the broker is stopping; another will lead.
    #[error("the shard is shutting down")]
    ShuttingDown,
    /// FENCED_LEADER_EPOCH (74): the caller's metadata is old.
    #[error("the request's leader epoch is older than the partition's")]
    FencedLeaderEpoch,
    /// UNKNOWN_LEADER_EPOCH (75): our metadata is old.
    #[error("the request's leader epoch is newer than the partition's")]
    UnknownLeaderEpoch,
    /// KAFKA_STORAGE_ERROR (56): a read or write failed; the cause has been logged.
    #[error("the partition's storage failed")]
    Storage,
}

/// Why a batch was not appended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum AppendError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// OUT_OF_ORDER_SEQUENCE_NUMBER (45): batches of this producer are missing before it.
    #[error("the batch does not follow its producer's last one")]
    OutOfOrderSequence,
    /// INVALID_PRODUCER_EPOCH (47): another instance has taken over the producer id.
    #[error("the producer's epoch is older than one already seen")]
    InvalidProducerEpoch,
    /// RECORD_LIST_TOO_LARGE (18): larger than a whole segment may be.
    #[error("the batch is larger than segment.bytes")]
    BatchTooLarge,
}

/// Why nothing was read, or no records deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ReadError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// OFFSET_OUT_OF_RANGE (1): below the log start or past the high watermark.
    #[error("the offset lies outside of the log")]
    OffsetOutOfRange,
}

/// Why a partition does not move to another log directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MoveError {
    /// REPLICA_NOT_AVAILABLE (9): its log is not open here, or just about to be swapped.
    #[error("the partition's log cannot be moved now")]
    NotAvailable,
    /// KAFKA_STORAGE_ERROR (56): one of the two directories is offline, or any other is, so that a copy might be there.
    #[error("a log directory is offline")]
    Storage,
    /// INVALID_TOPIC_EXCEPTION (17).
    #[error("the name of the topic is too long for the directory of a copy")]
    NameTooLong,
}

/// Why a change of the shard's partitions was not made.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ChangeError {
    #[error("this shard has no such partition")]
    UnknownPartition,
    #[error("the shard is shutting down")]
    ShuttingDown,
    /// The disk refused: the whole log directory is offline from now on; the text says why.
    #[error("{0}")]
    LogDir(String),
    /// Descriptors or memory of the process ran out; the disk is not to blame, and the text says what to raise.
    #[error("{0}")]
    Shortage(String),
    /// The log cannot be opened or its directory not renamed; the text says what to look at.
    #[error("{0}")]
    Storage(String),
}
