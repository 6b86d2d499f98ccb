//! Removes files that nobody needs any more, when they are due: one task, there only while there are any, one short step
//! at a time. What it does not come to before a stop, the next start finds.

use super::Shard;
use super::removal_pace::rest;
use crate::limits::{LEASE_MAX, LEASE_POLL, SHORTAGE_PAUSE, SPACE_SHORT_BELOW};
use crate::log::{Doomed, StorageError};
use crate::runtime::sync::Notify;
use crate::runtime::{self, Class, Instant};
use futures_util::future::select;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

/// The removals of a shard.
pub(super) struct Removals {
    /// By when they are looked at, and in the order they came.
    queue: RefCell<BTreeMap<(Instant, u64), Removal>>,
    count: Cell<u64>,
    running: Cell<bool>,
    /// Rung when the first in the queue became another one.
    earlier: Notify,
}

struct Removal {
    due: Instant,
    doomed: Doomed,
}

impl Removals {
    pub fn new() -> Self {
        Self { queue: RefCell::default(), count: Cell::default(), running: Cell::default(), earlier: Notify::new() }
    }

    fn add(&self, at: Instant, removal: Removal) {
        self.count.set(self.count.get() + 1);
        let mut queue = self.queue.borrow_mut();
        if queue.first_key_value().is_none_or(|((first, _), _)| at < *first) {
            self.earlier.notify_one();
        }
        queue.insert((at, self.count.get()), removal);
    }

    fn first_at(&self) -> Option<Instant> {
        self.queue.borrow().first_key_value().map(|((at, _), _)| *at)
    }

    fn take_first(&self) -> Option<Removal> {
        self.queue.borrow_mut().pop_first().map(|(_, removal)| removal)
    }
}

impl Shard {
    /// Whoever reads it now may go on meanwhile.
    pub(super) fn remove_later(&self, doomed: Doomed, delay: Duration) {
        let due = runtime::now() + delay;
        self.removals.add(due, Removal { due, doomed });
        if !self.removals.running.replace(true) {
            let shard = self.myself.upgrade().expect("a shard that runs is alive");
            runtime::spawn_in(Class::Background, shard.remove_all());
        }
    }

    async fn remove_all(self: Rc<Self>) {
        while let Some(at) = self.removals.first_at().filter(|_| !self.stopping.get()) {
            let earlier = self.removals.earlier.notified();
            if at > runtime::now() {
                select(pin!(runtime::sleep_until(at)), earlier).await;
            } else if self.changing.get() {
                // A start has better things to do.
                self.changes_made.notified().await;
            } else if let Some(removal) = self.removals.take_first() {
                self.remove_one(removal).await;
            }
        }
        self.removals.running.set(false);
    }

    async fn remove_one(&self, mut removal: Removal) {
        let late = |removal: &Removal| runtime::now().saturating_since(removal.due);
        if removal.doomed.is_leased() && late(&removal) < LEASE_MAX {
            return self.removals.add(runtime::now() + LEASE_POLL, removal);
        }
        let is_short = space_is_short(&removal.doomed).await;
        while !self.stopping.get() {
            let begun = runtime::now();
            match removal.doomed.remove_some().await {
                Ok(removed) => {
                    let took = runtime::now().saturating_since(begun);
                    runtime::sleep(rest(took, removed.bytes, late(&removal), is_short)).await;
                    if removed.is_gone {
                        return;
                    }
                }
                Err(StorageError::Missing { .. }) => return,
                Err(error) if error.is_shortage() => {
                    return self.removals.add(runtime::now() + SHORTAGE_PAUSE, removal);
                }
                Err(error) => {
                    tracing::warn!("deleted files stay on disk until the next start: {error}");
                    return;
                }
            }
        }
    }
}

/// Not known is not short.
async fn space_is_short(doomed: &Doomed) -> bool {
    doomed.space().await.is_ok_and(|space| space.usable_bytes < space.total_bytes / SPACE_SHORT_BELOW)
}
