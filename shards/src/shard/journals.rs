//! The journals of a shard, one per log directory: which appends go by way of them, and what keeps them from filling up.

use super::Shard;
use crate::journal::{Journal, Notes, Source, Waiting};
use crate::limits::{RELIEF_PAUSE, WRITE_BACK_PAUSE};
use crate::log::{Durability, Unjournaled};
use crate::message::LogDirIndex;
use crate::partition::driver::Replica;
use crate::runtime::{self, Class};
use crate::types::{Offset, TopicPartition};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// A partition in the line of its journal.
#[derive(Clone)]
pub(super) struct Member {
    shard: Rc<Shard>,
    replica: Rc<Replica>,
}

/// One log directory's journal.
pub(super) struct Journaling {
    pub journal: Journal<Member>,
    pub notes: Notes,
    /// A task makes space.
    relieving: Cell<bool>,
}

impl Journaling {
    pub fn new(journal: Journal<Member>, notes: Notes) -> Self {
        Self { journal, notes, relieving: Cell::default() }
    }
}

impl Shard {
    pub(super) fn journaling(&self, log_dir: LogDirIndex) -> &Journaling {
        &self.journals[usize::from(log_dir.0)]
    }

    /// By way of the journal when that keeps what the log promises and has room for it.
    pub(super) fn commit_pending(&self, replica: &Rc<Replica>) {
        if replica.in_line.get() || replica.is_writing_through() {
            return;
        }
        let shard = self.myself.upgrade().expect("a shard that runs is alive");
        let journaling = self.journaling(replica.home().log_dir);
        if self.for_journal(replica).is_some() && !self.is_behind() && journaling.journal.has_room() {
            journaling.journal.offer(Member { shard: shard.clone(), replica: replica.clone() });
        } else {
            replica.write_through(&self.host());
        }
        shard.relieve_if_due(replica.home().log_dir);
    }

    pub(super) fn release_journal(&self, replica: &Replica) {
        let flushed = replica.log().flushed_offset();
        let journaling = self.journaling(replica.home().log_dir);
        journaling.journal.release(replica.home().partition, flushed);
    }

    /// What is pending, if all of it may go to a journal and is worth it.
    fn for_journal(&self, replica: &Replica) -> Option<Unjournaled> {
        let log = replica.log();
        let bypass = self.settings.journal_bypass_bytes;
        let pending = log.unjournaled(bypass);
        let is_small = pending.bytes < bypass && pending.next == log.end_offset();
        let takes = log.config().durability == Durability::Synced && log.may_journal() && is_small;
        takes.then_some(pending)
    }

    fn relieve_if_due(self: Rc<Self>, log_dir: LogDirIndex) {
        let journaling = self.journaling(log_dir);
        if journaling.journal.is_tight() && !journaling.relieving.replace(true) {
            runtime::spawn_in(Class::Background, self.relieve(log_dir));
        }
    }

    /// Lets the partitions that hold the oldest file bring their batches to their segments, until there is space.
    async fn relieve(self: Rc<Self>, log_dir: LogDirIndex) {
        let journaling = self.journaling(log_dir);
        while journaling.journal.is_tight() && !self.stopping.get() {
            let holders = journaling.journal.holders_of_oldest();
            let holders =
                holders.into_iter().filter_map(|(partition, next)| Some((self.replica(partition).ok()?, next)));
            let able: Vec<_> = holders.filter(|(replica, _)| replica.machine().state().is_served()).collect();
            if able.is_empty() {
                runtime::sleep(RELIEF_PAUSE).await;
                break;
            }
            self.secure(log_dir, able).await;
            runtime::sleep(WRITE_BACK_PAUSE).await;
        }
        journaling.relieving.set(false);
    }
}

impl Source for Member {
    fn partition(&self) -> TopicPartition {
        self.replica.home().partition
    }

    fn in_line(&self) -> &Cell<bool> {
        &self.replica.in_line
    }

    fn waiting(&self, bytes_max: usize) -> Waiting {
        let nothing = Waiting { from: Offset::ZERO, next: Offset::ZERO, bytes: 0 };
        if self.replica.is_writing_through() {
            return nothing;
        }
        let Some(pending) = self.shard.for_journal(&self.replica) else {
            self.replica.write_through(&self.shard.host());
            return nothing;
        };
        let all = pending.bytes <= bytes_max;
        let Unjournaled { from, next, bytes } = if all { pending } else { self.replica.log().unjournaled(bytes_max) };
        Waiting { from, next, bytes }
    }

    fn hand_over(&self, Waiting { from, next, bytes }: Waiting, into: &mut [u8]) {
        self.replica.log_mut().hand_over(Unjournaled { from, next, bytes }, into);
    }

    fn stored(&self, next: Offset) {
        self.replica.journaled(&self.shard.host(), next);
    }

    fn wrote(&self, took: Duration) {
        self.shard.read_ahead.wrote(took);
    }

    fn refused(&self) {
        self.replica.write_through(&self.shard.host());
    }

    fn failed(&self, error: &io::Error) {
        self.shard.log_dir_failed(self.replica.home().log_dir, format!("writing its journal: {error}"));
    }
}
