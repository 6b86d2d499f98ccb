//! Notes of where batches lie that are synced and past the recovery points, so that a start after a crash need not read them.

use super::Shard;
use super::responder::Responder;
use crate::message::{LogDirIndex, Reply};
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

    /// Notes anew what a start has found, for the next one to find it too: it may come before recovery points have moved.
    pub(super) async fn note_found(self: Rc<Self>, log_dir: LogDirIndex, responder: Responder) {
        if let Some(reader) = self.readers.get(usize::from(log_dir.0)) {
            assert!(reader.leftovers().is_synced(), "a note says that its batches are synced");
        }
        let notes = self.journaling(log_dir).notes.clone();
        let mut replicas = self.replicas();
        replicas.retain(|replica| replica.home().log_dir == log_dir);
        replicas.sort_by_key(|replica| replica.home().partition);
        for replica in replicas {
            let found = { replica.log_mut().take_found_notes() };
            for note in found {
                notes.room().await;
                if !self.replica(replica.home().partition).is_ok_and(|served| Rc::ptr_eq(&served, &replica)) {
                    break;
                }
                notes.note(replica.home().partition, note.from, note.next, note.into_bytes());
            }
        }
        notes.settled().await;
        self.recovery.noted();
        responder.reply(Reply::Synced);
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
