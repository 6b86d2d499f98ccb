//! Partitions about to arrive in another log directory: where their logs start must be in its checkpoint file before the
//! controller records the new place, or a crash right after the move would bring deleted records back.

use crate::log_dirs::Checkpoint;
use odradek_shards::message::{LogDirIndex, PartitionCheckpoint};
use odradek_shards::runtime::sync::Notify;
use odradek_shards::types::{Offset, TopicPartition};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

#[derive(Default)]
pub struct Arrivals {
    expected: RefCell<BTreeMap<TopicPartition, Arrival>>,
    asked: Notify,
    /// Counts rounds of checkpoints that are in the files.
    rounds: Cell<u64>,
    written: Notify,
}

#[derive(Clone)]
pub struct Arrival {
    pub topic: Arc<str>,
    pub log_dir: LogDirIndex,
    pub log_start: Offset,
}

impl Arrivals {
    pub fn new() -> Rc<Self> {
        Rc::default()
    }

    /// Returns when the checkpoint file says it.
    pub async fn expect(&self, partition: TopicPartition, arrival: Arrival) {
        if arrival.log_start == Offset::ZERO {
            return;
        }
        self.expected.borrow_mut().insert(partition, arrival);
        // A round that is under way may have begun without it.
        let enough = self.rounds.get() + 2;
        while self.rounds.get() < enough && self.expected.borrow().contains_key(&partition) {
            let written = self.written.notified();
            self.asked.notify_all();
            written.await;
        }
    }

    /// It stays where it was.
    pub fn forget(&self, partition: TopicPartition) {
        self.expected.borrow_mut().remove(&partition);
    }

    pub fn asked(&self) -> impl Future<Output = ()> + '_ {
        self.asked.notified()
    }

    /// What the files are to say besides what the shards have `told`: nothing of those that are there, or gone.
    pub fn complete(&self, told: &[PartitionCheckpoint]) -> Vec<Checkpoint> {
        let mut expected = self.expected.borrow_mut();
        expected.retain(|partition, arrival| {
            let here: Vec<_> = told.iter().filter(|one| one.partition == *partition).collect();
            !here.is_empty() && here.iter().all(|one| one.log_dir != arrival.log_dir)
        });
        let row = |(partition, arrival): (&TopicPartition, &Arrival)| Checkpoint {
            log_dir: usize::from(arrival.log_dir.0),
            topic: arrival.topic.to_string(),
            partition: partition.partition,
            recovery_point: Offset::ZERO,
            log_start: arrival.log_start,
            high_watermark: arrival.log_start,
            cleaned: None,
        };
        expected.iter().map(row).collect()
    }

    /// What [`Arrivals::complete`] gave is in the files, or its directory is not served any more.
    pub fn written(&self) {
        self.rounds.set(self.rounds.get() + 1);
        self.written.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use odradek_shards::runtime::simulation::simulate;
    use odradek_shards::runtime::{sleep, spawn};
    use odradek_shards::types::{PartitionIndex, TopicId};
    use std::time::Duration;
    use uuid::Uuid;

    const PARTITION: TopicPartition =
        TopicPartition { topic: TopicId(Uuid::from_u128(7)), partition: PartitionIndex(3) };

    /// Every task has had its turn.
    async fn settled() {
        sleep(Duration::from_millis(1)).await;
    }

    fn told(log_dir: u16) -> PartitionCheckpoint {
        PartitionCheckpoint {
            partition: PARTITION,
            topic: "topic".into(),
            log_dir: LogDirIndex(log_dir),
            recovery_point: Offset(9),
            log_start_offset: Offset(5),
            high_watermark: Offset(9),
            cleaned: None,
            sound: true,
        }
    }

    fn arrival(log_start: i64) -> Arrival {
        Arrival { topic: "topic".into(), log_dir: LogDirIndex(1), log_start: Offset(log_start) }
    }

    #[test]
    fn a_log_start_is_in_the_files_before_the_controller_hears_of_the_move() {
        simulate(1, async {
            let (arrivals, done) = (Arrivals::new(), Rc::new(Cell::new(false)));
            let (expecting, is_done) = (arrivals.clone(), done.clone());
            spawn(async move {
                expecting.expect(PARTITION, arrival(5)).await;
                is_done.set(true);
            });
            settled().await;
            // A round that had asked the shards before.
            arrivals.written();
            settled().await;
            assert!(!done.get());
            let rows = arrivals.complete(&[told(0)]);
            assert_eq!((rows.len(), rows[0].log_dir, rows[0].log_start), (1, 1, Offset(5)));
            arrivals.written();
            settled().await;
            assert!(done.get());
            assert_eq!(arrivals.complete(&[told(0)]).len(), 1, "it stays until the partition is there");
            assert!(arrivals.complete(&[told(1)]).is_empty() && arrivals.complete(&[told(0)]).is_empty());
        });
    }

    #[test]
    fn a_log_from_its_beginning_waits_for_no_file() {
        simulate(2, async {
            let arrivals = Arrivals::new();
            arrivals.expect(PARTITION, arrival(0)).await;
            assert!(arrivals.complete(&[told(0)]).is_empty());
        });
    }

    #[test]
    fn a_deleted_partition_is_not_expected_any_more() {
        simulate(3, async {
            let arrivals = Arrivals::new();
            let expecting = arrivals.clone();
            spawn(async move { expecting.expect(PARTITION, arrival(5)).await });
            settled().await;
            assert!(arrivals.complete(&[]).is_empty());
            arrivals.written();
        });
    }
}
