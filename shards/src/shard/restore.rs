//! Giving a log back what a crash left of it in a journal, before anybody may append to it.

use super::Shard;
use super::change::lost;
use crate::error::ChangeError;
use crate::journal::Reader;
use crate::limits::RESTORE_BYTES_MAX;
use crate::log::{self, Log, Restored};
use crate::message::OpenPartition;
use crate::runtime;
use std::cell::RefCell;
use std::io;

impl Shard {
    /// Appends what continues the log and makes it durable in its own segments. Whatever fails, the journals stay.
    pub(super) async fn restore(&self, open: &OpenPartition, log: Log) -> Result<Log, ChangeError> {
        let Some(reader) = self.readers.get(usize::from(open.log_dir.0)).filter(|_| !open.clean) else {
            return Ok(log);
        };
        let log = RefCell::new(log);
        restore(reader, open, &log).await?;
        Ok(log.into_inner())
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
            log::settle(log).await.map_err(lost)?;
            pending = 0;
        }
    }
    let (topic, partition) = (&open.topic, open.partition.partition);
    if unfit > 0 {
        tracing::error!("{topic}-{partition}: {unfit} journal entries do not continue the log and are left out");
    }
    if taken > 0 {
        log::secure(log).await.map_err(lost)?;
        tracing::info!("{topic}-{partition}: {taken} bytes came back from the journal");
    }
    Ok(())
}

fn unread(error: io::Error) -> ChangeError {
    ChangeError::LogDir(format!("reading a journal: {error}"))
}
