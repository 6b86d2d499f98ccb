//! The time index of a segment: the largest timestamp so far, and the last offset of the batch that has it.

use super::index::Index;
use super::offset_index::relative;
use crate::types::{Offset, Timestamp};

/// Entry: `timestamp: i64`, `offset - base: i32`; both grow from entry to entry.
pub(super) const TIME_ENTRY: usize = 12;

/// No record up to and including `offset` is younger than `timestamp`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TimeEntry {
    pub timestamp: Timestamp,
    /// Last offset of the first batch with this timestamp.
    pub offset: Offset,
}

impl TimeEntry {
    /// `None` for zero padding.
    pub fn parse_padded(base: Offset, bytes: &[u8; TIME_ENTRY]) -> Option<Self> {
        (bytes != &[0; TIME_ENTRY]).then(|| Self::parse(base, bytes))
    }

    pub fn parse(base: Offset, bytes: &[u8; TIME_ENTRY]) -> Self {
        let [t0, t1, t2, t3, t4, t5, t6, t7, o0, o1, o2, o3] = *bytes;
        let relative = u32::from_be_bytes([o0, o1, o2, o3]);
        Self {
            timestamp: Timestamp(i64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7])),
            offset: base.plus(i64::from(relative)),
        }
    }

    fn bytes(self, base: Offset) -> [u8; TIME_ENTRY] {
        let mut bytes = [0; TIME_ENTRY];
        bytes[..8].copy_from_slice(&self.timestamp.0.to_be_bytes());
        bytes[8..].copy_from_slice(&relative(self.offset, base).to_be_bytes());
        bytes
    }
}

/// The time index of the active segment.
#[derive(Clone, Debug)]
pub(super) struct TimeIndex {
    base: Offset,
    pub entries: Index<TIME_ENTRY>,
}

impl TimeIndex {
    pub fn new(base: Offset, bytes_max: u32) -> Self {
        Self { base, entries: Index::new(bytes_max) }
    }

    pub fn stored(base: Offset, bytes_max: u32, stored: u32, last: Option<[u8; TIME_ENTRY]>) -> Self {
        Self { base, entries: Index::stored(bytes_max, stored, last) }
    }

    pub fn last(&self) -> Option<TimeEntry> {
        self.entries.last().map(|bytes| TimeEntry::parse(self.base, bytes))
    }

    /// Only the entry that seals the segment still fits its file.
    pub fn is_full(&self) -> bool {
        self.entries.len() > 0 && self.entries.len() + 1 >= self.entries.entries_max()
    }

    /// Takes the segment's largest timestamp so far; nothing happens unless it has grown.
    pub fn append(&mut self, entry: TimeEntry) {
        if !self.is_full() {
            self.seal(entry);
        }
    }

    /// As `append`, into the place kept for the last entry of a segment.
    pub fn seal(&mut self, entry: TimeEntry) {
        let last = self.last().unwrap_or(TimeEntry { timestamp: Timestamp::NONE, offset: self.base });
        let fits = self.entries.len() == 0 || self.entries.len() < self.entries.entries_max();
        if fits && entry.timestamp > last.timestamp && entry.offset >= last.offset {
            self.entries.push(entry.bytes(self.base));
        }
    }

    /// The last entry for which `holds`, given that it holds for a prefix, among those not yet in the file.
    pub fn search_added(&self, holds: impl Fn(TimeEntry) -> bool) -> Option<TimeEntry> {
        let found = self.entries.search_added(|bytes| holds(TimeEntry::parse(self.base, bytes)));
        found.map(|bytes| TimeEntry::parse(self.base, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(timestamp: i64, offset: i64) -> TimeEntry {
        TimeEntry { timestamp: Timestamp(timestamp), offset: Offset(offset) }
    }

    #[test]
    fn an_entry_has_kafkas_twelve_bytes() {
        let mut index = TimeIndex::new(Offset(1000), 1024);
        index.append(entry(0x0102_0304_0506, 1258));
        assert_eq!(&index.entries.file_bytes().added[..], [0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 1, 2]);
    }

    #[test]
    fn only_a_larger_timestamp_is_taken() {
        let mut index = TimeIndex::new(Offset(0), 1024);
        [(10, 1), (10, 2), (9, 3), (11, 4)].into_iter().for_each(|(t, o)| index.append(entry(t, o)));
        assert_eq!(index.entries.len(), 2);
        assert_eq!(index.last(), Some(entry(11, 4)));
    }

    #[test]
    fn a_segment_without_timestamps_has_no_entries() {
        let mut index = TimeIndex::new(Offset(0), 1024);
        index.append(entry(-1, 5));
        assert_eq!(index.last(), None);
    }

    #[test]
    fn the_last_place_is_kept_for_the_sealing_entry() {
        let mut index = TimeIndex::new(Offset(0), 36);
        [(1, 1), (2, 2), (3, 3)].into_iter().for_each(|(t, o)| index.append(entry(t, o)));
        assert!(index.is_full());
        assert_eq!(index.last(), Some(entry(2, 2)));
        index.seal(entry(9, 9));
        index.seal(entry(10, 10));
        assert_eq!(index.last(), Some(entry(9, 9)));
    }

    #[test]
    fn a_lookup_finds_the_last_entry_at_or_below() {
        let mut index = TimeIndex::new(Offset(0), 1024);
        [(10, 1), (20, 2)].into_iter().for_each(|(t, o)| index.append(entry(t, o)));
        assert_eq!(index.search_added(|e| e.timestamp.0 <= 9), None);
        assert_eq!(index.search_added(|e| e.timestamp.0 <= 19), Some(entry(10, 1)));
    }
}
