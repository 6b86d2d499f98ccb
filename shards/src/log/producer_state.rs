//! What a partition remembers of its producers: the last batches of each (KIP-98), and which transactions are open.

use super::error::ProducerError;
use super::limits::{PRODUCER_BATCHES, PRODUCERS_MAX};
use super::transaction_index::Aborted;
use crate::record::{BatchHeader, EndTransactionMarker};
use crate::types::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// One accepted batch of a producer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProducerBatch {
    pub last_sequence: Sequence,
    pub last_offset: Offset,
    /// Records in the batch, less one.
    pub offset_delta: i32,
    pub timestamp: Timestamp,
}

impl ProducerBatch {
    pub fn first_sequence(&self) -> Sequence {
        Sequence(self.last_sequence.0.wrapping_sub(self.offset_delta) & i32::MAX)
    }

    pub fn first_offset(&self) -> Offset {
        Offset(self.last_offset.0 - i64::from(self.offset_delta))
    }
}

/// What is known of one producer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProducerState {
    pub epoch: ProducerEpoch,
    /// At most five, oldest first; empty after a transaction marker of a new epoch.
    pub batches: VecDeque<ProducerBatch>,
    pub coordinator_epoch: i32,
    /// Largest timestamp of its last batch, by the producer's clock.
    pub last_timestamp: Timestamp,
    /// When it was last heard of, by ours. Idle time counts from it: a producer of old records is not idle. Not in the
    /// snapshot; after a start it is the time of the start.
    pub active_at: Timestamp,
    /// Where its open transaction begins.
    pub transaction_first: Option<Offset>,
}

/// What to do with a producer's batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    New,
    /// It is in the log already: answered with the offsets it has there.
    Duplicate(ProducerBatch),
}

/// The producers of one partition.
///
/// The last stable offset is the lowest of the high watermark, the first offset of any open transaction, and the first
/// offset of any ended one whose marker is not replicated yet.
#[derive(Clone, Debug, Default)]
pub struct ProducerStates {
    producers: HashMap<ProducerId, ProducerState>,
    open: BTreeMap<Offset, ProducerId>,
    /// First offset to marker's offset of transactions that ended above the high watermark.
    ended: BTreeMap<Offset, Offset>,
}

impl ProducerStates {
    pub fn len(&self) -> usize {
        self.producers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    pub fn get(&self, id: ProducerId) -> Option<&ProducerState> {
        self.producers.get(&id)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ProducerId, &ProducerState)> {
        self.producers.iter().map(|(&id, state)| (id, state))
    }

    /// Judges a client's batch: its sequence must follow, an unknown producer may start anywhere (its state may have
    /// expired), a new epoch starts at 0. A repetition of one of the last five batches is no error.
    pub fn check(&self, header: &BatchHeader) -> Result<Admission, ProducerError> {
        let Some(state) = self.producers.get(&header.producer_id).filter(|_| header.has_producer_id()) else {
            return Ok(Admission::New);
        };
        if header.producer_epoch < state.epoch {
            let (epoch, current) = (header.producer_epoch.0, state.epoch.0);
            return Err(ProducerError::InvalidEpoch { epoch, current });
        }
        if header.attributes.is_control() {
            return Ok(Admission::New);
        }
        if let Some(batch) = state.duplicate_of(header) {
            return Ok(Admission::Duplicate(batch));
        }
        state.check_sequence(header).map(|()| Admission::New)
    }

    /// Takes note of a batch that is in the log, `header` having its offsets there. `marker` is what it says when it is
    /// a transaction marker. Returns the transaction that it aborts.
    pub fn update(
        &mut self,
        header: &BatchHeader,
        marker: Option<EndTransactionMarker>,
        now: Timestamp,
    ) -> Option<Aborted> {
        if !header.has_producer_id() {
            return None;
        }
        if !self.producers.contains_key(&header.producer_id) {
            self.make_room();
        }
        let state = self.producers.entry(header.producer_id).or_insert_with(|| ProducerState::new(header));
        state.active_at = now;
        match marker {
            Some(marker) => {
                state.coordinator_epoch = marker.coordinator_epoch;
                state.enter_epoch(header.producer_epoch);
                state.last_timestamp = header.max_timestamp;
                if let Some(first) = state.transaction_first.take() {
                    self.open.remove(&first);
                    self.ended.insert(first, header.last_offset());
                    return (!marker.committed).then(|| self.aborted(header, first));
                }
            }
            None if header.attributes.is_control() => {}
            None => {
                state.take(header);
                if header.attributes.is_transactional() && state.transaction_first.is_none() {
                    state.transaction_first = Some(header.base_offset);
                    self.open.insert(header.base_offset, header.producer_id);
                }
            }
        }
        None
    }

    fn aborted(&self, marker: &BatchHeader, first: Offset) -> Aborted {
        let next_open = self.open.keys().next().copied();
        Aborted {
            producer_id: marker.producer_id,
            first,
            last: marker.last_offset(),
            last_stable: next_open.unwrap_or(marker.next_offset()),
        }
    }

    /// The first offset whose transaction is not known to be decided everywhere; nothing at or past it is stable.
    pub fn first_unstable(&self) -> Option<Offset> {
        let open = self.open.keys().next();
        let ended = self.ended.keys().next();
        open.into_iter().chain(ended).min().copied()
    }

    /// Markers below the high watermark decide their transactions for good.
    pub fn advance_high_watermark(&mut self, high_watermark: Offset) {
        self.ended.retain(|_, marker| *marker >= high_watermark);
    }

    /// Forgets producers without an open transaction that have been idle for `expiration_ms`.
    pub fn expire(&mut self, now: Timestamp, expiration_ms: i64) {
        self.producers.retain(|_, state| !state.is_idle(now, expiration_ms));
    }

    /// Counts everybody as active now.
    pub(super) fn refresh(&mut self, now: Timestamp) {
        self.producers.values_mut().for_each(|state| state.active_at = now);
    }

    /// Puts back what a snapshot holds.
    pub(super) fn insert(&mut self, id: ProducerId, state: ProducerState) {
        if let Some(first) = state.transaction_first {
            self.open.insert(first, id);
        }
        self.producers.insert(id, state);
    }

    /// A client may mint ids without end: at the bound the longest idle sixteenth goes, so that the sweep is paid for
    /// by many insertions.
    fn make_room(&mut self) {
        if self.producers.len() < PRODUCERS_MAX {
            return;
        }
        let mut ages: Vec<_> = self.idle().map(|state| state.active_at).collect();
        if ages.is_empty() {
            return;
        }
        let at = (ages.len() - 1).min(PRODUCERS_MAX / 16);
        let (_, &mut oldest_kept, _) = ages.select_nth_unstable(at);
        self.producers.retain(|_, state| state.transaction_first.is_some() || state.active_at > oldest_kept);
    }

    fn idle(&self) -> impl Iterator<Item = &ProducerState> {
        self.producers.values().filter(|state| state.transaction_first.is_none())
    }
}

impl ProducerState {
    fn new(header: &BatchHeader) -> Self {
        Self {
            epoch: header.producer_epoch,
            batches: VecDeque::new(),
            coordinator_epoch: -1,
            last_timestamp: header.max_timestamp,
            active_at: header.max_timestamp,
            transaction_first: None,
        }
    }

    fn duplicate_of(&self, header: &BatchHeader) -> Option<ProducerBatch> {
        let same = |batch: &&ProducerBatch| {
            batch.first_sequence() == header.base_sequence && batch.last_sequence == header.last_sequence()
        };
        self.batches.iter().find(same).copied().filter(|_| header.producer_epoch == self.epoch)
    }

    fn check_sequence(&self, header: &BatchHeader) -> Result<(), ProducerError> {
        let sequence = header.base_sequence.0;
        let last = match self.batches.back() {
            _ if header.producer_epoch > self.epoch => -1,
            Some(batch) => batch.last_sequence.0,
            None => -1,
        };
        let follows = if last == i32::MAX { sequence == 0 } else { sequence == last + 1 };
        if follows { Ok(()) } else { Err(ProducerError::OutOfOrderSequence { sequence, last }) }
    }

    fn take(&mut self, header: &BatchHeader) {
        self.enter_epoch(header.producer_epoch);
        if self.batches.len() == PRODUCER_BATCHES {
            self.batches.pop_front();
        }
        self.batches.push_back(ProducerBatch {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
        self.last_timestamp = header.max_timestamp;
    }

    fn enter_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.batches.clear();
            self.epoch = epoch;
        }
    }

    fn is_idle(&self, now: Timestamp, expiration_ms: i64) -> bool {
        self.transaction_first.is_none() && now.0.saturating_sub(self.active_at.0) >= expiration_ms
    }
}

#[cfg(test)]
mod tests;
