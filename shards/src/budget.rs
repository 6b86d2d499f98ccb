//! Bytes that requests hold on one shard: charged before a body is read, given back when its answer has left.
//!
//! Who finds the budget spent stops reading its socket, so the kernel slows the client down. Waiters are served in order.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A shard's byte budget; clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    ledger: Rc<RefCell<Ledger>>,
}

#[derive(Debug)]
struct Ledger {
    limit: usize,
    held: usize,
    next_waiter: u64,
    waiters: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    waker: Waker,
}

/// Bytes held; given back on drop.
#[derive(Debug)]
#[must_use = "dropping a charge gives its bytes back"]
pub struct Charge {
    bytes: usize,
    ledger: Rc<RefCell<Ledger>>,
}

impl Budget {
    pub fn new(limit: usize) -> Self {
        assert!(limit > 0, "a budget of nothing would admit nothing");
        Self { ledger: Rc::new(RefCell::new(Ledger { limit, held: 0, next_waiter: 0, waiters: VecDeque::new() })) }
    }

    /// Bytes charged now.
    pub fn held(&self) -> usize {
        self.ledger.borrow().held
    }

    /// Bytes that can be charged before the budget is spent.
    pub fn free(&self) -> usize {
        let ledger = self.ledger.borrow();
        ledger.limit.saturating_sub(ledger.held)
    }

    pub fn limit(&self) -> usize {
        self.ledger.borrow().limit
    }

    /// What may be charged from now on; what is above it stays charged until it is given back.
    pub fn set_limit(&self, limit: usize) {
        assert!(limit > 0, "a budget of nothing would admit nothing");
        let mut ledger = self.ledger.borrow_mut();
        let has_grown = limit > std::mem::replace(&mut ledger.limit, limit);
        if has_grown {
            ledger.wake_first();
        }
    }

    /// Whether somebody waits for others to give back.
    pub fn is_contended(&self) -> bool {
        !self.ledger.borrow().waiters.is_empty()
    }

    /// Whether another request may be taken on.
    pub fn has_room(&self) -> bool {
        let ledger = self.ledger.borrow();
        ledger.held < ledger.limit
    }

    /// Charges at once, or not at all: never ahead of somebody who waits.
    pub fn try_charge(&self, bytes: usize) -> Option<Charge> {
        let mut ledger = self.ledger.borrow_mut();
        let free = ledger.waiters.is_empty() && ledger.admits(bytes);
        free.then(|| ledger.take(bytes)).map(|()| self.charged(bytes))
    }

    /// Waits for its turn and for room. A charge above the whole budget is admitted when nothing else is held.
    pub async fn charge(&self, bytes: usize) -> Charge {
        let mut place = Place { id: None, ledger: self.ledger.clone() };
        poll_fn(|context| place.poll(bytes, context)).await;
        drop(place);
        self.charged(bytes)
    }

    /// Waits until [`Budget::has_room`].
    pub async fn room(&self) {
        drop(self.charge(0).await);
    }

    fn charged(&self, bytes: usize) -> Charge {
        Charge { bytes, ledger: self.ledger.clone() }
    }
}

impl Charge {
    /// Gives back what is over `bytes`.
    pub fn shrink(&mut self, bytes: usize) {
        let over = self.bytes.saturating_sub(bytes);
        let mut ledger = self.ledger.borrow_mut();
        assert!(ledger.held >= over, "what is given back had been taken");
        ledger.held -= over;
        self.bytes -= over;
        ledger.wake_first();
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

impl Ledger {
    fn admits(&self, bytes: usize) -> bool {
        match bytes {
            0 => self.held < self.limit,
            _ => self.held == 0 || self.held.saturating_add(bytes) <= self.limit,
        }
    }

    fn take(&mut self, bytes: usize) {
        self.held += bytes;
    }

    fn wake_first(&self) {
        if let Some(first) = self.waiters.front() {
            first.waker.wake_by_ref();
        }
    }
}

/// A place in the queue; left on drop, so that a cancelled wait blocks nobody.
struct Place {
    id: Option<u64>,
    ledger: Rc<RefCell<Ledger>>,
}

impl Place {
    fn poll(&mut self, bytes: usize, context: &mut Context<'_>) -> Poll<()> {
        let mut ledger = self.ledger.borrow_mut();
        let first = ledger.waiters.front().is_none_or(|waiter| Some(waiter.id) == self.id);
        if first && ledger.admits(bytes) {
            ledger.take(bytes);
            return Poll::Ready(());
        }
        match self.id {
            None => self.id = Some(ledger.join(context.waker().clone())),
            Some(id) => ledger.renew(id, context.waker()),
        }
        Poll::Pending
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let mut ledger = self.ledger.borrow_mut();
            ledger.waiters.retain(|waiter| waiter.id != id);
            ledger.wake_first();
        }
    }
}

impl Ledger {
    fn join(&mut self, waker: Waker) -> u64 {
        let id = self.next_waiter;
        self.next_waiter += 1;
        self.waiters.push_back(Waiter { id, waker });
        id
    }

    fn renew(&mut self, id: u64, waker: &Waker) {
        if let Some(waiter) = self.waiters.iter_mut().find(|waiter| waiter.id == id) {
            waiter.waker.clone_from(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::{Pin, pin};

    fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_dropped_charge_gives_its_bytes_back() {
        let budget = Budget::new(10);
        let charge = budget.try_charge(10).expect("the budget is empty");
        assert!(budget.try_charge(1).is_none());
        assert!(!budget.has_room());
        drop(charge);
        assert_eq!(budget.held(), 0);
        assert!(budget.try_charge(1).is_some());
    }

    #[test]
    fn a_budget_that_grows_lets_waiters_in() {
        let budget = Budget::new(10);
        let _held = budget.try_charge(10).expect("the budget is empty");
        let mut waiting = pin!(budget.charge(5));
        assert!(poll(waiting.as_mut()).is_pending());
        budget.set_limit(15);
        assert!(poll(waiting.as_mut()).is_ready());
        budget.set_limit(10);
        assert!(!budget.has_room());
    }

    #[test]
    fn a_request_larger_than_the_budget_runs_alone() {
        let budget = Budget::new(10);
        let small = budget.try_charge(1).expect("the budget is empty");
        assert!(budget.try_charge(11).is_none());
        drop(small);
        assert!(budget.try_charge(11).is_some());
    }

    #[test]
    fn a_charge_gives_back_a_part() {
        let budget = Budget::new(10);
        let mut charge = budget.try_charge(10).expect("the budget is empty");
        charge.shrink(4);
        charge.shrink(7);
        assert_eq!((budget.held(), budget.free()), (4, 6));
        drop(charge);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn waiters_are_served_in_order() {
        let budget = Budget::new(10);
        let held = budget.try_charge(10).expect("the budget is empty");
        let mut large = pin!(budget.charge(9));
        let mut small = pin!(budget.charge(1));
        assert!(poll(large.as_mut()).is_pending());
        assert!(poll(small.as_mut()).is_pending());
        drop(held);
        assert!(poll(small.as_mut()).is_pending(), "the large one came first");
        let Poll::Ready(large) = poll(large.as_mut()) else { panic!("there is room for the first") };
        let Poll::Ready(small) = poll(small.as_mut()) else { panic!("there is room for both") };
        assert_eq!(budget.held(), 10);
        drop((large, small));
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_cancelled_wait_blocks_nobody() {
        let budget = Budget::new(10);
        let held = budget.try_charge(10).expect("the budget is empty");
        let mut second = pin!(budget.charge(1));
        {
            let mut first = pin!(budget.charge(9));
            assert!(poll(first.as_mut()).is_pending());
            assert!(poll(second.as_mut()).is_pending());
        }
        drop(held);
        assert!(poll(second.as_mut()).is_ready());
    }

    #[test]
    fn room_waits_for_any_free_byte() {
        let budget = Budget::new(10);
        let held = budget.try_charge(12).expect("alone, it may exceed the budget");
        let mut room = pin!(budget.room());
        assert!(poll(room.as_mut()).is_pending());
        drop(held);
        assert!(poll(room.as_mut()).is_ready());
        assert_eq!(budget.held(), 0);
    }
}
