//! Giving a log back what a crash left of it in a journal, before anybody may append to it.

use super::Shard;
use super::change::lost;
use crate::error::ChangeError;
use crate::journal::Reader;
use crate::limits::RESTORE_BYTES_MAX;
use crate::log::{self, Log, Noted, Restored};
use crate::message::OpenPartition;
use crate::runtime;
use std::cell::RefCell;
use std::io;

impl Shard {
    /// Appends what continues the log and writes it to its own segments. Whatever fails, the journals stay.
    pub(super) async fn restore(&self, open: &OpenPartition, log: Log) -> Result<Log, ChangeError> {
        let Some(reader) = self.recovering(open) else { return Ok(log) };
        let log = RefCell::new(log);
        restore(reader, open, &log).await?;
        Ok(log.into_inner())
    }

    /// All logs are being opened after a crash, and its file system is synced when they are.
    pub(super) fn is_recovering(&self, open: &OpenPartition) -> bool {
        self.recovering(open).is_some()
    }

    /// It was us that crashed, and left journals.
    pub(super) fn is_after_us(&self, open: &OpenPartition) -> bool {
        self.recovering(open).is_some_and(|reader| !reader.leftovers().is_empty())
    }

    fn recovering(&self, open: &OpenPartition) -> Option<&Reader> {
        let reader = self.readers.get(usize::from(open.log_dir.0))?;
        (!open.clean && reader.leftovers().is_needed()).then_some(reader)
    }

    /// What was noted of the log before the crash.
    pub(super) fn noted(&self, open: &OpenPartition) -> Noted {
        let Some(reader) = self.recovering(open) else { return Noted::default() };
        let noted = Noted::parse(&reader.leftovers().take_notes(open.partition));
        noted.again_from(self.settings.noted_batch_bytes)
    }

    /// The log does not open: what a journal has of it is needed later.
    pub(super) fn keep_leftovers(&self, open: &OpenPartition) {
        if let Some(reader) = self.readers.get(usize::from(open.log_dir.0)) {
            reader.leftovers().keep(open.partition);
        }
    }
}

async fn restore(reader: &Reader, open: &OpenPartition, log: &RefCell<Log>) -> Result<(), ChangeError> {
    let (mut taken, mut pending, mut unfit) = (0, 0, 0);
    for entry in reader.leftovers().of(open.partition) {
        let bytes = reader.read(entry).await.map_err(unread)?;
        let restored = log.borrow_mut().restore(entry.from, &bytes, runtime::wall_clock());
        match restored.map_err(lost)? {
            Restored::Taken { bytes } => (taken, pending) = (taken + bytes, pending + bytes),
            Restored::Unfit => unfit += 1,
        }
        if pending >= RESTORE_BYTES_MAX {
            log::write_back(log).await.map_err(lost)?;
            pending = 0;
        }
    }
    let (topic, partition) = (&open.topic, open.partition.partition);
    if unfit > 0 {
        tracing::error!("{topic}-{partition}: {unfit} journal entries do not continue the log and are left out");
    }
    // An entry that did not fit may have begun to.
    log::write_back(log).await.map_err(lost)?;
    let point = { log.borrow().sync_point() };
    log.borrow_mut().finish_sync(point);
    if taken > 0 {
        tracing::info!("{topic}-{partition}: {taken} bytes came back from the journal");
    }
    Ok(())
}

fn unread(error: io::Error) -> ChangeError {
    match log::storage_error("reading a journal", &error) {
        shortage if shortage.is_shortage() => lost(shortage),
        _ => ChangeError::LogDir(format!("reading a journal: {error}")),
    }
}
