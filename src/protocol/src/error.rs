//! Kafka's error codes, as responses carry them.

use std::fmt;

include!(concat!(env!("OUT_DIR"), "/error_codes.rs"));

impl ErrorCode {
    /// The number on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Kafka's name: `UNKNOWN_TOPIC_OR_PARTITION`.
    pub fn name(self) -> &'static str {
        FACTS[index(self.code())].1
    }

    /// The error with this number; a number we don't know is an `UnknownServerError`, as it is to Kafka's clients.
    pub fn from_code(code: i16) -> Self {
        FACTS.get(index(code)).map_or(Self::UnknownServerError, |facts| facts.0)
    }

    /// Whether a client may simply try again.
    pub fn is_retriable(self) -> bool {
        FACTS[index(self.code())].2
    }

    /// Whether this is no error at all.
    pub fn is_none(self) -> bool {
        self == Self::None
    }
}

/// Codes ascend from -1 without a gap, so a code is its place in the table but one.
fn index(code: i16) -> usize {
    usize::try_from(i32::from(code) + 1).unwrap_or(usize::MAX)
}

impl From<ErrorCode> for i16 {
    fn from(error: ErrorCode) -> i16 {
        error.code()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_finds_itself() {
        for (error, name, _) in &FACTS {
            assert_eq!((ErrorCode::from_code(error.code()), error.name()), (*error, *name));
        }
    }

    #[test]
    fn a_code_from_the_future_is_an_unknown_server_error() {
        for code in [i16::MIN, -2, 9_999, i16::MAX] {
            assert_eq!(ErrorCode::from_code(code), ErrorCode::UnknownServerError);
        }
    }

    #[test]
    fn names_and_retries_are_kafkas() {
        assert_eq!(ErrorCode::UnknownTopicOrPartition.code(), 3);
        assert_eq!(ErrorCode::UnknownTopicOrPartition.to_string(), "UNKNOWN_TOPIC_OR_PARTITION");
        assert!(ErrorCode::UnknownTopicOrPartition.is_retriable());
        assert!(!ErrorCode::UnsupportedVersion.is_retriable());
        assert!(ErrorCode::default().is_none());
    }
}
