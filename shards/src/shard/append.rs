//! Append requests: given to their partitions in the order they came, before anything else is done.

use super::Shard;
use super::appends::Appends;
use super::responder::Responder;
use crate::budget::Budget;
use crate::error::AppendError;
use crate::log::{Doomed, StorageError};
use crate::message::{AppendPart, AppendResult, Reply};
use crate::partition::driver::{Home, Host, Replica};
use crate::partition::{Ticket, WaitId};
use crate::types::TopicPartition;
use std::rc::Rc;
use std::time::Duration;

impl Shard {
    pub(super) fn append(&self, parts: &[AppendPart], responder: Responder) {
        if parts.is_empty() {
            return responder.reply(Reply::Append(Vec::new()));
        }
        let host = self.host();
        let slot = self.appends.borrow_mut().open(parts.len(), responder);
        for (index, part) in parts.iter().enumerate() {
            let ticket = Appends::ticket(slot, index);
            match self.replica(part.partition) {
                Ok(replica) => replica.append(&host, ticket, part),
                Err(unavailable) => self.decide(ticket, Err(AppendError::from(unavailable))),
            }
        }
    }

    fn decide(&self, ticket: Ticket, result: AppendResult) {
        self.appends.borrow_mut().decide(ticket, result);
    }

    /// Lets go of the longest unused tails when all together exceed their budget.
    fn charge_tail(&self, partition: TopicPartition, bytes: usize) {
        self.tails.borrow_mut().appended(partition, bytes);
        loop {
            let victim = self.tails.borrow_mut().victim();
            match victim.map(|partition| self.replica(partition)) {
                None => return,
                Some(Ok(replica)) => {
                    replica.log_mut().shrink_tail(0);
                }
                Some(Err(_)) => {}
            }
        }
    }
}

impl Host for Shard {
    fn decided(&self, ticket: Ticket, result: AppendResult) {
        self.decide(ticket, result);
    }

    fn arrived(&self, wait: WaitId, bytes: u64) {
        let finished = self.waits.borrow_mut().arrived(wait, bytes);
        self.finish_wait(finished);
    }

    fn disturbed(&self, wait: WaitId) {
        let finished = self.waits.borrow_mut().disturbed(wait);
        self.finish_wait(finished);
    }

    fn appended(&self, replica: &Rc<Replica>) {
        let bytes = replica.log().tail_bytes();
        self.charge_tail(replica.home().partition, bytes);
        self.count_unwritten(replica);
        self.list_for_sweep(replica);
        self.flush_later(replica);
    }

    fn commit(&self, replica: &Rc<Replica>) {
        self.commit_pending(replica);
    }

    fn write_back_bytes(&self) -> usize {
        self.settings.write_back_bytes
    }

    fn writing_back(&self) -> &Budget {
        &self.writing_back
    }

    fn flushed(&self, replica: &Replica) {
        self.release_journal(replica);
        self.note(replica);
    }

    fn tail_changed(&self, replica: &Replica) {
        if replica.machine().state().closed.is_some() {
            // It has been let go of, or will be.
            return;
        }
        let bytes = replica.log().tail_bytes();
        self.tails.borrow_mut().changed(replica.home().partition, bytes);
        self.count_unwritten(replica);
    }

    fn doomed(&self, doomed: Doomed, delay: Duration) {
        self.remove_later(doomed, delay);
    }

    fn short(&self, home: &Home, cause: &StorageError) {
        self.say_short(&home.directory, cause);
    }

    fn went_offline(&self, home: &Home, cause: &StorageError) {
        let directory = &home.directory;
        if !cause.is_of_disk() {
            tracing::error!(
                "{directory} went offline: {cause}; appends there are refused with KAFKA_STORAGE_ERROR until the \
                 broker restarts, what was acknowledged stays readable"
            );
        } else {
            self.log_dir_failed(home.log_dir, format!("{directory}: {cause}"));
        }
    }
}
