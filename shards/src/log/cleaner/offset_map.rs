//! The last offset of each key, in memory of a fixed size.

use crate::types::Offset;
use std::hash::{DefaultHasher, Hasher};

/// Bytes of a key's entry.
pub(super) const ENTRY_BYTES: usize = 24;

/// Stands for a key: two keys have the same one by a chance of 2^-128.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct KeyHash([u64; 2]);

/// Takes a key piece by piece. Nobody outside knows the seeds, so nobody can make keys that collide.
#[derive(Clone)]
pub(super) struct KeyHasher {
    seeds: [u64; 2],
    halves: [DefaultHasher; 2],
}

impl KeyHasher {
    pub fn new(seeds: [u64; 2]) -> Self {
        Self { seeds, halves: Self::begin(seeds) }
    }

    fn begin(seeds: [u64; 2]) -> [DefaultHasher; 2] {
        seeds.map(|seed| {
            let mut half = DefaultHasher::new();
            half.write_u64(seed);
            half
        })
    }

    pub fn piece(&mut self, bytes: &[u8]) {
        self.halves.iter_mut().for_each(|half| half.write(bytes));
    }

    /// The key that came since the last one.
    pub fn finish(&mut self) -> KeyHash {
        let halves = std::mem::replace(&mut self.halves, Self::begin(self.seeds));
        KeyHash(halves.map(|half| half.finish()))
    }
}

/// Open addressing over slots of hash and offset; nothing is ever taken out.
pub(super) struct OffsetMap {
    /// Two words of hash, and the offset plus one; zero is free.
    slots: Vec<[u64; 3]>,
    len: usize,
    len_max: usize,
    /// Every record of the dirty part up to this offset is accounted for.
    latest: Option<Offset>,
}

impl OffsetMap {
    /// Room for `keys`, or as many as `bytes_max` hold at a load of at most `load_factor`; at least a few.
    pub fn new(keys: u64, bytes_max: usize, load_factor: f64) -> Self {
        const SLOTS_MIN: usize = 16;
        let load_factor = load_factor.clamp(0.1, 0.99);
        let wanted = (keys as f64 / load_factor).ceil() as usize;
        let slots = wanted.saturating_add(1).min(bytes_max / ENTRY_BYTES).max(SLOTS_MIN);
        let len_max = ((slots as f64 * load_factor) as usize).clamp(1, slots - 1);
        Self { slots: vec![[0; 3]; slots], len: 0, len_max, latest: None }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_full(&self) -> bool {
        self.len >= self.len_max
    }

    pub fn latest(&self) -> Option<Offset> {
        self.latest
    }

    /// There is nothing more to know up to `offset`.
    pub fn advance(&mut self, offset: Offset) {
        self.latest = self.latest.max(Some(offset));
    }

    /// The key's last record so far is at `offset`. The map must not be full, unless it knows the key.
    pub fn put(&mut self, key: KeyHash, offset: Offset) {
        let at = self.slot(key);
        let slot = &mut self.slots[at];
        if slot[2] == 0 {
            self.len += 1;
            assert!(self.len <= self.len_max, "a full map takes no more keys");
        }
        *slot = [key.0[0], key.0[1], offset.0 as u64 + 1];
        self.advance(offset);
    }

    pub fn knows(&self, key: KeyHash) -> bool {
        self.slots[self.slot(key)][2] != 0
    }

    pub fn get(&self, key: KeyHash) -> Option<Offset> {
        let found = self.slots[self.slot(key)][2];
        found.checked_sub(1).map(|offset| Offset(offset as i64))
    }

    /// Where the key is or would be: there is always a free slot.
    fn slot(&self, key: KeyHash) -> usize {
        let count = self.slots.len();
        let mut at = (key.0[0] % count as u64) as usize;
        loop {
            let slot = &self.slots[at];
            if slot[2] == 0 || slot[..2] == key.0 {
                return at;
            }
            at = if at + 1 == count { 0 } else { at + 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: &str) -> KeyHash {
        let mut hasher = KeyHasher::new([1, 2]);
        hasher.piece(key.as_bytes());
        hasher.finish()
    }

    #[test]
    fn a_key_in_pieces_is_the_same_key() {
        let mut hasher = KeyHasher::new([1, 2]);
        for pieces in [&["abc", "defghijklmnop", "q"][..], &["abcdefghijklmnopq"], &["a", "bcdefghijklmnop", "", "q"]] {
            pieces.iter().for_each(|piece| hasher.piece(piece.as_bytes()));
            assert_eq!(hasher.finish(), hash("abcdefghijklmnopq"));
        }
        assert_ne!(hash(""), hash("\0"));
    }

    #[test]
    fn the_last_offset_of_a_key_is_found() {
        let mut map = OffsetMap::new(1000, 1 << 20, 0.9);
        for offset in 0..1000 {
            map.put(hash(&format!("key {}", offset % 300)), Offset(offset));
        }
        assert_eq!((map.len(), map.latest()), (300, Some(Offset(999))));
        for key in 0..300 {
            let last = if key < 100 { 900 + key } else { 600 + key };
            assert_eq!(map.get(hash(&format!("key {key}"))), Some(Offset(last)));
        }
        assert_eq!(map.get(hash("another")), None);
    }

    #[test]
    fn memory_is_no_more_than_it_may_take_and_no_more_than_is_needed() {
        let full_at = |map: &mut OffsetMap| {
            (0..).find(|at| {
                map.put(hash(&at.to_string()), Offset(*at));
                map.is_full()
            })
        };
        let mut small = OffsetMap::new(u64::from(u32::MAX), 100 * ENTRY_BYTES, 0.9);
        assert_eq!(small.slots.len(), 100);
        assert_eq!(full_at(&mut small), Some(89));
        assert_eq!(small.get(hash("77")), Some(Offset(77)));
        let mut fitting = OffsetMap::new(50, 1 << 30, 0.5);
        assert!(fitting.slots.len() <= 101);
        assert!(full_at(&mut fitting) >= Some(49));
    }
}
