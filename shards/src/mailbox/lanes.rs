//! Owns the queues that threads share, and the order of memory operations that loses no wake-up.

use super::calls::CallId;
use crate::limits::{MAILBOX_REQUESTS_PER_PAIR_MAX, MAILBOX_REQUESTS_PER_PAIR_MIN, MAILBOX_REQUESTS_PER_SHARD};
use crate::types::ShardId;
use atomic_waker::AtomicWaker;
use crossbeam_queue::{ArrayQueue, SegQueue};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::Waker;

pub(super) struct Lanes<Q, R> {
    shards: u16,
    capacity: usize,
    /// By asking shard, then answering shard.
    pairs: Vec<Pair<Q, R>>,
    ends: Vec<End>,
}

/// Requests of one shard to another, and the replies back.
struct Pair<Q, R> {
    requests: ArrayQueue<(CallId, Q)>,
    /// Holds at most one reply per open call of the asking shard.
    replies: SegQueue<(CallId, Option<R>)>,
    /// The asking shard found no room and wants to hear of some.
    starved: AtomicBool,
}

/// A shard as its peers see it.
struct End {
    waker: AtomicWaker,
    closed: AtomicBool,
}

impl<Q, R> Lanes<Q, R> {
    pub(super) fn new(shards: u16) -> Self {
        assert!(shards > 0, "a mesh has shards");
        let count = usize::from(shards);
        let capacity =
            (MAILBOX_REQUESTS_PER_SHARD / count).clamp(MAILBOX_REQUESTS_PER_PAIR_MIN, MAILBOX_REQUESTS_PER_PAIR_MAX);
        let pair = |index| Pair {
            // A shard's lane to itself carries nothing.
            requests: ArrayQueue::new(if index % (count + 1) == 0 { 1 } else { capacity }),
            replies: SegQueue::new(),
            starved: AtomicBool::new(false),
        };
        let end = |_| End { waker: AtomicWaker::new(), closed: AtomicBool::new(false) };
        let pairs = (0..count * count).map(pair).collect();
        Self { shards, capacity, pairs, ends: (0..count).map(end).collect() }
    }

    pub(super) fn shards(&self) -> u16 {
        self.shards
    }

    pub(super) fn all(&self) -> impl Iterator<Item = ShardId> + use<Q, R> {
        (0..self.shards).map(ShardId)
    }

    /// Requests that fit between two shards.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Enqueues and wakes the receiver, or gives the request back when the lane is full. Afterwards
    /// [`Lanes::is_closed`] must be asked: a receiver that closed before may not have seen it.
    pub(super) fn push_request(&self, from: ShardId, to: ShardId, request: (CallId, Q)) -> Result<(), (CallId, Q)> {
        self.pair(from, to).requests.push(request)?;
        self.wake(to);
        Ok(())
    }

    pub(super) fn pop_request(&self, from: ShardId, to: ShardId) -> Option<(CallId, Q)> {
        self.pair(from, to).requests.pop()
    }

    pub(super) fn push_reply(&self, asker: ShardId, me: ShardId, reply: (CallId, Option<R>)) {
        self.pair(asker, me).replies.push(reply);
        self.wake(asker);
    }

    pub(super) fn pop_reply(&self, me: ShardId, answerer: ShardId) -> Option<(CallId, Option<R>)> {
        self.pair(me, answerer).replies.pop()
    }

    pub(super) fn has_requests(&self, me: ShardId) -> bool {
        self.all().any(|from| !self.pair(from, me).requests.is_empty())
    }

    pub(super) fn has_room(&self, from: ShardId, to: ShardId) -> bool {
        !self.pair(from, to).requests.is_full() || self.end(to).closed.load(Ordering::Relaxed)
    }

    /// `from` will be woken when the lane has room. It must look once more after this: the fences here and in
    /// [`Lanes::tell_about_room`] order "ask, look" against "make room, see who asked", so that one of them sees the
    /// other.
    pub(super) fn ask_for_room(&self, from: ShardId, to: ShardId) {
        self.pair(from, to).starved.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    pub(super) fn tell_about_room(&self, from: ShardId, me: ShardId) {
        let pair = self.pair(from, me);
        fence(Ordering::SeqCst);
        if pair.starved.load(Ordering::Relaxed) && pair.starved.swap(false, Ordering::Relaxed) {
            self.wake(from);
        }
    }

    /// Takes no more requests; what is in the lanes is drained by the caller. The fences here and in
    /// [`Lanes::is_closed`] order "close, drain" against "push, look", so that nothing is left lying.
    pub(super) fn close(&self, me: ShardId) {
        self.end(me).closed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    pub(super) fn is_closed(&self, to: ShardId) -> bool {
        fence(Ordering::SeqCst);
        self.end(to).closed.load(Ordering::Relaxed)
    }

    pub(super) fn register(&self, me: ShardId, waker: &Waker) {
        self.end(me).waker.register(waker);
    }

    pub(super) fn wake(&self, shard: ShardId) {
        self.end(shard).waker.wake();
    }

    fn pair(&self, from: ShardId, to: ShardId) -> &Pair<Q, R> {
        &self.pairs[usize::from(from.0) * usize::from(self.shards) + usize::from(to.0)]
    }

    fn end(&self, shard: ShardId) -> &End {
        &self.ends[usize::from(shard.0)]
    }
}
