//! Owns a shard's open calls: a slot each, from the request until the reply came and was read or given up.

use std::mem::replace;
use std::task::{Context, Poll, Waker};

/// The shard that was asked has closed its mailbox, or dropped the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the shard takes no more requests")]
pub struct Closed;

/// Names a call among those of its shard; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct CallId {
    slot: u32,
    generation: u32,
}

pub(super) struct Calls<R> {
    slots: Vec<Slot<R>>,
    free: Vec<u32>,
    closed: bool,
}

struct Slot<R> {
    generation: u32,
    state: State<R>,
}

enum State<R> {
    Free,
    Waiting(Option<Waker>),
    Answered(Result<R, Closed>),
    /// Nobody reads the reply; the slot is free when it came.
    Abandoned,
}

impl<R> Calls<R> {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), closed: false }
    }

    /// Slots in use.
    pub(super) fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn open(&mut self) -> CallId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, state: State::Free });
            u32::try_from(self.slots.len() - 1).expect("the callers' credit ends long before 2^32 calls")
        });
        let opened = &mut self.slots[slot as usize];
        opened.state = match self.closed {
            false => State::Waiting(None),
            true => State::Answered(Err(Closed)),
        };
        CallId { slot, generation: opened.generation }
    }

    /// The reply came, or the news that none will. Returns whom to wake, and a reply that nobody reads, to be dropped
    /// out of any borrow.
    pub(super) fn finish(&mut self, call: CallId, reply: Option<R>) -> (Option<Waker>, Option<R>) {
        if self.closed {
            return (None, reply);
        }
        let slot = self.slot(call);
        match &mut slot.state {
            State::Waiting(waker) => {
                let waker = waker.take();
                slot.state = State::Answered(reply.ok_or(Closed));
                (waker, None)
            }
            State::Abandoned => {
                self.release(call);
                (None, reply)
            }
            State::Free | State::Answered(_) => panic!("a call is answered once"),
        }
    }

    pub(super) fn poll(&mut self, call: CallId, cx: &Context<'_>) -> Poll<Result<R, Closed>> {
        match &mut self.slot(call).state {
            State::Waiting(Some(waker)) => waker.clone_from(cx.waker()),
            State::Waiting(none) => *none = Some(cx.waker().clone()),
            State::Answered(_) => {
                let State::Answered(reply) = self.release(call) else { unreachable!("matched just above") };
                return Poll::Ready(reply);
            }
            State::Free | State::Abandoned => panic!("a slot with a reader is not given away"),
        }
        Poll::Pending
    }

    /// The caller went away. Returns the reply if it was there, to be dropped out of any borrow.
    pub(super) fn abandon(&mut self, call: CallId) -> Option<R> {
        let slot = self.slot(call);
        match slot.state {
            State::Waiting(_) => {
                slot.state = State::Abandoned;
                None
            }
            State::Answered(_) => match self.release(call) {
                State::Answered(reply) => reply.ok(),
                _ => None,
            },
            State::Free | State::Abandoned => panic!("a slot with a reader is not given away"),
        }
    }

    /// No more replies will be taken. Returns whom to wake.
    pub(super) fn close(&mut self) -> Vec<Waker> {
        self.closed = true;
        let waiting = self.slots.iter_mut().filter(|slot| matches!(slot.state, State::Waiting(_)));
        let answer = |slot: &mut Slot<R>| match replace(&mut slot.state, State::Answered(Err(Closed))) {
            State::Waiting(waker) => waker,
            _ => None,
        };
        waiting.filter_map(answer).collect()
    }

    fn slot(&mut self, call: CallId) -> &mut Slot<R> {
        let slot = &mut self.slots[call.slot as usize];
        assert_eq!(slot.generation, call.generation, "a reply finds the call it answers");
        slot
    }

    fn release(&mut self, call: CallId) -> State<R> {
        let slot = self.slot(call);
        slot.generation = slot.generation.wrapping_add(1);
        let state = replace(&mut slot.state, State::Free);
        self.free.push(call.slot);
        state
    }
}
