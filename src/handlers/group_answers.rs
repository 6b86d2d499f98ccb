//! Answers about many groups in one response: some groups are asked at a time, and no more is told than a response holds.

use futures_util::stream::{self, Stream, StreamExt};
use std::cell::Cell;
use tracing::warn;

/// Groups whose coordinators are asked at the same time for one request.
const ASKED_AT_ONCE: usize = 16;
/// Bytes of one response, and as many again for refusals.
const RESPONSE_BYTES_MAX: usize = 64 << 20;
/// What a group costs that nothing is told of but an error, beside its id.
const REFUSAL_BYTES: usize = 256;

/// Room in one response.
pub struct Room {
    left: Cell<usize>,
    for_refusals: Cell<usize>,
    is_open: Cell<bool>,
}

impl Default for Room {
    fn default() -> Self {
        let room = || Cell::new(RESPONSE_BYTES_MAX);
        Self { left: room(), for_refusals: room(), is_open: Cell::new(true) }
    }
}

impl Room {
    /// Whether so many bytes more are told.
    pub fn take(&self, bytes: usize) -> bool {
        match self.left.get().checked_sub(bytes).filter(|_| self.is_open()) {
            Some(left) => self.left.set(left),
            None if self.is_open.replace(false) => warn!(
                "a client asks for more of its groups than one response of {} MiB holds: some are refused; ask for fewer \
                 at a time",
                RESPONSE_BYTES_MAX >> 20
            ),
            None => {}
        }
        self.is_open()
    }

    /// Whether one refusal more fits; who is not even refused is left out.
    pub fn refuse(&self, id: &str) -> bool {
        let left = self.for_refusals.get().checked_sub(REFUSAL_BYTES + id.len());
        self.for_refusals.set(left.unwrap_or(0));
        left.is_some()
    }

    /// Whether anything but refusals is told still.
    pub fn is_open(&self) -> bool {
        self.is_open.get()
    }
}

/// The answers in the order of the questions, each asked when its turn is near.
pub fn each<Q, F: Future>(
    questions: impl IntoIterator<Item = Q>,
    ask: impl FnMut(Q) -> F,
) -> impl Stream<Item = F::Output> {
    stream::iter(questions).map(ask).buffered(ASKED_AT_ONCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_and_then_left_out() {
        let room = Room::default();
        assert!(room.take(RESPONSE_BYTES_MAX) && room.is_open());
        assert!(!room.take(1) && !room.is_open());
        let refused = (0..).take_while(|_| room.refuse("")).count();
        assert_eq!(refused, RESPONSE_BYTES_MAX / REFUSAL_BYTES);
    }
}
