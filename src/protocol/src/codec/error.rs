//! Why bytes are not a message, and why a message cannot be bytes.

use thiserror::Error;

/// Decoding failed; the bytes after this point mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The peer speaks a version we don't: for ApiVersions there is an answer to that, else close.
    #[error("{message} has no version {version}")]
    UnsupportedVersion { message: &'static str, version: i16 },
    /// A length, count or value can't be: close the connection.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// Decoding would allocate more than the frame justifies: close the connection.
    #[error("decoding would allocate out of proportion to the frame")]
    BudgetSpent,
}

/// A value that the version asked for cannot carry: a mistake of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    #[error("{message} has no version {version}")]
    UnsupportedVersion { message: &'static str, version: i16 },
    /// The field is set, the version lacks it, and it may not be dropped.
    #[error("{field} is set, which version {version} cannot carry")]
    UnsupportedField { field: &'static str, version: i16 },
    #[error("{field} is null, which version {version} cannot carry")]
    UnsupportedNull { field: &'static str, version: i16 },
    /// Strings end at 32,767 bytes, everything else at 2 GiB.
    #[error("a value of {0} bytes is too long")]
    TooLong(usize),
}

impl EncodeError {
    pub(crate) fn field(field: &'static str, version: i16) -> Self {
        Self::UnsupportedField { field, version }
    }

    pub(crate) fn null(field: &'static str, version: i16) -> Self {
        Self::UnsupportedNull { field, version }
    }
}
