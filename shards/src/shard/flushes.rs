//! `flush.ms`: what has been written for that long is synced. Only logs that acknowledge what is not synced need it; one
//! task, asleep until the first is due.

use super::Shard;
use crate::limits::TIMED_FLUSHES_AT_ONCE;
use crate::log::Durability;
use crate::partition::driver::Replica;
use crate::runtime::sync::Notify;
use crate::runtime::{self, Instant};
use futures_util::future::select;
use futures_util::stream::{self, StreamExt};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// The logs with something that is not synced, by when it must be. The number tells those of one moment apart.
#[derive(Default)]
pub(super) struct Flushes {
    due: RefCell<BTreeMap<(Instant, u64), Weak<Replica>>>,
    last: Cell<u64>,
    sooner: Notify,
}

impl Flushes {
    fn add(&self, at: Instant, replica: &Rc<Replica>) {
        let number = self.last.get() + 1;
        self.last.set(number);
        let mut due = self.due.borrow_mut();
        due.insert((at, number), Rc::downgrade(replica));
        if due.first_key_value().is_some_and(|(first, _)| *first == (at, number)) {
            self.sooner.notify_all();
        }
    }

    /// Those whose time has come; a few at a time.
    fn take(&self, now: Instant) -> Vec<Rc<Replica>> {
        let mut due = self.due.borrow_mut();
        let mut taken = Vec::new();
        while taken.len() < TIMED_FLUSHES_AT_ONCE
            && let Some(first) = due.first_entry().filter(|first| first.key().0 <= now)
        {
            taken.extend(first.remove().upgrade());
        }
        taken
    }

    fn next(&self) -> Option<Instant> {
        self.due.borrow().first_key_value().map(|((at, _), _)| *at)
    }
}

/// Flushes what is due, until the shard stops.
pub(super) async fn run(shard: Rc<Shard>) {
    while !shard.stopping.get() {
        let sooner = shard.flushes.sooner.notified();
        let now = runtime::now();
        let due = shard.flushes.take(now);
        if !due.is_empty() {
            let flushes = stream::iter(&due).map(|replica| shard.flush(replica));
            flushes.buffer_unordered(TIMED_FLUSHES_AT_ONCE).collect::<()>().await;
            continue;
        }
        match shard.flushes.next() {
            None => sooner.await,
            Some(at) => drop(select(pin!(runtime::sleep_until(at)), sooner).await),
        }
    }
}

impl Shard {
    /// The replica has been appended to.
    pub(super) fn flush_later(&self, replica: &Rc<Replica>) {
        let flush_ms = { replica.log().config().flush_ms };
        let applies = flush_ms < i64::MAX && replica.log().config().durability == Durability::Written;
        if applies && !replica.flush_listed.replace(true) {
            let after = Duration::from_millis(u64::try_from(flush_ms).unwrap_or(0));
            self.flushes.add(runtime::now() + after, replica);
        }
    }

    /// Its settings have changed: what waits is due by the new ones, if that is sooner.
    pub(super) fn flush_anew(&self, replica: &Rc<Replica>) {
        let is_left = { replica.log().flushed_offset() < replica.log().end_offset() };
        if is_left {
            replica.flush_listed.set(false);
            self.flush_later(replica);
        }
    }

    async fn flush(&self, replica: &Rc<Replica>) {
        // What comes from here on has its time before it.
        replica.flush_listed.set(false);
        self.bring_back(replica, true).await;
        if replica.machine().state().is_served() {
            self.flush_anew(replica);
        }
    }
}
