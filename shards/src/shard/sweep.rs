//! Trims the files of partitions that have become idle: one task, there only while there is something to trim.

use super::Shard;
use crate::limits::{TRIM_AFTER_IDLE, TRIM_PAUSE, TRIMS_AT_ONCE};
use crate::partition::driver::Replica;
use crate::runtime::{self, Class};
use std::rc::Rc;

impl Shard {
    /// The replica has been appended to, or was opened with files that are not what they are to be.
    pub(super) fn list_for_sweep(&self, replica: &Rc<Replica>) {
        if replica.listed.replace(true) {
            return;
        }
        self.unswept.borrow_mut().push(replica.clone());
        if !self.sweeping.replace(true) {
            let shard = self.myself.upgrade().expect("a shard that runs is alive");
            runtime::spawn_in(Class::Background, shard.sweep());
        }
    }

    async fn sweep(self: Rc<Self>) {
        while !self.unswept.borrow().is_empty() && !self.stopping.get() {
            runtime::sleep(TRIM_AFTER_IDLE).await;
            if self.changing.get() {
                continue;
            }
            let listed = std::mem::take(&mut *self.unswept.borrow_mut());
            let mut trims = 0;
            for replica in listed {
                trims += usize::from(self.sweep_one(replica));
                if trims == TRIMS_AT_ONCE {
                    runtime::sleep(TRIM_PAUSE).await;
                    trims = 0;
                }
            }
        }
        self.sweeping.set(false);
    }

    /// Returns whether the replica is being trimmed now; otherwise its turn comes again.
    fn sweep_one(&self, replica: Rc<Replica>) -> bool {
        let more = replica.sweep(&self.host());
        replica.listed.set(more);
        if more {
            self.unswept.borrow_mut().push(replica);
        }
        !more
    }
}
