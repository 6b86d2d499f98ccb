//! Reads what lies in closed segments, slowly and over and over, to find what a disk has lost before somebody needs it: one
//! task, one segment at a time, the shard's partitions in turn. What it finds is said and counted, and changes nothing.

use super::Shard;
use crate::limits::{SCRUB_FIRST, SHORTAGE_PAUSE};
use crate::log::cleaner::Pace;
use crate::log::{Damage, SealedSegment};
use crate::message::ScrubCounts;
use crate::partition::driver::{Home, Replica};
use crate::runtime::{self, random_u64};
use crate::types::{Offset, TopicPartition};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

/// `odradek.scrub.*`, as far as they are one shard's.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ScrubSettings {
    /// From the beginning of one round to that of the next; zero for none at all.
    pub interval: Duration,
    pub bytes_per_second: f64,
}

pub(super) struct Scrubber {
    settings: ScrubSettings,
    pace: RefCell<Pace>,
    counts: Cell<ScrubCounts>,
    /// What the last look found, of those partitions where it found something.
    damaged: RefCell<HashMap<TopicPartition, u64>>,
}

impl Default for ScrubSettings {
    fn default() -> Self {
        Self { interval: Duration::from_hours(14 * 24), bytes_per_second: 10e6 }
    }
}

impl Scrubber {
    pub fn new(settings: ScrubSettings) -> Self {
        let pace = RefCell::new(Pace::new(settings.bytes_per_second));
        Self { settings, pace, counts: Cell::default(), damaged: RefCell::default() }
    }

    pub fn counts(&self) -> ScrubCounts {
        self.counts.get()
    }

    /// Of the last look at all its closed segments.
    pub fn damages(&self, partition: TopicPartition) -> u64 {
        self.damaged.borrow().get(&partition).copied().unwrap_or(0)
    }

    /// The partition is gone.
    pub fn forget(&self, partition: TopicPartition) {
        self.damaged.borrow_mut().remove(&partition);
    }

    fn found(&self, partition: TopicPartition, damages: u64) {
        match damages {
            0 => self.forget(partition),
            _ => drop(self.damaged.borrow_mut().insert(partition, damages)),
        }
    }

    fn count(&self, add: impl FnOnce(&mut ScrubCounts)) {
        let mut counts = self.counts.get();
        add(&mut counts);
        self.counts.set(counts);
    }
}

/// Begins a round every `odradek.scrub.interval.ms`, until the shard stops.
pub(super) async fn run(shard: Rc<Shard>) {
    let interval = shard.scrubber.settings.interval;
    if interval.is_zero() {
        return;
    }
    runtime::sleep(interval.min(SCRUB_FIRST)).await;
    while !shard.stopping.get() {
        let next = runtime::now() + interval;
        shard.scrub_all().await;
        shard.scrubber.count(|counts| counts.rounds += 1);
        runtime::sleep(next.saturating_since(runtime::now()).max(SHORTAGE_PAUSE)).await;
    }
}

impl Shard {
    /// Begins anywhere: a broker that is restarted often must not read the same partitions every time.
    async fn scrub_all(&self) {
        let mut partitions: Vec<_> = self.replicas().iter().map(|replica| replica.home().partition).collect();
        partitions.sort_unstable();
        if !partitions.is_empty() {
            let first = (random_u64() % partitions.len() as u64) as usize;
            partitions.rotate_left(first);
        }
        for partition in partitions {
            self.scrub_partition(partition).await;
        }
    }

    async fn scrub_partition(&self, partition: TopicPartition) {
        let (mut from, mut found) = (Offset::ZERO, 0);
        while let Some((replica, segment)) = self.next_to_scrub(partition, from) {
            let goes_on = async |bytes| self.rest_from_scrub(&replica, &segment, bytes).await;
            match segment.scrub(goes_on).await {
                Ok(damages) => {
                    from = segment.end();
                    self.scrubber.count(|counts| {
                        counts.segments += 1;
                        counts.damages += damages.len() as u64;
                    });
                    damages.iter().for_each(|damage| say(replica.home(), damage));
                    found += damages.len() as u64;
                    // Known at once; that damage is gone, only when all has been read.
                    if found > self.scrubber.damages(partition) {
                        self.scrubber.found(partition, found);
                    }
                }
                Err(_) => runtime::sleep(SHORTAGE_PAUSE).await,
            }
            runtime::yield_now().await;
        }
        if self.replica(partition).is_ok() && !self.stopping.get() {
            self.scrubber.found(partition, found);
        }
    }

    /// As long as the partition is served.
    fn next_to_scrub(&self, partition: TopicPartition, from: Offset) -> Option<(Rc<Replica>, SealedSegment)> {
        let replica = self.replica(partition).ok().filter(|_| !self.stopping.get())?;
        let is_served = replica.machine().state().is_served();
        let segment = replica.log().sealed_segment(from).filter(|_| is_served)?;
        Some((replica, segment))
    }

    async fn rest_from_scrub(&self, replica: &Replica, segment: &SealedSegment, bytes: usize) -> bool {
        self.scrubber.count(|counts| counts.bytes += bytes as u64);
        let pause = self.scrubber.pace.borrow_mut().spend(bytes, runtime::now());
        runtime::sleep(pause).await;
        let is_served = replica.machine().state().is_served();
        is_served && !self.stopping.get() && !segment.is_gone()
    }
}

fn say(home: &Home, damage: &Damage) {
    let Damage { file, position, offset, what, hides_the_rest } = damage;
    let extent = if *hides_the_rest { "and what follows it in the segment " } else { "" };
    tracing::error!(
        "{}: the batch at offset {offset}, at position {position} of {file}, {extent}is damaged: {what}; consumers stop \
         there, everything else is served. Check the disk; then bring the segment's file back from a copy while the \
         broker is stopped, or let consumers go past it (kafka-consumer-groups --reset-offsets, kafka-delete-records)",
        home.directory
    );
}
