//! What can go wrong with a log, by what its caller can do about it.

use crate::runtime::is_shortage;
use std::io;

/// The disk or what lies on it failed; the log serves what is written and takes nothing more.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// No space left on the device, or a quota is spent.
    #[error("no space left for {doing}")]
    Full { doing: &'static str },
    #[error("{doing}: {message}")]
    Io { doing: &'static str, message: String },
    /// A file is not there: it was removed meanwhile, or by somebody else.
    #[error("{doing}: {message}")]
    Missing { doing: &'static str, message: String },
    /// The process is out of descriptors or memory: nothing was done, and the same may succeed later.
    #[error(
        "{doing}: {message}; raise RLIMIT_NOFILE (`ulimit -n`, LimitNOFILE in systemd) or the memory of this process"
    )]
    Shortage { doing: &'static str, message: String },
    /// Bytes that were written whole read back as something else.
    #[error("{file} is damaged at {position}")]
    Damaged { file: String, position: u64 },
}

impl StorageError {
    pub(super) fn new(doing: &'static str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { doing },
            io::ErrorKind::NotFound => Self::Missing { doing, message: error.to_string() },
            _ if is_shortage(error) => Self::Shortage { doing, message: error.to_string() },
            _ => Self::Io { doing, message: error.to_string() },
        }
    }
}

impl StorageError {
    /// The disk refused: nothing in the log directory is to be relied on any more.
    pub fn is_of_disk(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Io { .. })
    }

    /// Worth another try, after a while.
    pub fn is_shortage(&self) -> bool {
        matches!(self, Self::Shortage { .. })
    }

    /// Of a step that cannot be taken again: whatever stopped it, what the disk has is not known.
    pub(super) fn for_good(self) -> Self {
        match self {
            Self::Shortage { doing, message } => Self::Io { doing, message },
            other => other,
        }
    }

    /// What a log says that must not go on, although nothing was wrong with its own files.
    pub fn elsewhere() -> Self {
        Self::Io { doing: "using its log directory", message: "it failed elsewhere".into() }
    }
}

/// What a log's caller met while it was `doing` something for it.
pub fn storage_error(doing: &'static str, error: &io::Error) -> StorageError {
    StorageError::new(doing, error)
}

/// Adds to an I/O error what was being done.
pub(super) trait Doing<T> {
    fn doing(self, what: &'static str) -> Result<T, StorageError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: &'static str) -> Result<T, StorageError> {
        self.map_err(|error| StorageError::new(what, &error))
    }
}

/// Why a batch was not appended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// KAFKA_STORAGE_ERROR (56): an earlier write failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// RECORD_LIST_TOO_LARGE (18).
    #[error("a batch of {size} bytes where a segment holds {max}")]
    TooLarge { size: usize, max: u32 },
    #[error(transparent)]
    Producer(#[from] ProducerError),
}

/// Why a producer's batch is refused (KIP-98).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProducerError {
    /// OUT_OF_ORDER_SEQUENCE_NUMBER (45).
    #[error("sequence {sequence} does not follow {last}")]
    OutOfOrderSequence { sequence: i32, last: i32 },
    /// INVALID_PRODUCER_EPOCH (47).
    #[error("producer epoch {epoch} is older than {current}")]
    InvalidEpoch { epoch: i16, current: i16 },
}

/// Why nothing can be read from an offset.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// OFFSET_OUT_OF_RANGE (1): below the log start or past the end.
    #[error("the offset lies outside of the log")]
    OutOfRange,
}

/// Why a log does not open.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Written before Kafka 0.11: to be rewritten by a Kafka that still can.
    #[error("{file} holds messages of format v{magic}, which are not served")]
    OldFormat { file: String, magic: i8 },
}
