//! The second half of a cleaning: batches go by once more, and what a later record supersedes stays behind.

use super::super::append::marker_in;
use super::super::transaction_index::Aborted;
use super::offset_map::{KeyHasher, OffsetMap};
use super::transactions::Transactions;
use crate::record::{Batch, BatchError, BatchHeader, Seen, Visitor, batches};
use crate::types::{Offset, ProducerEpoch, ProducerId, Timestamp};
use bytes::Bytes;
use std::collections::HashMap;

/// What a producer's state in the log rests on; the batch that has it stays, if without records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LastOfProducer {
    /// Last offset of its last data batch; without one it is the marker of this epoch.
    pub data: Option<Offset>,
    pub epoch: ProducerEpoch,
}

/// What holds for one cleaning.
pub(super) struct Rules {
    pub now: Timestamp,
    /// A tombstone that is met for the first time may go at this time.
    pub horizon: Timestamp,
    /// The last batch below this offset stays, if without records, so that the end of what was cleaned is known.
    pub end: Offset,
    pub producers: HashMap<ProducerId, LastOfProducer>,
    pub inflated_bytes_max: usize,
}

/// A cleaning's judgement on batches and records.
pub(super) struct Filter {
    rules: Rules,
    map: OffsetMap,
    hasher: KeyHasher,
    transactions: Transactions,
}

/// What is left of some batches.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub batches: Vec<Batch>,
    /// It is not what it was.
    pub changed: bool,
}

impl Filter {
    pub fn new(rules: Rules, map: OffsetMap, hasher: KeyHasher) -> Self {
        Self { rules, map, hasher, transactions: Transactions::default() }
    }

    /// The aborted transactions among the batches to come.
    pub fn announce(&mut self, aborted: Vec<Aborted>) {
        self.transactions.announce(aborted);
    }

    /// For the transaction index of the segment that holds what was left since the last call.
    pub fn take_kept(&mut self) -> Vec<Aborted> {
        self.transactions.take_kept()
    }

    /// What is left of the next whole batches. The `last` ones of a group leave a batch in any case: where a
    /// replacement ends tells a start after a crash which segments it covers.
    pub fn clean(&mut self, bytes: &Bytes, last: bool) -> Result<Left, BatchError> {
        let mut left = Left::default();
        let mut all = batches(bytes).peekable();
        while let Some(batch) = all.next() {
            let batch = batch?;
            batch.check_crc()?;
            let verdict = self.judge(&batch, last && all.peek().is_none())?;
            left.changed |= verdict != Verdict::Stays;
            left.batches.extend(self.apply(batch, verdict)?);
        }
        Ok(left)
    }

    fn judge(&mut self, batch: &Batch, is_last: bool) -> Result<Verdict, BatchError> {
        let header = &batch.header;
        let is_control = header.attributes.is_control();
        let is_done = match is_control {
            true => self.marker_is_done(batch),
            false => self.transactions.batch(header),
        };
        let without_records = if is_last || self.must_remain(header) { Verdict::WithoutRecords } else { Verdict::Goes };
        if header.record_count == 0 {
            return Ok(if without_records == Verdict::Goes { Verdict::Goes } else { Verdict::Stays });
        }
        match (is_control, is_done) {
            (true, true) if self.horizon_has_passed(header) => Ok(without_records),
            (true, true) if !header.attributes.has_delete_horizon() => Ok(Verdict::Thinned {
                // Markers are not compressed: a count beyond the bytes is false.
                kept: vec![true; (header.record_count as usize).min(batch.bytes.len())],
                max_timestamp: header.max_timestamp,
                horizon: Some(self.rules.horizon),
            }),
            (true, _) => Ok(Verdict::Stays),
            (false, true) => Ok(without_records),
            (false, false) => self.judge_records(batch, without_records),
        }
    }

    fn marker_is_done(&mut self, batch: &Batch) -> bool {
        let marker = marker_in(batch);
        let is_foreign = marker.is_none() && batch.header.record_count > 0;
        !is_foreign && self.transactions.marker(&batch.header, marker)
    }

    /// Its sequence, or where the cleaned part ends, would be forgotten with it.
    fn must_remain(&self, header: &BatchHeader) -> bool {
        let last = self.rules.producers.get(&header.producer_id).filter(|_| header.has_producer_id());
        let is_last_of_producer = last.is_some_and(|last| match last.data {
            Some(offset) => header.last_offset() == offset,
            None => header.attributes.is_control() && header.producer_epoch == last.epoch,
        });
        is_last_of_producer || header.next_offset() == self.rules.end
    }

    fn horizon_has_passed(&self, header: &BatchHeader) -> bool {
        header.attributes.has_delete_horizon() && self.rules.now >= header.base_timestamp
    }

    fn judge_records(&mut self, batch: &Batch, without_records: Verdict) -> Result<Verdict, BatchError> {
        let header = &batch.header;
        if self.map.latest().is_none_or(|latest| header.base_offset > latest) {
            return Ok(Verdict::Stays);
        }
        let drop_tombstones = self.horizon_has_passed(header);
        let mut records = Records {
            map: &self.map,
            hasher: &mut self.hasher,
            drop_tombstones,
            kept: Vec::new(),
            max_timestamp: Timestamp::NONE,
            has_tombstones: false,
        };
        batch.visit(self.rules.inflated_bytes_max, &mut records)?;
        let Records { kept, max_timestamp, has_tombstones, .. } = records;
        let is_new = has_tombstones && !header.attributes.has_delete_horizon();
        Ok(match kept.iter().filter(|kept| **kept).count() {
            0 => without_records,
            all if all == kept.len() && !is_new => Verdict::Stays,
            _ => Verdict::Thinned { kept, max_timestamp, horizon: is_new.then_some(self.rules.horizon) },
        })
    }

    fn apply(&self, batch: Batch, verdict: Verdict) -> Result<Option<Batch>, BatchError> {
        Ok(match verdict {
            Verdict::Stays => Some(batch),
            Verdict::Goes => None,
            Verdict::WithoutRecords => Some(batch.emptied()),
            Verdict::Thinned { kept, max_timestamp, horizon } => {
                Some(batch.thinned(&kept, max_timestamp, horizon, self.rules.inflated_bytes_max)?)
            }
        })
    }
}

/// What becomes of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Verdict {
    Stays,
    Goes,
    WithoutRecords,
    Thinned { kept: Vec<bool>, max_timestamp: Timestamp, horizon: Option<Timestamp> },
}

struct Records<'a> {
    map: &'a OffsetMap,
    hasher: &'a mut KeyHasher,
    drop_tombstones: bool,
    kept: Vec<bool>,
    max_timestamp: Timestamp,
    has_tombstones: bool,
}

impl Records<'_> {
    fn stays(&self, seen: &Seen, superseded_by: Option<Offset>) -> bool {
        if Some(seen.offset) > self.map.latest() {
            return true;
        }
        let is_last = superseded_by.is_none_or(|last| seen.offset >= last);
        seen.has_key && is_last && (seen.has_value || !self.drop_tombstones)
    }
}

impl Visitor for Records<'_> {
    fn key(&mut self, piece: &[u8]) {
        self.hasher.piece(piece);
    }

    fn record(&mut self, seen: Seen) -> bool {
        let key = self.hasher.finish();
        let stays = self.stays(&seen, self.map.get(key));
        if stays {
            self.max_timestamp = self.max_timestamp.max(seen.timestamp);
            self.has_tombstones |= !seen.has_value;
        }
        self.kept.push(stays);
        true
    }
}

#[cfg(test)]
mod tests;
