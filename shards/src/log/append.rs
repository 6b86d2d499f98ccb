//! Putting a batch at the end of the log: offsets are given, memory is changed, no I/O.

use super::error::AppendError;
use super::log::Log;
use super::producer_snapshot;
use super::producer_state::Admission;
use super::segment::{Rolled, Segment};
use super::tail::TailBatch;
use crate::record::{Batch, BatchHeader, ControlRecord, EndTransactionMarker, TimestampType, ValidBatch};
use crate::runtime;
use crate::types::{LeaderEpoch, Offset, Timestamp};

/// Where a batch is in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    pub first: Offset,
    pub last: Offset,
    /// `Timestamp::NONE` unless the topic stamps LogAppendTime.
    pub log_append_time: Timestamp,
    /// It had been appended before, and was not again: `first` and `last` are from then.
    pub duplicate: bool,
}

impl Log {
    /// Appends a client's or our own batch as the leader of `epoch`. The offsets are the next ones; the batch is durable
    /// once `stable_offset` is past them. A repetition by an idempotent producer changes nothing.
    pub fn append(&mut self, batch: &ValidBatch, epoch: LeaderEpoch, now: Timestamp) -> Result<Appended, AppendError> {
        self.sound()?;
        let log_append_time = match batch.header.timestamp_type() {
            TimestampType::LogAppendTime => batch.header.max_timestamp,
            TimestampType::CreateTime => Timestamp::NONE,
        };
        if let Admission::Duplicate(earlier) = self.producers.check(&batch.header)? {
            let (first, last) = (earlier.first_offset(), earlier.last_offset);
            return Ok(Appended { first, last, log_append_time, duplicate: true });
        }
        let header = BatchHeader { base_offset: self.end, leader_epoch: epoch, ..batch.header };
        self.check_size(&header)?;
        self.put(&header, batch, now);
        Ok(Appended { first: header.base_offset, last: header.last_offset(), log_append_time, duplicate: false })
    }

    /// Appends a batch as its leader stored it, with that leader's offsets and epoch; offsets may be missing where the
    /// leader has compacted. It must begin at or past the end of this log.
    pub fn append_as_follower(&mut self, batch: &ValidBatch, now: Timestamp) -> Result<Appended, AppendError> {
        self.sound()?;
        assert!(batch.header.base_offset >= self.end, "a follower's batch comes after all it has");
        self.check_size(&batch.header)?;
        self.put(&batch.header, batch, now);
        let (first, last) = (batch.header.base_offset, batch.header.last_offset());
        Ok(Appended { first, last, log_append_time: Timestamp::NONE, duplicate: false })
    }

    fn check_size(&self, header: &BatchHeader) -> Result<(), AppendError> {
        let (size, max) = (header.size(), self.config.segment_bytes);
        if size > max as usize { Err(AppendError::TooLarge { size, max }) } else { Ok(()) }
    }

    pub(super) fn put(&mut self, header: &BatchHeader, batch: &ValidBatch, now: Timestamp) {
        if self.segments.active().must_roll(header, &self.config, now) {
            self.roll(header.base_offset, now);
        }
        let segment = self.segments.active_mut();
        let position = segment.append(header, self.config.index_interval_bytes);
        segment.open_mut().expect("the active segment is open").appended = now;
        self.tail.push(TailBatch::new(header, &batch.bytes, segment.base, position));
        self.epochs.assign(header.leader_epoch, header.base_offset);
        if let Some(aborted) = self.producers.update(header, marker(batch), now) {
            self.segments.active_mut().note_aborted(aborted);
        }
        self.end = header.next_offset();
    }

    /// Closes the active segment to appends and begins a new one at `base`, the end of the log or past a gap after it.
    /// The files follow: the new one with the first write, the old one's indexes when it is sealed.
    pub(super) fn roll(&mut self, base: Offset, now: Timestamp) {
        assert!(base >= self.end, "a new segment begins past all batches");
        self.producers.expire(now, self.config.producer_id_expiration_ms);
        let snapshot = producer_snapshot::write(&self.producers);
        let jitter = jitter(self.config.segment_jitter_ms.min(self.config.segment_ms));
        let old = self.segments.active_mut().open_mut().expect("the active segment is open");
        old.complete_time_index();
        old.rolled = Some(Rolled { next: base, snapshot });
        self.segments.push(Segment::new(&self.dir, base, &self.config, now, jitter));
        self.marked = 0;
    }
}

/// Segments of many partitions must not all be rolled in one moment.
fn jitter(max_ms: i64) -> i64 {
    if max_ms <= 0 { 0 } else { (runtime::random_u64() % max_ms as u64) as i64 }
}

/// What the batch says when it is a transaction marker.
fn marker(batch: &ValidBatch) -> Option<EndTransactionMarker> {
    if !batch.header.attributes.is_control() || !batch.header.has_producer_id() {
        return None;
    }
    marker_in(&Batch::from(batch.clone()))
}

pub(super) fn marker_in(batch: &Batch) -> Option<EndTransactionMarker> {
    let record = batch.records(batch.bytes.len()).next()?.ok()?;
    ControlRecord::parse(&record).ok()?.marker().ok()?
}
