//! Owns the duty to answer a request: once, whatever happens to the one who serves it.

use super::Inner;
use super::calls::CallId;
use crate::types::ShardId;
use std::rc::Rc;

/// Where the reply goes. Dropped unanswered, it tells the caller [`super::Closed`].
pub struct Envelope<Q, R> {
    inner: Rc<Inner<Q, R>>,
    from: ShardId,
    call: Option<CallId>,
}

impl<Q, R> Envelope<Q, R> {
    pub(super) fn new(inner: Rc<Inner<Q, R>>, from: ShardId, call: CallId) -> Self {
        Self { inner, from, call: Some(call) }
    }

    /// The shard that asks.
    pub fn from(&self) -> ShardId {
        self.from
    }

    /// Never waits.
    pub fn reply(mut self, reply: R) {
        let call = self.call.take().expect("an envelope is answered once: answering consumes it");
        self.inner.reply(self.from, call, Some(reply));
    }
}

impl<Q, R> Drop for Envelope<Q, R> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            self.inner.reply(self.from, call, None);
        }
    }
}
