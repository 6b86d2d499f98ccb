//! The next block of producer ids that no broker was given yet.

use odradek_protocol::records::metadata::ProducerIdsRecord;
use odradek_shards::types::{NodeId, ProducerId};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProducerIdsImage {
    next: i64,
    /// Who was given the block below `next`; only for people.
    last_broker: NodeId,
    last_broker_epoch: i64,
}

impl ProducerIdsImage {
    pub fn next(&self) -> ProducerId {
        ProducerId(self.next)
    }

    pub(super) fn replay(&mut self, record: &ProducerIdsRecord) {
        *self = Self {
            next: record.next_producer_id,
            last_broker: NodeId(record.broker_id),
            last_broker_epoch: record.broker_epoch,
        };
    }

    pub(super) fn to_record(self) -> Option<ProducerIdsRecord> {
        (self.next > 0).then_some(ProducerIdsRecord {
            broker_id: self.last_broker.0,
            broker_epoch: self.last_broker_epoch,
            next_producer_id: self.next,
        })
    }
}
