//! What a new log stands on: the name of its directory and the topic id in it. They are synced when something in the log is
//! first to be durable there, not before: until then journals have all that was acknowledged, and the metadata tells that
//! there is a log. So making a partition waits for no disk.

use super::error::{Doing, StorageError};
use super::names::PARTITION_METADATA;
use crate::runtime::sync::Notify;
use crate::runtime::{Directory, File, OpenMode};
use std::cell::Cell;

/// Shared by a log and its jobs, of which several may come to need it at once.
pub struct Footing {
    /// The log directory; none of a log that was firm from the first.
    parent: Option<Directory>,
    state: Cell<State>,
    changed: Notify,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Securing,
    Firm,
    /// A sync failed. A later one might succeed without having saved anything.
    Failed,
}

impl Footing {
    /// Of a log whose directory was made in `parent` and never synced.
    pub fn new(parent: Directory) -> Self {
        Self { parent: Some(parent), state: Cell::new(State::New), changed: Notify::new() }
    }

    /// Of one that is on stable storage, or will be before anybody uses the log.
    pub fn firm() -> Self {
        Self { parent: None, state: Cell::new(State::Firm), changed: Notify::new() }
    }

    /// The whole file system has been synced since the directory was made.
    pub(super) fn synced(&self) {
        if self.state.get() == State::New {
            self.state.set(State::Firm);
        }
    }

    /// Before anything in the log's directory counts as durable.
    pub(super) async fn secure(&self, dir: &Directory) -> Result<(), StorageError> {
        while self.state.get() == State::Securing {
            self.changed.notified().await;
        }
        match self.state.get() {
            State::Firm => return Ok(()),
            State::Failed => return Err(StorageError::elsewhere()),
            State::New | State::Securing => self.state.set(State::Securing),
        }
        let result = self.sync(dir).await;
        self.state.set(match &result {
            Ok(()) => State::Firm,
            // It never began.
            Err(StorageError::Shortage { .. }) => State::New,
            Err(_) => State::Failed,
        });
        self.changed.notify_all();
        result
    }

    /// A shortage only before the first sync.
    async fn sync(&self, dir: &Directory) -> Result<(), StorageError> {
        let mode = OpenMode::Write { create: false, synced: false };
        let file = dir.open_file(PARTITION_METADATA, mode).await.doing("opening partition.metadata")?;
        self.sync_all(file, dir).await.map_err(StorageError::for_good)
    }

    async fn sync_all(&self, file: File, dir: &Directory) -> Result<(), StorageError> {
        file.sync().await.doing("syncing partition.metadata")?;
        file.close().await.doing("closing partition.metadata")?;
        dir.sync().await.doing("syncing a log's directory")?;
        let parent = self.parent.as_ref().expect("a footing that is not firm has a parent");
        parent.sync().await.doing("syncing a log directory")
    }
}
