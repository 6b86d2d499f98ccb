//! Keeping what is in journals and in no segment within bounds, and the recovery points of the logs near their ends.

use super::Shard;
use super::responder::Responder;
use crate::limits::{FLUSHES_AT_ONCE, RELIEF_PAUSE, WRITE_BACK_PAUSE};
use crate::message::{LogDirIndex, Reply};
use crate::partition::driver::Replica;
use crate::runtime::{self, Class};
use crate::types::Offset;
use futures_util::stream::{self, StreamExt};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Partitions written back in one go before the shard looks again which have most.
const ROUND: usize = 4 * FLUSHES_AT_ONCE;

/// What all partitions of a shard together have not written.
#[derive(Default)]
pub(super) struct WriteBack {
    bytes: Cell<usize>,
    /// A task writes back.
    easing: Cell<bool>,
}

impl WriteBack {
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }
}

impl Shard {
    /// The replica's log has been appended to or written.
    pub(super) fn count_unwritten(&self, replica: &Replica) {
        let bytes = replica.log().unwritten_bytes();
        let before = replica.unwritten.replace(bytes);
        self.write_back.bytes.set(self.write_back.bytes.get() - before + bytes);
        self.ease_if_due();
    }

    /// The replica is gone.
    pub(super) fn forget_unwritten(&self, replica: &Replica) {
        self.write_back.bytes.set(self.write_back.bytes.get() - replica.unwritten.take());
    }

    /// Too much waits to be written: appends must not be acknowledged ahead of it.
    pub(super) fn is_behind(&self) -> bool {
        self.write_back.bytes.get() >= self.settings.unwritten_bytes_max
    }

    fn is_half_behind(&self) -> bool {
        self.write_back.bytes.get() >= self.settings.unwritten_bytes_max / 2
    }

    fn ease_if_due(&self) {
        if self.is_half_behind() && !self.write_back.easing.replace(true) {
            let shard = self.myself.upgrade().expect("a shard that runs is alive");
            runtime::spawn_in(Class::Background, shard.ease());
        }
    }

    /// Writes back where most waits, until less than half of the bound is left.
    async fn ease(self: Rc<Self>) {
        while self.is_half_behind() && !self.stopping.get() {
            let behind = self.most_behind();
            if behind.is_empty() {
                runtime::sleep(RELIEF_PAUSE).await;
                break;
            }
            for round in behind.chunks(ROUND) {
                if !self.is_half_behind() || self.stopping.get() {
                    break;
                }
                self.each(round, async |shard, replica| shard.bring_back(replica, false).await).await;
                runtime::sleep(WRITE_BACK_PAUSE).await;
            }
        }
        self.write_back.easing.set(false);
    }

    /// The half of the partitions where most waits. Looking at all of them costs, so it serves many rounds.
    fn most_behind(&self) -> Vec<Rc<Replica>> {
        let mut behind = self.served(|replica| replica.log().is_behind());
        behind.sort_by_key(|replica| std::cmp::Reverse(replica.unwritten.get()));
        behind.truncate(ROUND.max(behind.len() / 2));
        behind
    }

    /// What is stable now.
    pub(super) async fn bring_back(&self, replica: &Rc<Replica>, sync: bool) {
        let all = { replica.log().stable_offset() };
        replica.bring_back(&self.host(), all, sync).await;
    }

    /// Moves the recovery points of the logs that a crash would leave most to scan of, then answers with all.
    pub(super) async fn checkpoint(self: Rc<Self>, responder: Responder) {
        let bytes = |replica: &Rc<Replica>| replica.log().bytes_to_scan();
        let all = || self.served(|replica| replica.log().bytes_to_scan() > 0);
        if all().iter().map(bytes).sum::<u64>() > self.settings.scan_bytes_max {
            // What is synced gets noted, and then need not be scanned: one sync instead of a waypoint for each log.
            for log_dir in self.log_dirs() {
                self.sync_all(log_dir).await;
            }
        }
        let mut lagging = all();
        lagging.sort_by_key(|replica| std::cmp::Reverse(bytes(replica)));
        let mut left: u64 = lagging.iter().map(bytes).sum();
        let mut due = 0;
        while left > self.settings.scan_bytes_max {
            left -= bytes(&lagging[due]);
            due += 1;
        }
        lagging.truncate(due);
        self.release_notes();
        let known: HashSet<_> = lagging.iter().map(|replica| replica.home().partition).collect();
        lagging.extend(self.pressed().into_iter().filter(|replica| !known.contains(&replica.home().partition)));
        self.mark(&lagging).await;
        responder.reply(Reply::Checkpoint(self.checkpoints()));
    }

    /// Moves the recovery points of these to where their logs end now.
    async fn mark(&self, replicas: &[Rc<Replica>]) {
        let mut waypoints: HashMap<_, _> = HashMap::new();
        for replica in replicas {
            waypoints.extend(replica.log().waypoint().map(|waypoint| (replica.home().partition, waypoint)));
        }
        for log_dir in self.log_dirs() {
            let here = replicas.iter().filter(|replica| replica.home().log_dir == log_dir);
            self.secure(log_dir, here.map(|replica| (replica.clone(), replica.log().stable_offset())).collect()).await;
        }
        let waypoints = RefCell::new(waypoints);
        let marks = async |shard: &Self, replica: &Rc<Replica>| {
            let waypoint = { waypoints.borrow_mut().remove(&replica.home().partition) };
            if let Some(waypoint) = waypoint {
                replica.mark(&shard.host(), waypoint).await;
            }
        };
        self.each(replicas, marks).await;
    }

    fn log_dirs(&self) -> impl Iterator<Item = LogDirIndex> + use<> {
        (0..self.settings.log_dirs.len()).map(|index| LogDirIndex(index as u16))
    }

    /// Brings what journals have of these partitions below the offsets to their segments, and on stable storage there.
    /// Many are synced by one sync of the file system: each by itself would have the file system's own journal written
    /// for it.
    pub(super) async fn secure(&self, log_dir: LogDirIndex, replicas: Vec<(Rc<Replica>, Offset)>) {
        let together = replicas.len() >= self.settings.synced_together_from;
        let work = async |shard: &Self, (replica, below): &(Rc<Replica>, Offset)| {
            replica.bring_back(&shard.host(), *below, !together).await;
        };
        self.each(&replicas, work).await;
        if together {
            self.sync_all(log_dir).await;
        }
    }

    async fn sync_all(&self, log_dir: LogDirIndex) {
        let is_here = |replica: &Replica| replica.home().log_dir == log_dir && replica.log().is_unsynced();
        let points: Vec<_> =
            self.served(is_here).into_iter().map(|replica| (replica.clone(), replica.log().sync_point())).collect();
        if points.is_empty() {
            return;
        }
        match self.settings.log_dirs[usize::from(log_dir.0)].sync_file_system().await {
            Ok(()) => points.into_iter().for_each(|(replica, point)| replica.synced(&self.host(), point)),
            Err(error) => self.log_dir_failed(log_dir, error.to_string()),
        }
    }

    /// In an order that does not depend on chance.
    fn served(&self, wanted: impl Fn(&Replica) -> bool) -> Vec<Rc<Replica>> {
        let mut served = self.replicas();
        served.retain(|replica| replica.machine().state().is_served() && wanted(replica));
        served.sort_by_key(|replica| replica.home().partition);
        served
    }

    /// A few at a time.
    pub(super) async fn each<T>(&self, of: &[T], work: impl AsyncFn(&Self, &T)) {
        let work = &work;
        let all = stream::iter(of).map(|one| work(self, one));
        all.buffer_unordered(FLUSHES_AT_ONCE).collect::<()>().await;
    }
}
