//! The end of a shard: writes finish, logs close, and the offsets for the checkpoint files are handed back.

use super::Shard;
use super::responder::Responder;
use crate::error::Unavailable;
use crate::limits::OPENS_AT_ONCE;
use crate::message::{PartitionCheckpoint, Reply};
use crate::partition::driver::Replica;
use crate::runtime::{self, Class};
use futures_util::stream::{self, StreamExt};
use std::rc::Rc;

impl Shard {
    pub(super) fn checkpoints(&self) -> Vec<PartitionCheckpoint> {
        let open = self.replicas();
        open.iter().map(|replica| replica.checkpoint(true)).chain(self.unsound_checkpoints()).collect()
    }

    pub(super) fn shutdown(self: &Rc<Self>, responder: Responder) {
        self.stopping.set(true);
        self.cancel_all_waits();
        self.deadline.notify_all();
        self.news.close();
        runtime::spawn_in(Class::Control, self.clone().close_all(responder));
    }

    async fn close_all(self: Rc<Self>, responder: Responder) {
        while self.changing.get() {
            self.changes_made.notified().await;
        }
        self.cleaner.rests().await;
        self.moves_rest().await;
        let replicas = self.replicas();
        let closings = stream::iter(&replicas).map(|replica| self.close(replica));
        let mut checkpoints: Vec<_> = closings.buffer_unordered(OPENS_AT_ONCE).collect().await;
        checkpoints.extend(self.unsound_checkpoints());
        self.close_journals().await;
        self.slots.borrow_mut().clear();
        self.unswept.borrow_mut().clear();
        responder.reply(Reply::Shutdown(checkpoints));
        self.stopped.notify_one();
    }

    async fn close_journals(&self) {
        for journaling in &self.journals {
            if let Err(error) = journaling.notes.close().await {
                tracing::warn!("notes are not removed: {error}; the next start does");
            }
            if let Err(error) = journaling.journal.close().await {
                tracing::warn!("a journal is not closed: {error}; the next start removes it");
            }
        }
    }

    async fn close(&self, replica: &Rc<Replica>) -> PartitionCheckpoint {
        replica.close(&self.host(), Unavailable::ShuttingDown).await;
        let sound = match replica.close_log().await {
            Ok(()) => {
                self.release_journal(replica);
                true
            }
            Err(error) => {
                tracing::error!("{} is not closed in order: {error}", replica.home().directory);
                false
            }
        };
        replica.checkpoint(sound)
    }
}
