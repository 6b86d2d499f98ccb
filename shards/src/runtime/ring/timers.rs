//! Owns who is to be woken when.

use crate::clock::Instant;
use std::collections::BTreeMap;
use std::task::Waker;

/// Deadlines in order; several may fall on one instant.
#[derive(Default)]
pub(super) struct Timers {
    waiting: BTreeMap<Timer, Waker>,
    next: u64,
}

/// One deadline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Timer {
    at: Instant,
    number: u64,
}

impl Timers {
    pub fn add(&mut self, at: Instant, waker: Waker) -> Timer {
        let timer = Timer { at, number: self.next };
        self.next += 1;
        self.waiting.insert(timer, waker);
        timer
    }

    /// Whom to wake instead; false when the timer has fired.
    pub fn renew(&mut self, timer: Timer, waker: &Waker) -> bool {
        self.waiting.get_mut(&timer).map(|kept| kept.clone_from(waker)).is_some()
    }

    pub fn remove(&mut self, timer: Timer) -> Option<Waker> {
        self.waiting.remove(&timer)
    }

    /// When the first of them fires.
    pub fn first(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|(timer, _)| timer.at)
    }

    /// Takes the first that is due.
    pub fn expire(&mut self, now: Instant) -> Option<Waker> {
        let due = self.waiting.first_entry().filter(|entry| entry.key().at <= now)?;
        Some(due.remove())
    }

    /// Lets go of one that waits.
    pub fn take_any(&mut self) -> Option<Waker> {
        self.waiting.pop_first().map(|(_, waker)| waker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timers(at: &[u64]) -> (Timers, Vec<Timer>) {
        let mut timers = Timers::default();
        let added = at.iter().map(|at| timers.add(Instant::from_nanos(*at), Waker::noop().clone())).collect();
        (timers, added)
    }

    #[test]
    fn what_is_due_fires_and_no_more() {
        let (mut timers, _) = timers(&[30, 10, 20, 10]);
        let fired = std::iter::from_fn(|| timers.expire(Instant::from_nanos(20))).count();
        assert_eq!(fired, 3);
        assert_eq!(timers.first(), Some(Instant::from_nanos(30)));
    }

    #[test]
    fn a_removed_timer_does_not_fire() {
        let (mut timers, added) = timers(&[10]);
        assert!(timers.remove(added[0]).is_some());
        assert!(timers.expire(Instant::NEVER).is_none());
        assert!(!timers.renew(added[0], Waker::noop()));
    }
}
