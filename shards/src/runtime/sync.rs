//! Owns waiting between tasks of one shard: a value handed over once, and a bell. Nothing here crosses threads.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A value that one task will send and another awaits.
pub fn oneshot<T>() -> (Sender<T>, Receiver<T>) {
    let slot = Rc::new(RefCell::new(Slot { state: State::Empty, waker: None }));
    (Sender(slot.clone()), Receiver(slot))
}

/// The sender was dropped without sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the task that should have answered is gone")]
pub struct Abandoned;

/// Sends once; dropping it lets the receiver see [`Abandoned`].
pub struct Sender<T>(Rc<RefCell<Slot<T>>>);

/// A future of the sent value. Dropping it is fine: the value is then dropped by the sender.
pub struct Receiver<T>(Rc<RefCell<Slot<T>>>);

struct Slot<T> {
    state: State<T>,
    waker: Option<Waker>,
}

enum State<T> {
    Empty,
    Sent(T),
    /// Sender gone, or value taken.
    Over,
}

impl<T> Sender<T> {
    /// Hands `value` over; gives it back when nobody waits any more.
    pub fn send(self, value: T) -> Option<T> {
        if self.is_closed() {
            return Some(value);
        }
        self.0.borrow_mut().state = State::Sent(value);
        None
    }

    /// Whether the receiver was dropped.
    pub fn is_closed(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let waker = {
            let mut slot = self.0.borrow_mut();
            if matches!(slot.state, State::Empty) {
                slot.state = State::Over;
            }
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Abandoned>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.borrow_mut();
        match std::mem::replace(&mut slot.state, State::Over) {
            State::Sent(value) => Poll::Ready(Ok(value)),
            State::Over => Poll::Ready(Err(Abandoned)),
            State::Empty => {
                slot.state = State::Empty;
                set(&mut slot.waker, cx);
                Poll::Pending
            }
        }
    }
}

/// A bell: those who wait hear the next ring. One ring without a listener is kept for the next who comes.
#[derive(Default)]
pub struct Notify {
    kept: Cell<bool>,
    waiting: RefCell<VecDeque<Rc<Listener>>>,
}

#[derive(Default)]
struct Listener {
    heard: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Notify {
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes the one who waits longest, or keeps the ring.
    pub fn notify_one(&self) {
        let first = self.waiting.borrow_mut().pop_front();
        match first {
            Some(listener) => listener.hear(),
            None => self.kept.set(true),
        }
    }

    /// Wakes all who wait now; keeps nothing.
    pub fn notify_all(&self) {
        let all = std::mem::take(&mut *self.waiting.borrow_mut());
        all.iter().for_each(|listener| listener.hear());
    }

    /// Waits for a ring from now on: the listener stands in line at the call, not at the first poll.
    pub fn notified(&self) -> Notified<'_> {
        let listener = Rc::new(Listener::default());
        match self.kept.replace(false) {
            true => listener.heard.set(true),
            false => self.waiting.borrow_mut().push_back(listener.clone()),
        }
        Notified { notify: self, listener, done: false }
    }
}

impl Listener {
    fn hear(&self) {
        self.heard.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Future of [`Notify::notified`]. Dropped after hearing but before being polled, it passes the ring on.
pub struct Notified<'a> {
    notify: &'a Notify,
    listener: Rc<Listener>,
    done: bool,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.listener.heard.get() {
            self.done = true;
            return Poll::Ready(());
        }
        set(&mut self.listener.waker.borrow_mut(), cx);
        Poll::Pending
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        match self.listener.heard.get() {
            true => self.notify.notify_one(),
            false => self.notify.waiting.borrow_mut().retain(|other| !Rc::ptr_eq(other, &self.listener)),
        }
    }
}

/// Keeps the waker of the latest poll, without a clone when it is the same task.
fn set(kept: &mut Option<Waker>, cx: &Context<'_>) {
    match kept {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *kept = Some(cx.waker().clone()),
    }
}

#[cfg(test)]
mod tests;
