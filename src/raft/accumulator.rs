//! Records that wait for the write in flight to end, so that they leave together; nothing is lost or reordered here.

use bytes::Bytes;
use odradek_shards::record::{BatchBuilder, NewRecord, ValidBatch};
use odradek_shards::types::{LeaderEpoch, Offset, Timestamp};

/// `internal.metadata.max.batch.size.in.bytes`: no batch is larger.
pub const BATCH_BYTES_MAX: usize = 8 << 20;
/// Records one request may write at once.
pub const BATCH_RECORDS_MAX: usize = 10_000;

/// The records of one request cannot be one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{records} records of {bytes} bytes are more than a metadata batch holds")]
pub struct TooLarge {
    pub records: usize,
    pub bytes: usize,
}

/// One epoch's records by offset; the leader alone has one.
pub struct Accumulator {
    epoch: LeaderEpoch,
    /// Of the next record.
    next: Offset,
    ready: Vec<(Offset, ValidBatch)>,
    open: Option<(Offset, BatchBuilder)>,
}

impl Accumulator {
    pub fn new(epoch: LeaderEpoch, next: Offset) -> Self {
        Self { epoch, next, ready: Vec::new(), open: None }
    }

    pub fn next_offset(&self) -> Offset {
        self.next
    }

    /// Puts `values` into one batch, together with others if they fit. Gives the last record's offset.
    pub fn append(&mut self, values: &[Bytes], now: Timestamp) -> Result<Offset, TooLarge> {
        let bytes: usize = values.iter().map(|value| BatchBuilder::size_of(&record(value, now))).sum();
        if values.is_empty() || values.len() > BATCH_RECORDS_MAX || bytes > BATCH_BYTES_MAX - HEADROOM {
            return Err(TooLarge { records: values.len(), bytes });
        }
        let full = |builder: &BatchBuilder| builder.plain_size() + bytes > BATCH_BYTES_MAX;
        if self.open.as_ref().is_some_and(|(_, builder)| full(builder)) {
            self.close();
        }
        let (epoch, next) = (self.epoch, self.next);
        let fresh = || (next, BatchBuilder::new().base_offset(next).leader_epoch(epoch));
        let (_, builder) = self.open.get_or_insert_with(fresh);
        values.iter().for_each(|value| builder.append(&record(value, now)));
        self.next = self.next + values.len() as i64;
        Ok(Offset(self.next.0 - 1))
    }

    /// All batches gathered so far, in order.
    pub fn drain(&mut self) -> Vec<(Offset, ValidBatch)> {
        self.close();
        std::mem::take(&mut self.ready)
    }

    fn close(&mut self) {
        if let Some((base, builder)) = self.open.take() {
            self.ready.push((base, builder.build()));
        }
    }
}

/// Room for the batch header.
const HEADROOM: usize = 64;

fn record(value: &Bytes, timestamp: Timestamp) -> NewRecord<'_> {
    NewRecord { timestamp, key: None, value: Some(value), headers: &[] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accumulator() -> Accumulator {
        Accumulator::new(LeaderEpoch(3), Offset(10))
    }

    #[test]
    fn what_gathers_together_leaves_as_one_batch() {
        let mut accumulator = accumulator();
        assert_eq!(accumulator.append(&[Bytes::from_static(b"a")], Timestamp(5)), Ok(Offset(10)));
        assert_eq!(
            accumulator.append(&[Bytes::from_static(b"b"), Bytes::from_static(b"c")], Timestamp(6)),
            Ok(Offset(12))
        );
        let batches = accumulator.drain();
        assert_eq!(batches.len(), 1);
        let (base, batch) = &batches[0];
        assert_eq!(*base, Offset(10));
        assert_eq!((batch.header.base_offset, batch.header.last_offset()), (Offset(10), Offset(12)));
        assert_eq!((batch.header.leader_epoch, batch.header.max_timestamp), (LeaderEpoch(3), Timestamp(6)));
        assert!(accumulator.drain().is_empty());
    }

    #[test]
    fn a_full_batch_is_closed_and_offsets_go_on() {
        let mut accumulator = accumulator();
        let half = Bytes::from(vec![0; BATCH_BYTES_MAX / 2]);
        for _ in 0..3 {
            accumulator.append(std::slice::from_ref(&half), Timestamp(5)).unwrap();
        }
        let bases: Vec<_> =
            accumulator.drain().iter().map(|(base, batch)| (*base, batch.header.record_count)).collect();
        assert_eq!(bases, [(Offset(10), 1), (Offset(11), 1), (Offset(12), 1)]);
    }

    #[test]
    fn what_cannot_be_one_batch_is_refused_and_takes_no_offset() {
        let mut accumulator = accumulator();
        assert!(accumulator.append(&[Bytes::from(vec![0; BATCH_BYTES_MAX])], Timestamp(5)).is_err());
        assert!(accumulator.append(&vec![Bytes::new(); BATCH_RECORDS_MAX + 1], Timestamp(5)).is_err());
        assert!(accumulator.append(&[], Timestamp(5)).is_err());
        assert_eq!(accumulator.next_offset(), Offset(10));
    }
}
