//! What the broker holds on every shard: asks any shard, and counts what its own requests have in flight.

use crate::budget::Budget;
use crate::mailbox::Port;
use crate::message::{AwaitId, Reply, Request};
use crate::placement;
use crate::shard::Shard;
use crate::types::{ShardId, TopicPartition};
use futures_util::future::Either;
use std::cell::Cell;
use std::rc::Rc;

/// Handle on all shards from one of them; clones share it.
#[derive(Clone)]
pub struct Shards {
    inner: Rc<Inner>,
}

struct Inner {
    shard: Rc<Shard>,
    port: Rc<Port<Request, Reply>>,
    count: u16,
    budget: Budget,
    awaits: Cell<u64>,
}

impl Shards {
    /// `shard` is the one this handle lives on, `port` its attached mailbox among `count` shards.
    pub fn new(shard: Rc<Shard>, port: Rc<Port<Request, Reply>>, count: u16) -> Self {
        let budget = Budget::new(shard.settings().request_bytes_max);
        Self { inner: Rc::new(Inner { shard, port, count, budget, awaits: Cell::new(0) }) }
    }

    pub fn me(&self) -> ShardId {
        self.inner.shard.id()
    }

    pub fn count(&self) -> u16 {
        self.inner.count
    }

    pub fn owner(&self, partition: TopicPartition) -> ShardId {
        placement::owner(partition, self.inner.count)
    }

    /// Submits at the call, in the order of the calls; the future only brings the reply. A request to this very shard
    /// runs at once, up to where it must wait. The future may be polled again with another waker, and dropped.
    ///
    /// Panics when the mailbox of `to` has no credit: await [`Shards::ready`] first.
    pub fn call(&self, to: ShardId, request: Request) -> impl Future<Output = Reply> + use<> {
        if to == self.me() {
            Either::Left(self.inner.shard.submit_local(request))
        } else {
            let reply = self.inner.port.call(to, request);
            Either::Right(async move { reply.await.unwrap_or(Reply::Closed) })
        }
    }

    /// Whether a request may be sent to any shard now.
    pub fn is_ready(&self) -> bool {
        self.inner.budget.has_room() && self.shards().all(|to| to == self.me() || self.inner.port.has_credit(to))
    }

    /// Waits until every mailbox has credit: for who is to call long after it was found ready.
    pub async fn credit(&self) {
        while !self.shards().all(|to| to == self.me() || self.inner.port.has_credit(to)) {
            self.inner.port.credit().await;
        }
    }

    /// Back pressure: waits until this shard's byte budget has room and every mailbox has credit.
    pub async fn ready(&self) {
        while !self.is_ready() {
            self.inner.budget.room().await;
            self.inner.port.credit().await;
        }
    }

    /// Bytes that requests of this shard's connections may hold; charge before reading a body.
    pub fn budget(&self) -> &Budget {
        &self.inner.budget
    }

    /// A name for a new [`crate::message::AwaitRequest`].
    pub fn next_await_id(&self) -> AwaitId {
        let number = self.inner.awaits.get();
        self.inner.awaits.set(number + 1);
        AwaitId { origin: self.me(), number }
    }

    pub fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.inner.count).map(ShardId)
    }
}
