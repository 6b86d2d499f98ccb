//! A request refused, with Kafka's code and words for people.

use odradek_protocol::error::ErrorCode;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub error: ErrorCode,
    pub message: String,
}

impl Refusal {
    pub fn new(error: ErrorCode, message: impl Into<String>) -> Self {
        Self { error, message: message.into() }
    }

    /// The coordinator remembers as much as it may.
    pub fn no_room() -> Self {
        Self::new(ErrorCode::CoordinatorNotAvailable, "The coordinator has no room.")
    }
}
