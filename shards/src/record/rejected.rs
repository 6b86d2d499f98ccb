//! Why a produced batch is refused, in the terms a client gets it.

use super::batch::{BatchError, Corruption};

/// One variant per error code of Kafka that validation can end in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordError {
    /// CORRUPT_MESSAGE (2): the client may send it again.
    #[error("the batch is corrupt")]
    Corrupt,
    /// MESSAGE_TOO_LARGE (10): the Java client splits the batch and sends the halves.
    #[error("the batch is larger than the topic takes")]
    TooLarge,
    /// RECORD_LIST_TOO_LARGE (18): larger than a segment.
    #[error("the batch is larger than a segment")]
    LargerThanSegment,
    /// INVALID_TIMESTAMP (32).
    #[error("a timestamp is out of range")]
    InvalidTimestamp,
    /// UNSUPPORTED_FOR_MESSAGE_FORMAT (43): magic 0 or 1.
    #[error("the message format is not served")]
    UnsupportedFormat,
    /// UNSUPPORTED_COMPRESSION_TYPE (76): zstd below Produce version 7, or no codec we know.
    #[error("the codec is not taken")]
    UnsupportedCompression,
    /// INVALID_RECORD (87): the client must not send it again.
    #[error("the batch or one of its records is not valid")]
    Invalid,
}

/// A refused batch, as PartitionProduceResponse tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejected {
    pub error: RecordError,
    /// Index in the batch and reason of the records at fault (KIP-467); at most `RECORD_ERRORS_MAX`.
    pub record_errors: Vec<(i32, String)>,
    pub message: String,
}

/// Record errors told of one batch; the client fails the batch's other records without a reason of their own.
pub(super) const RECORD_ERRORS_MAX: usize = 1_000;

impl Rejected {
    pub(super) fn new(error: RecordError, message: impl Into<String>) -> Self {
        Self { error, record_errors: Vec::new(), message: message.into() }
    }
}

impl From<BatchError> for Rejected {
    fn from(error: BatchError) -> Self {
        let told = match error {
            BatchError::Incomplete { .. } => RecordError::Invalid,
            BatchError::OldFormat(_) => RecordError::UnsupportedFormat,
            BatchError::InflatedTooLarge { .. } => RecordError::TooLarge,
            BatchError::Corrupt(Corruption::Length(_) | Corruption::Magic(_) | Corruption::Crc { .. }) => {
                RecordError::Corrupt
            }
            BatchError::Corrupt(Corruption::Codec(_)) => RecordError::UnsupportedCompression,
            BatchError::Corrupt(_) => RecordError::Invalid,
        };
        Self::new(told, error.to_string())
    }
}
