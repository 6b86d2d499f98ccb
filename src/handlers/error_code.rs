//! The one map from the engine's errors to Kafka's codes.

use odradek_protocol::error::ErrorCode;
use odradek_shards::error::{AppendError, ReadError, Unavailable};
use odradek_shards::record::RecordError;

/// An error of ours that a client is told by a code.
pub trait KafkaCode {
    fn code(&self) -> ErrorCode;
}

impl KafkaCode for Unavailable {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::NotReady | Self::ShuttingDown => ErrorCode::NotLeaderOrFollower,
            Self::FencedLeaderEpoch => ErrorCode::FencedLeaderEpoch,
            Self::UnknownLeaderEpoch => ErrorCode::UnknownLeaderEpoch,
            Self::Storage => ErrorCode::KafkaStorageError,
        }
    }
}

impl KafkaCode for AppendError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unavailable(unavailable) => unavailable.code(),
            Self::OutOfOrderSequence => ErrorCode::OutOfOrderSequenceNumber,
            Self::InvalidProducerEpoch => ErrorCode::InvalidProducerEpoch,
            Self::BatchTooLarge => ErrorCode::RecordListTooLarge,
        }
    }
}

impl KafkaCode for ReadError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unavailable(unavailable) => unavailable.code(),
            Self::OffsetOutOfRange => ErrorCode::OffsetOutOfRange,
        }
    }
}

impl KafkaCode for RecordError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Corrupt => ErrorCode::CorruptMessage,
            Self::TooLarge => ErrorCode::MessageTooLarge,
            Self::LargerThanSegment => ErrorCode::RecordListTooLarge,
            Self::InvalidTimestamp => ErrorCode::InvalidTimestamp,
            Self::UnsupportedFormat => ErrorCode::UnsupportedForMessageFormat,
            Self::UnsupportedCompression => ErrorCode::UnsupportedCompressionType,
            Self::Invalid => ErrorCode::InvalidRecord,
        }
    }
}
