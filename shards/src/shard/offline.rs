//! A log directory that fails is offline as a whole, until the process starts again: what its disk did is not known, and
//! the others go on.

use super::Shard;
use super::change::Slot;
use crate::message::{LogDirIndex, News, PartitionCheckpoint};
use crate::partition::driver::Replica;
use std::rc::Rc;

impl Shard {
    /// A read, write or sync failed on this shard: nothing in the directory is served any more, and the broker is told.
    pub(super) fn log_dir_failed(&self, log_dir: LogDirIndex, cause: String) {
        if self.take_offline(log_dir) {
            self.news.tell(News::LogDirFailed { log_dir, cause });
        }
    }

    /// Returns whether it was online.
    pub(super) fn take_offline(&self, log_dir: LogDirIndex) -> bool {
        let first = self.failed_dirs.borrow_mut().insert(log_dir);
        if first {
            let mut lost = self.replicas();
            lost.retain(|replica| replica.home().log_dir == log_dir);
            lost.sort_by_key(|replica| replica.home().partition);
            self.suspend_moves(|to| to == log_dir);
            lost.iter().for_each(|replica| self.give_up(replica));
        }
        first
    }

    pub(super) fn is_offline(&self, log_dir: LogDirIndex) -> bool {
        self.failed_dirs.borrow().contains(&log_dir)
    }

    pub(super) fn unsound_checkpoints(&self) -> Vec<PartitionCheckpoint> {
        let unsound = self.unsound.borrow();
        unsound.values().filter(|checkpoint| !self.is_offline(checkpoint.log_dir)).cloned().collect()
    }

    /// Every request for the partition hears KAFKA_STORAGE_ERROR. What its journal has of it stays there.
    pub(super) fn give_up(&self, replica: &Rc<Replica>) {
        let home = replica.home();
        if !self.is_offline(home.log_dir) {
            self.unsound.borrow_mut().insert(home.partition, replica.checkpoint(false));
        }
        self.slots.borrow_mut().insert(home.partition, Slot::Failed(Some(home.clone())));
        self.tails.borrow_mut().removed(home.partition);
        self.cleaner.forget(home.partition);
        self.scrubber.forget(home.partition);
        self.forget_unwritten(replica);
        replica.abandon(&self.host());
    }
}
