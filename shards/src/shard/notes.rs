//! Notes of where batches lie that are synced and past the recovery points, so that a start after a crash need not read them.

use super::Shard;
use crate::partition::driver::Replica;
use crate::types::TopicPartition;
use std::rc::Rc;

impl Shard {
    /// Keeps what the log has to note.
    pub(super) fn note(&self, replica: &Replica) {
        let notes = { replica.log_mut().take_notes() };
        let home = replica.home();
        for note in notes {
            let notes = &self.journaling(home.log_dir).notes;
            notes.note(home.partition, note.from, note.next, note.into_bytes());
        }
    }

    /// The recovery points that were told the last time have been recorded: nobody will ask for notes below them.
    pub(super) fn release_notes(&self) {
        for replica in self.replicas() {
            let home = replica.home();
            self.journaling(home.log_dir).notes.release(home.partition, replica.told_point.get());
        }
    }

    /// The partitions whose recovery points should move because notes run out of room.
    pub(super) fn pressed(&self) -> Vec<Rc<Replica>> {
        let mut partitions: Vec<TopicPartition> =
            self.journals.iter().flat_map(|journaling| journaling.notes.pressed()).collect();
        partitions.sort_unstable();
        partitions.dedup();
        partitions.into_iter().filter_map(|partition| self.replica(partition).ok()).collect()
    }
}
