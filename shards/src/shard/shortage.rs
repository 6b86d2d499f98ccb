//! Says that the process is out of descriptors or memory, now and then. No log directory goes offline for that: writes
//! wait, reads are refused with KAFKA_STORAGE_ERROR and asked for again.

use super::Shard;
use crate::limits::SHORTAGE_SAID_EVERY;
use crate::log::StorageError;
use crate::runtime::{self, Instant};
use std::cell::Cell;

#[derive(Default)]
pub(super) struct Shortages {
    said: Cell<Option<Instant>>,
    unsaid: Cell<u64>,
}

impl Shard {
    pub(super) fn say_short(&self, what: &str, cause: &StorageError) {
        let shortages = &self.shortages;
        let is_time = shortages.said.get().is_none_or(|said| said.elapsed() >= SHORTAGE_SAID_EVERY);
        if !is_time {
            shortages.unsaid.set(shortages.unsaid.get() + 1);
            return;
        }
        shortages.said.set(Some(runtime::now()));
        let unsaid = shortages.unsaid.take();
        tracing::error!(unsaid, "{what}: {cause}; tried again until then, nothing is lost");
    }
}
