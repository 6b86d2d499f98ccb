//! Compacts the shard's logs: one task, one log at a time, the dirtiest first; asleep while none is dirty enough.

use super::Shard;
use crate::limits::{QUARANTINE_MAX, QUARANTINE_MIN, RETENTION_PAUSE, RETENTION_YIELD};
use crate::log::cleaner::{CleanError, Cleaned, Means, Pace, dirtiest};
use crate::message::{CleanerCounts, CleanerSettings, Quarantined};
use crate::partition::driver::Replica;
use crate::runtime::sync::Notify;
use crate::runtime::{self, Instant};
use crate::types::TopicPartition;
use futures_util::future::select;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::Display;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

/// What the task goes by.
pub(super) struct Cleaner {
    settings: Cell<CleanerSettings>,
    changed: Notify,
    pace: RefCell<Pace>,
    quarantine: RefCell<HashMap<TopicPartition, Quarantine>>,
    counts: Cell<CleanerCounts>,
    /// When it last looked for logs to compact.
    looked: Cell<Option<Instant>>,
    at_work: Cell<bool>,
    /// The partition at hand.
    at: Cell<Option<TopicPartition>>,
    rests: Notify,
}

/// A log that could not be cleaned.
struct Quarantine {
    until: Instant,
    length: Duration,
    reason: String,
}

impl Cleaner {
    pub fn new(settings: CleanerSettings) -> Self {
        Self {
            settings: Cell::new(settings),
            changed: Notify::new(),
            pace: RefCell::new(Pace::new(settings.bytes_per_second)),
            quarantine: RefCell::default(),
            counts: Cell::default(),
            looked: Cell::default(),
            at_work: Cell::new(false),
            at: Cell::default(),
            rests: Notify::new(),
        }
    }

    pub fn reconfigure(&self, settings: CleanerSettings) {
        self.settings.set(settings);
        self.pace.borrow_mut().change(settings.bytes_per_second);
        self.changed.notify_all();
    }

    /// Waits until no log is at hand.
    pub async fn rests(&self) {
        while self.at_work.get() {
            self.rests.notified().await;
        }
    }

    /// The partition is gone.
    pub fn forget(&self, partition: TopicPartition) {
        self.quarantine.borrow_mut().remove(&partition);
    }

    pub fn is_at(&self, partition: TopicPartition) -> bool {
        self.at.get() == Some(partition)
    }

    pub fn counts(&self) -> CleanerCounts {
        let since_last_run = self.looked.get().map(|looked| looked.elapsed());
        CleanerCounts { since_last_run, ..self.counts.get() }
    }

    /// Whether the log is in quarantine, or was and has not been compacted since.
    pub fn quarantined(&self, replica: &Replica) -> Option<Box<Quarantined>> {
        let quarantine = self.quarantine.borrow();
        let Quarantine { until, reason, .. } = quarantine.get(&replica.home().partition)?;
        let retry_in = until.saturating_since(runtime::now());
        Some(Box::new(Quarantined { reason: reason.clone(), retry_in, dirty_bytes: replica.log().dirty_bytes() }))
    }

    fn count(&self, add: impl FnOnce(&mut CleanerCounts)) {
        let mut counts = self.counts.get();
        add(&mut counts);
        self.counts.set(counts);
    }

    fn is_quarantined(&self, partition: TopicPartition) -> bool {
        let quarantine = self.quarantine.borrow();
        quarantine.get(&partition).is_some_and(|quarantine| runtime::now() < quarantine.until)
    }

    /// Leaves a log alone for a while, longer each time; it is never forgotten.
    fn quarantine(&self, replica: &Replica, reason: impl Display) {
        let mut quarantine = self.quarantine.borrow_mut();
        let partition = replica.home().partition;
        let before = quarantine.get(&partition).map(|quarantine| quarantine.length);
        let length = before.map_or(QUARANTINE_MIN, |before| (before * 2).min(QUARANTINE_MAX));
        let (until, reason) = (runtime::now() + length, reason.to_string());
        let (name, seconds) = (&replica.home().directory, length.as_secs());
        tracing::error!("{name} is not compacted: {reason}; tried again in {seconds} s, until then it only grows");
        quarantine.insert(partition, Quarantine { until, length, reason });
        self.count(|counts| counts.failures += 1);
    }
}

/// Looks for dirty logs every `log.cleaner.backoff.ms`, until the shard stops.
pub(super) async fn run(shard: Rc<Shard>) {
    let cleaner = &shard.cleaner;
    while !shard.stopping.get() {
        let changed = cleaner.changed.notified();
        let settings = cleaner.settings.get();
        let pause = if settings.enabled { settings.backoff.max(RETENTION_PAUSE) } else { Duration::MAX };
        drop(select(pin!(runtime::sleep(pause)), changed).await);
        if shard.stopping.get() || !cleaner.settings.get().enabled {
            continue;
        }
        cleaner.at_work.set(true);
        shard.clean_all().await;
        cleaner.looked.set(Some(runtime::now()));
        cleaner.at_work.set(false);
        cleaner.rests.notify_all();
    }
}

impl Shard {
    /// Cleans what is due. Logs that delete as well lose their old segments first.
    async fn clean_all(&self) {
        let mut logs = Vec::new();
        for (at, replica) in self.replicas().into_iter().enumerate() {
            if at % RETENTION_YIELD == RETENTION_YIELD - 1 {
                runtime::yield_now().await;
            }
            if !self.may_clean(&replica) {
                continue;
            }
            self.retain(&replica).await;
            let min_ratio = replica.log().config().min_cleanable_dirty_ratio;
            match replica.survey().await {
                Ok(Some(dirt)) => logs.push((replica, dirt, min_ratio)),
                Ok(None) => {}
                Err(error) => self.cleaner.quarantine(&replica, error),
            }
        }
        for replica in dirtiest(logs) {
            self.clean(&replica).await;
        }
    }

    fn may_clean(&self, replica: &Replica) -> bool {
        let is_open = !self.stopping.get() && replica.machine().state().closed.is_none();
        let is_sound = !replica.machine().state().offline && replica.log().failure().is_none();
        let is_compacted = replica.log().config().cleanup_policy.compact;
        let is_moving = self.moves.contains(replica.home().partition);
        is_open && is_sound && is_compacted && !is_moving && !self.cleaner.is_quarantined(replica.home().partition)
    }

    async fn clean(&self, replica: &Rc<Replica>) {
        // Time has passed since the look at it.
        let dirt = match replica.survey().await {
            Ok(Some(dirt)) if self.may_clean(replica) => dirt,
            _ => return,
        };
        let (settings, host) = (self.cleaner.settings.get(), self.host());
        let means = Means {
            map_bytes: settings.map_bytes,
            load_factor: settings.load_factor,
            pace: &self.cleaner.pace,
            must_stop: &|| !self.may_clean(replica),
            doomed: &|doomed| replica.remove_later(&host, doomed),
        };
        let name = &replica.home().directory;
        self.cleaner.at.set(Some(replica.home().partition));
        let cleaned = replica.clean(&host, &dirt, &means).await;
        self.cleaner.at.set(None);
        match cleaned {
            Ok(Cleaned { from, to, bytes_before, bytes_after }) => {
                self.cleaner.forget(replica.home().partition);
                self.cleaner.count(|counts| {
                    counts.logs += 1;
                    counts.bytes_before += bytes_before;
                    counts.bytes_after += bytes_after;
                });
                tracing::info!("{name}: compacted from {from} to {to}, {bytes_before} bytes became {bytes_after}");
            }
            Err(CleanError::GaveUp) => tracing::debug!("{name}: not compacted now, as it has changed meanwhile"),
            Err(error) => self.cleaner.quarantine(replica, error),
        }
    }
}
