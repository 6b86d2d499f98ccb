//! The first half of a cleaning: the dirty part goes by, and of every key the last offset is remembered.

use super::super::append::marker_in;
use super::super::transaction_index::Aborted;
use super::offset_map::{KeyHasher, OffsetMap};
use super::transactions::Transactions;
use crate::record::{Batch, BatchError, Seen, Visitor, batches};
use crate::types::Offset;
use bytes::Bytes;

/// A map being filled.
pub(super) struct Mapping {
    map: OffsetMap,
    hasher: KeyHasher,
    transactions: Transactions,
    /// Records below are clean already.
    from: Offset,
    /// From here on nothing is cleaned.
    to: Offset,
    inflated_bytes_max: usize,
    ended: bool,
    is_full: bool,
}

impl Mapping {
    pub fn new(map: OffsetMap, hasher: KeyHasher, from: Offset, to: Offset, inflated_bytes_max: usize) -> Self {
        let transactions = Transactions::default();
        Self { map, hasher, transactions, from, to, inflated_bytes_max, ended: false, is_full: false }
    }

    /// The aborted transactions among the batches to come.
    pub fn announce(&mut self, aborted: Vec<Aborted>) {
        self.transactions.announce(aborted);
    }

    /// Takes the next whole batches. False when the map is full or all is mapped: no more are wanted.
    pub fn take(&mut self, bytes: &Bytes) -> Result<bool, BatchError> {
        for batch in batches(bytes) {
            let batch = batch?;
            batch.check_crc()?;
            if batch.header.base_offset >= self.to {
                self.ended = true;
            }
            if self.ended {
                break;
            }
            self.batch(&batch)?;
        }
        Ok(!self.ended)
    }

    fn batch(&mut self, batch: &Batch) -> Result<(), BatchError> {
        let header = &batch.header;
        let is_aborted = match header.attributes.is_control() {
            true => self.transactions.marker(header, marker_in(batch)),
            false => self.transactions.batch(header),
        };
        if header.last_offset() < self.from {
            return Ok(());
        }
        if !is_aborted && !header.attributes.is_control() {
            let mut keys = Keys { map: &mut self.map, hasher: &mut self.hasher, from: self.from, is_full: false };
            batch.visit(self.inflated_bytes_max, &mut keys)?;
            self.is_full = keys.is_full;
            self.ended |= self.is_full;
        }
        if !self.ended {
            self.map.advance(header.last_offset());
        }
        Ok(())
    }

    /// A key came that the map has no room for: what comes after is for another pass.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    pub fn finish(self) -> (OffsetMap, KeyHasher) {
        (self.map, self.hasher)
    }
}

struct Keys<'a> {
    map: &'a mut OffsetMap,
    hasher: &'a mut KeyHasher,
    from: Offset,
    is_full: bool,
}

impl Visitor for Keys<'_> {
    fn key(&mut self, piece: &[u8]) {
        self.hasher.piece(piece);
    }

    fn record(&mut self, seen: Seen) -> bool {
        let key = self.hasher.finish();
        if seen.offset < self.from {
            return true;
        }
        if !seen.has_key {
            self.map.advance(seen.offset);
            return true;
        }
        if self.map.is_full() && !self.map.knows(key) {
            self.is_full = true;
            return false;
        }
        self.map.put(key, seen.offset);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, Codec, NewRecord};

    fn batch(base: i64, keys: &[Option<&str>]) -> Bytes {
        let mut builder = BatchBuilder::new().codec(Codec::Snappy, None).base_offset(Offset(base));
        for key in keys {
            let key = key.map(str::as_bytes);
            builder.append(&NewRecord { key, value: Some(b"v"), ..NewRecord::default() });
        }
        builder.build().bytes
    }

    fn mapping(keys_max: usize, from: i64, to: i64) -> Mapping {
        let map = OffsetMap::new(1000, keys_max.max(16) * super::super::offset_map::ENTRY_BYTES, 0.99);
        Mapping::new(map, KeyHasher::new([3, 4]), Offset(from), Offset(to), 1 << 20)
    }

    fn offset(mapping: Mapping, key: &str) -> (Option<i64>, Option<i64>) {
        let (map, mut hasher) = mapping.finish();
        hasher.piece(key.as_bytes());
        (map.get(hasher.finish()).map(|offset| offset.0), map.latest().map(|offset| offset.0))
    }

    #[test]
    fn the_last_record_of_a_key_is_mapped() {
        let mut all = mapping(100, 2, 100);
        let bytes = [batch(0, &[Some("a"), Some("b"), Some("a")]), batch(3, &[None, Some("a"), None])].concat();
        assert_eq!(all.take(&bytes.into()), Ok(true));
        assert_eq!(offset(all, "a"), (Some(4), Some(5)));
        let mut clean = mapping(100, 3, 100);
        clean.take(&batch(0, &[Some("a"), Some("b"), Some("c")])).unwrap();
        assert_eq!(offset(clean, "b"), (None, None), "all of it is clean");
    }

    #[test]
    fn mapping_ends_where_the_log_must_not_be_cleaned() {
        let mut mapping = mapping(100, 0, 3);
        assert_eq!(mapping.take(&batch(0, &[Some("a"), Some("b"), Some("c")])), Ok(true));
        assert_eq!(mapping.take(&batch(3, &[Some("a")])), Ok(false));
        assert_eq!(offset(mapping, "a"), (Some(0), Some(2)));
    }

    #[test]
    fn a_full_map_ends_at_the_first_key_it_has_no_room_for() {
        let mut mapping = mapping(16, 0, 1000);
        let keys: Vec<_> = (0..15).map(|at| format!("key {at}")).collect();
        let mut keys: Vec<_> = keys.iter().map(|key| Some(key.as_str())).collect();
        keys.extend([Some("key 3"), Some("one too many"), Some("key 4")]);
        assert_eq!(mapping.take(&batch(0, &keys)), Ok(false));
        assert_eq!(offset(mapping, "key 3"), (Some(15), Some(15)));
    }

    #[test]
    fn a_damaged_batch_is_noticed() {
        let mut bytes = batch(0, &[Some("a")]).to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert!(mapping(100, 0, 100).take(&bytes.into()).is_err());
    }
}
