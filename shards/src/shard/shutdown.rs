//! The end of a shard: writes finish, logs close, and the offsets for the checkpoint files are handed back.

use super::Shard;
use super::responder::Responder;
use crate::error::Unavailable;
use crate::limits::OPENS_AT_ONCE;
use crate::log::{self, StorageError};
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
        // Each by itself would have the file system's own journal written for it.
        let together = replicas.len() >= self.settings.synced_together_from;
        let closings = stream::iter(&replicas).map(|replica| self.close(replica, together));
        let mut closed: Vec<_> = closings.buffer_unordered(OPENS_AT_ONCE).collect().await;
        if together {
            self.sync_closed(&mut closed).await;
        }
        let mut checkpoints: Vec<_> =
            closed.into_iter().map(|(replica, result)| self.closed(replica, result)).collect();
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

    async fn close<'a>(&self, replica: &'a Rc<Replica>, together: bool) -> (&'a Rc<Replica>, Result<(), StorageError>) {
        replica.close(&self.host(), Unavailable::ShuttingDown).await;
        let closed = if together { replica.close_log_unsynced().await } else { replica.close_log().await };
        (replica, closed)
    }

    /// One sync for all logs of a directory.
    async fn sync_closed(&self, closed: &mut [(&Rc<Replica>, Result<(), StorageError>)]) {
        for (index, log_dir) in self.settings.log_dirs.iter().enumerate() {
            let is_here = |replica: &Replica| usize::from(replica.home().log_dir.0) == index;
            let mut here: Vec<_> =
                closed.iter_mut().filter(|(replica, result)| is_here(replica) && result.is_ok()).collect();
            if here.is_empty() {
                continue;
            }
            let synced = log_dir.sync_file_system().await;
            let synced = synced.map_err(|error| log::storage_error("syncing a log directory", &error));
            for (replica, result) in &mut here {
                match &synced {
                    Ok(()) => replica.log_mut().finish_close(),
                    Err(error) => *result = Err(error.clone()),
                }
            }
        }
    }

    fn closed(&self, replica: &Replica, result: Result<(), StorageError>) -> PartitionCheckpoint {
        let sound = match result {
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
