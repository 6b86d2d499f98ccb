//! Owns how shards ask each other: a request lane and a reply lane for every ordered pair, and who is woken when.
//!
//! ```text
//! shard a                                         shard b
//! call -> [backlog] -> request lane (bounded)  -> receive -> Envelope
//! Call <- slot      <- reply lane              <- reply
//! ```
//!
//! Requests wait for room at their sender, replies never wait: there are at most as many as open calls, and those are
//! bounded. So shards that flood each other with requests still answer each other.

mod calls;
mod envelope;
mod lanes;

pub use calls::Closed;
pub use envelope::Envelope;

use crate::limits::{MAILBOX_BATCH, MAILBOX_CALLS_MAX};
use crate::runtime::{Class, spawn_in, sync::Notify, yield_now};
use crate::types::ShardId;
use calls::{CallId, Calls};
use lanes::Lanes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// All lanes between the shards of a process: requests `Q`, replies `R`.
pub struct Mesh<Q, R>(PhantomData<(Q, R)>);

impl<Q: Send + 'static, R: Send + 'static> Mesh<Q, R> {
    /// One berth per shard, by index.
    #[allow(clippy::new_ret_no_self, reason = "a mesh is nothing but its berths")]
    pub fn new(shards: u16) -> Vec<Berth<Q, R>> {
        let lanes = Arc::new(Lanes::new(shards));
        (0..shards).map(|shard| Berth { lanes: lanes.clone(), me: ShardId(shard) }).collect()
    }
}

/// A shard's place in the mesh, on its way to the shard's thread.
pub struct Berth<Q, R> {
    lanes: Arc<Lanes<Q, R>>,
    me: ShardId,
}

impl<Q: Send + 'static, R: Send + 'static> Berth<Q, R> {
    /// Binds the mailbox to the shard that runs on this thread.
    pub fn attach(self) -> Port<Q, R> {
        let inner = Rc::new(Inner {
            backlog: (0..self.lanes.shards()).map(|_| RefCell::default()).collect(),
            lanes: self.lanes,
            me: self.me,
            calls: RefCell::new(Calls::new()),
            own: RefCell::default(),
            taken: RefCell::default(),
            receiver: RefCell::default(),
            at_once: Cell::new(0),
            credit: Notify::new(),
            closed: Cell::new(false),
        });
        spawn_in(Class::Data, pump(Rc::downgrade(&inner)));
        Port { inner }
    }
}

/// A shard's mailbox. Dropping it closes it: what others have asked and will ask is answered with [`Closed`].
pub struct Port<Q, R> {
    inner: Rc<Inner<Q, R>>,
}

impl<Q, R> Port<Q, R> {
    pub fn me(&self) -> ShardId {
        self.inner.me
    }

    /// Asks shard `to`, this very one included. The request is on its way when this returns; requests to one shard
    /// arrive in the order of the calls. Without credit it waits here for room; ask for credit before building it.
    pub fn call(&self, to: ShardId, request: Q) -> Call<Q, R> {
        let call = self.inner.calls.borrow_mut().open();
        self.inner.send(to, call, request);
        Call { inner: self.inner.clone(), call: Some(call) }
    }

    /// Whether a request to `to` would leave at once.
    pub fn has_credit(&self, to: ShardId) -> bool {
        self.inner.calls.borrow().count() < MAILBOX_CALLS_MAX && self.inner.has_room(to)
    }

    /// Waits until there is credit for every shard.
    pub async fn credit(&self) {
        loop {
            let notified = self.inner.credit.notified();
            let without: Vec<ShardId> = self.inner.lanes.all().filter(|to| !self.has_credit(*to)).collect();
            if without.is_empty() {
                return;
            }
            // Asking to be woken, then looking again: room made in between would wake nobody.
            without.iter().for_each(|to| self.inner.lanes.ask_for_room(self.inner.me, *to));
            if without.iter().all(|to| self.has_credit(*to)) {
                return;
            }
            notified.await;
        }
    }

    /// The next request to this shard. For one task at a time; dropping the future loses nothing.
    ///
    /// After a batch it yields, so that a receiver who never runs out of requests does not keep the executor from
    /// looking at its rings.
    pub async fn receive(&self) -> (Envelope<Q, R>, Q) {
        if self.inner.at_once.get() == MAILBOX_BATCH {
            self.inner.at_once.set(0);
            yield_now().await;
        }
        poll_fn(|cx| match self.inner.next() {
            Some((from, call, request)) => {
                self.inner.at_once.set(self.inner.at_once.get() + 1);
                Poll::Ready((Envelope::new(self.inner.clone(), from, call), request))
            }
            None => {
                self.inner.at_once.set(0);
                self.inner.receiver.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }

    /// Whether calls of this shard to itself wait to be received.
    pub fn has_requests_of_its_own(&self) -> bool {
        let is_own = |(from, ..): &(ShardId, CallId, Q)| *from == self.inner.me;
        !self.inner.own.borrow().is_empty() || self.inner.taken.borrow().iter().any(is_own)
    }

    /// Calls of this shard that have no reply yet.
    pub fn calls(&self) -> usize {
        self.inner.calls.borrow().count()
    }
}

impl<Q, R> Drop for Port<Q, R> {
    fn drop(&mut self) {
        self.inner.close();
    }
}

/// The reply to a call. Dropping it drops the reply when it comes; the request is served all the same.
pub struct Call<Q, R> {
    inner: Rc<Inner<Q, R>>,
    call: Option<CallId>,
}

impl<Q, R> Future for Call<Q, R> {
    type Output = Result<R, Closed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let call = self.call.expect("a call is not polled after its reply");
        let reply = self.inner.calls.borrow_mut().poll(call, cx);
        if reply.is_ready() {
            self.call = None;
        }
        reply
    }
}

impl<Q, R> Drop for Call<Q, R> {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            let unread = self.inner.calls.borrow_mut().abandon(call);
            drop(unread);
        }
    }
}

struct Inner<Q, R> {
    lanes: Arc<Lanes<Q, R>>,
    me: ShardId,
    calls: RefCell<Calls<R>>,
    /// Requests that found their lane full, by receiver.
    backlog: Vec<RefCell<VecDeque<(CallId, Q)>>>,
    /// Requests of this shard to itself.
    own: RefCell<VecDeque<(CallId, Q)>>,
    /// Requests taken off their lanes, about to be received.
    taken: RefCell<VecDeque<(ShardId, CallId, Q)>>,
    receiver: RefCell<Option<Waker>>,
    /// Requests received in a row without waiting.
    at_once: Cell<usize>,
    credit: Notify,
    closed: Cell<bool>,
}

/// Woken from other shards, once per sleep however much they sent.
async fn pump<Q, R>(inner: Weak<Inner<Q, R>>) {
    poll_fn(|cx| {
        let Some(inner) = inner.upgrade().filter(|inner| !inner.closed.get()) else {
            return Poll::Ready(());
        };
        inner.lanes.register(inner.me, cx.waker());
        if inner.turn() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
}

impl<Q, R> Inner<Q, R> {
    fn send(&self, to: ShardId, call: CallId, request: Q) {
        if to == self.me {
            self.own.borrow_mut().push_back((call, request));
            self.wake_receiver();
            return;
        }
        self.backlog(to).borrow_mut().push_back((call, request));
        self.flush(to);
    }

    /// Moves the backlog into the lane as far as it has room.
    fn flush(&self, to: ShardId) {
        let mut asked = false;
        loop {
            let next = self.backlog(to).borrow_mut().pop_front();
            let Some(request) = next else { return };
            if let Err(back) = self.lanes.push_request(self.me, to, request) {
                self.backlog(to).borrow_mut().push_front(back);
                if std::mem::replace(&mut asked, true) {
                    return;
                }
                self.lanes.ask_for_room(self.me, to);
            } else if self.lanes.is_closed(to) {
                self.refuse(to);
            }
        }
    }

    /// Answers everything on its way to a closed shard.
    fn refuse(&self, to: ShardId) {
        let backlog = std::mem::take(&mut *self.backlog(to).borrow_mut());
        let stranded = std::iter::from_fn(|| self.lanes.pop_request(self.me, to));
        stranded.chain(backlog).for_each(|(call, _)| self.finish(call, None));
    }

    /// Takes replies, sends what waited, rings for requests. Whether there is more than one turn's worth.
    fn turn(&self) -> bool {
        let mut more = false;
        for other in self.lanes.all().filter(|other| *other != self.me) {
            more |= self.take_replies(other) == MAILBOX_BATCH;
            if !self.backlog(other).borrow().is_empty() {
                self.flush(other);
            }
        }
        if self.lanes.has_requests(self.me) {
            self.wake_receiver();
        }
        self.credit.notify_all();
        more
    }

    fn take_replies(&self, other: ShardId) -> usize {
        let replies = std::iter::from_fn(|| self.lanes.pop_reply(self.me, other)).take(MAILBOX_BATCH);
        replies.map(|(call, reply)| self.finish(call, reply)).count()
    }

    fn finish(&self, call: CallId, reply: Option<R>) {
        let (caller, unread) = self.calls.borrow_mut().finish(call, reply);
        drop(unread);
        if let Some(waker) = caller {
            waker.wake();
        }
    }

    fn next(&self) -> Option<(ShardId, CallId, Q)> {
        let next = self.taken.borrow_mut().pop_front();
        next.or_else(|| {
            self.take_requests();
            self.taken.borrow_mut().pop_front()
        })
    }

    /// A batch off every lane, each in its turn.
    fn take_requests(&self) {
        let mut taken = self.taken.borrow_mut();
        for from in self.lanes.all() {
            if from == self.me {
                let mut own = self.own.borrow_mut();
                let batch = own.len().min(MAILBOX_BATCH);
                taken.extend(own.drain(..batch).map(|(call, request)| (from, call, request)));
            } else {
                let before = taken.len();
                let lane = std::iter::from_fn(|| self.lanes.pop_request(from, self.me)).take(MAILBOX_BATCH);
                taken.extend(lane.map(|(call, request)| (from, call, request)));
                if taken.len() > before {
                    self.lanes.tell_about_room(from, self.me);
                }
            }
        }
        drop(taken);
        self.credit.notify_all();
    }

    fn reply(&self, to: ShardId, call: CallId, reply: Option<R>) {
        match to == self.me {
            true => self.finish(call, reply),
            false => self.lanes.push_reply(to, self.me, (call, reply)),
        }
    }

    fn has_room(&self, to: ShardId) -> bool {
        match to == self.me {
            true => self.own.borrow().len() < self.lanes.capacity(),
            false => self.backlog(to).borrow().is_empty() && self.lanes.has_room(self.me, to),
        }
    }

    fn close(&self) {
        self.closed.set(true);
        self.lanes.close(self.me);
        while let Some((from, call, _)) = self.next() {
            self.reply(from, call, None);
        }
        let callers = self.calls.borrow_mut().close();
        callers.into_iter().for_each(Waker::wake);
        self.lanes.wake(self.me);
    }

    fn wake_receiver(&self) {
        if let Some(waker) = self.receiver.take() {
            waker.wake();
        }
    }

    fn backlog(&self, to: ShardId) -> &RefCell<VecDeque<(CallId, Q)>> {
        &self.backlog[usize::from(to.0)]
    }
}

#[cfg(test)]
mod tests;
