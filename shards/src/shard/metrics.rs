//! What the shard tells of itself to whoever watches the broker.

use super::Shard;
use super::responder::Responder;
use crate::journal::Usage;
use crate::message::{JournalMetrics, PartitionMetrics, Reply, ShardMetrics};
use crate::partition::driver::Replica;
use crate::runtime;
use std::rc::Rc;

/// Partitions told of between two turns of others.
const AT_ONCE: usize = 256;

impl Shard {
    pub(super) async fn tell_metrics(self: Rc<Self>, responder: Responder) {
        responder.reply(Reply::Metrics(Box::new(self.metrics().await)));
    }

    pub async fn metrics(&self) -> ShardMetrics {
        let replicas = self.replicas();
        let mut partitions = Vec::with_capacity(replicas.len());
        for replicas in replicas.chunks(AT_ONCE) {
            partitions.extend(replicas.iter().map(|replica| self.partition_metrics(replica)));
            runtime::yield_now().await;
        }
        ShardMetrics {
            partitions,
            cleaner: self.cleaner.counts(),
            scrub: self.scrubber.counts(),
            journals: self.journals.iter().map(|journaling| journal_metrics(journaling.journal.usage())).collect(),
            tail_bytes: self.tails.borrow().total() as u64,
            unwritten_bytes: self.write_back.bytes() as u64,
        }
    }

    fn partition_metrics(&self, replica: &Replica) -> PartitionMetrics {
        let (home, machine, log) = (replica.home(), replica.machine(), replica.log());
        let state = machine.state();
        PartitionMetrics {
            partition: home.partition,
            topic: home.topic.clone(),
            log_dir: home.log_dir,
            size: log.size(),
            segments: log.segment_count(),
            log_start_offset: state.log_start,
            last_stable_offset: state.last_stable,
            high_watermark: state.high_watermark,
            log_end_offset: state.log_end,
            durability: log.config().durability,
            damages: self.scrubber.damages(home.partition),
            quarantine: self.cleaner.quarantined(replica),
        }
    }
}

fn journal_metrics(Usage { limit, size, held }: Usage) -> JournalMetrics {
    JournalMetrics { limit, size, held }
}
