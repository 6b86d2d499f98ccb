//! Parked fetches of a shard: each waits for bytes over several partitions, or for its deadline.

use crate::message::{AwaitId, Awaited};
use crate::partition::WaitId;
use crate::runtime::Instant;
use crate::types::TopicPartition;
use std::collections::{BTreeSet, HashMap};

/// `R` is where the answer goes.
pub struct Waits<R> {
    parked: HashMap<WaitId, Wait<R>>,
    by_await: HashMap<AwaitId, WaitId>,
    deadlines: BTreeSet<(Instant, WaitId)>,
    next: u64,
}

struct Wait<R> {
    id: AwaitId,
    partitions: Vec<TopicPartition>,
    bytes_missing: u64,
    until: Instant,
    responder: R,
}

/// A wait that is over; its partitions may still have it parked.
pub struct Finished<R> {
    pub wait: WaitId,
    pub partitions: Vec<TopicPartition>,
    pub responder: R,
    pub outcome: Awaited,
}

impl<R> Default for Waits<R> {
    fn default() -> Self {
        Self { parked: HashMap::new(), by_await: HashMap::new(), deadlines: BTreeSet::new(), next: 0 }
    }
}

impl<R> Waits<R> {
    pub fn len(&self) -> usize {
        self.parked.len()
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(until, _)| *until)
    }

    /// Parks a fetch that lacks `bytes_missing` bytes, more than 0.
    pub fn park(
        &mut self,
        id: AwaitId,
        partitions: Vec<TopicPartition>,
        bytes_missing: u64,
        until: Instant,
        responder: R,
    ) -> WaitId {
        assert!(bytes_missing > 0, "a fetch that has enough is answered, not parked");
        let wait = WaitId(self.next);
        self.next += 1;
        self.parked.insert(wait, Wait { id, partitions, bytes_missing, until, responder });
        self.by_await.insert(id, wait);
        self.deadlines.insert((until, wait));
        wait
    }

    /// More bytes to read; the wait ends when they are enough.
    pub fn arrived(&mut self, wait: WaitId, bytes: u64) -> Option<Finished<R>> {
        let parked = self.parked.get_mut(&wait)?;
        parked.bytes_missing = parked.bytes_missing.saturating_sub(bytes);
        let enough = parked.bytes_missing == 0;
        enough.then(|| self.finish(wait, Awaited::Ready)).flatten()
    }

    pub fn disturbed(&mut self, wait: WaitId) -> Option<Finished<R>> {
        self.finish(wait, Awaited::Ready)
    }

    pub fn cancel(&mut self, id: AwaitId) -> Option<Finished<R>> {
        let wait = *self.by_await.get(&id)?;
        self.finish(wait, Awaited::Cancelled)
    }

    /// The next wait whose deadline has come.
    pub fn expire(&mut self, now: Instant) -> Option<Finished<R>> {
        let (until, wait) = *self.deadlines.first()?;
        (until <= now).then(|| self.finish(wait, Awaited::Expired)).flatten()
    }

    /// Ends any wait, at shutdown.
    pub fn cancel_any(&mut self) -> Option<Finished<R>> {
        let (_, wait) = *self.deadlines.first()?;
        self.finish(wait, Awaited::Cancelled)
    }

    fn finish(&mut self, wait: WaitId, outcome: Awaited) -> Option<Finished<R>> {
        let Wait { id, partitions, until, responder, .. } = self.parked.remove(&wait)?;
        self.deadlines.remove(&(until, wait));
        // A client that reuses an id has replaced its older wait here.
        if self.by_await.get(&id) == Some(&wait) {
            self.by_await.remove(&id);
        }
        Some(Finished { wait, partitions, responder, outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ShardId;
    use std::time::Duration;

    fn id(number: u64) -> AwaitId {
        AwaitId { origin: ShardId(0), number }
    }

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(0) + Duration::from_millis(millis)
    }

    fn outcome(finished: Option<Finished<&'static str>>) -> Option<(&'static str, Awaited)> {
        finished.map(|finished| (finished.responder, finished.outcome))
    }

    #[test]
    fn bytes_of_several_partitions_add_up() {
        let mut waits = Waits::default();
        let wait = waits.park(id(1), Vec::new(), 100, at(500), "a");
        assert_eq!(outcome(waits.arrived(wait, 60)), None);
        assert_eq!(outcome(waits.arrived(wait, 60)), Some(("a", Awaited::Ready)));
        assert_eq!(outcome(waits.arrived(wait, 60)), None);
        assert_eq!(waits.next_deadline(), None);
    }

    #[test]
    fn deadlines_expire_in_their_order() {
        let mut waits = Waits::default();
        waits.park(id(1), Vec::new(), 1, at(500), "late");
        waits.park(id(2), Vec::new(), 1, at(100), "early");
        assert_eq!(waits.next_deadline(), Some(at(100)));
        assert_eq!(outcome(waits.expire(at(99))), None);
        assert_eq!(outcome(waits.expire(at(100))), Some(("early", Awaited::Expired)));
        assert_eq!(outcome(waits.expire(at(100))), None);
    }

    #[test]
    fn a_cancelled_wait_is_answered_once() {
        let mut waits = Waits::default();
        waits.park(id(7), Vec::new(), 1, at(500), "a");
        assert_eq!(outcome(waits.cancel(id(8))), None);
        assert_eq!(outcome(waits.cancel(id(7))), Some(("a", Awaited::Cancelled)));
        assert_eq!(outcome(waits.cancel(id(7))), None);
        assert_eq!(waits.len(), 0);
    }

    #[test]
    fn a_disturbed_wait_reads_again() {
        let mut waits = Waits::default();
        let wait = waits.park(id(1), Vec::new(), 9, at(500), "a");
        assert_eq!(outcome(waits.disturbed(wait)), Some(("a", Awaited::Ready)));
    }
}
