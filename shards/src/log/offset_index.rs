//! The offset index of a segment: where a batch lies, for about one batch in every `index.interval.bytes`.

use super::index::Index;
use crate::types::Offset;

/// Entry: `offset of the batch's last record - base: i32`, `position of the batch in the file: i32`.
pub(super) const OFFSET_ENTRY: usize = 8;

/// One batch's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct OffsetEntry {
    /// Last offset of the batch.
    pub offset: Offset,
    pub position: u32,
}

impl OffsetEntry {
    /// `None` for zero padding.
    pub fn parse_padded(base: Offset, bytes: &[u8; OFFSET_ENTRY]) -> Option<Self> {
        (bytes != &[0; OFFSET_ENTRY]).then(|| Self::parse(base, bytes))
    }

    pub fn parse(base: Offset, bytes: &[u8; OFFSET_ENTRY]) -> Self {
        let [o0, o1, o2, o3, p0, p1, p2, p3] = *bytes;
        let relative = u32::from_be_bytes([o0, o1, o2, o3]);
        Self { offset: base.plus(i64::from(relative)), position: u32::from_be_bytes([p0, p1, p2, p3]) }
    }

    fn bytes(self, base: Offset) -> [u8; OFFSET_ENTRY] {
        let mut bytes = [0; OFFSET_ENTRY];
        bytes[..4].copy_from_slice(&relative(self.offset, base).to_be_bytes());
        bytes[4..].copy_from_slice(&self.position.to_be_bytes());
        bytes
    }
}

/// An offset as the index files write it. A segment is rolled before one would not fit.
pub(super) fn relative(offset: Offset, base: Offset) -> u32 {
    let relative = offset - base;
    assert!((0..=i64::from(i32::MAX)).contains(&relative), "offset {offset} does not fit the segment at {base}");
    relative as u32
}

/// The offset index of the active segment.
#[derive(Clone, Debug)]
pub(super) struct OffsetIndex {
    base: Offset,
    pub entries: Index<OFFSET_ENTRY>,
}

impl OffsetIndex {
    pub fn new(base: Offset, bytes_max: u32) -> Self {
        Self { base, entries: Index::new(bytes_max) }
    }

    pub fn stored(base: Offset, bytes_max: u32, stored: u32, last: Option<[u8; OFFSET_ENTRY]>) -> Self {
        Self { base, entries: Index::stored(bytes_max, stored, last) }
    }

    pub fn last(&self) -> Option<OffsetEntry> {
        self.entries.last().map(|bytes| OffsetEntry::parse(self.base, bytes))
    }

    /// No further entry fits its file.
    pub fn is_full(&self) -> bool {
        self.entries.len() > 0 && self.entries.len() >= self.entries.entries_max()
    }

    /// Takes an entry; one that does not come after the last is dropped.
    pub fn append(&mut self, entry: OffsetEntry) {
        if self.is_full() || self.last().is_some_and(|last| entry.offset <= last.offset) {
            return;
        }
        self.entries.push(entry.bytes(self.base));
    }

    /// The last entry at or below `offset` among those not yet in the file.
    pub fn lookup_added(&self, offset: Offset) -> Option<OffsetEntry> {
        let at_most = |bytes: &[u8; OFFSET_ENTRY]| OffsetEntry::parse(self.base, bytes).offset <= offset;
        self.entries.search_added(at_most).map(|bytes| OffsetEntry::parse(self.base, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(offset: i64, position: u32) -> OffsetEntry {
        OffsetEntry { offset: Offset(offset), position }
    }

    #[test]
    fn an_entry_has_kafkas_eight_bytes() {
        let mut index = OffsetIndex::new(Offset(1000), 1024);
        index.append(entry(1258, 4711));
        assert_eq!(&index.entries.file_bytes().added[..], [0, 0, 1, 2, 0, 0, 0x12, 0x67]);
    }

    #[test]
    fn a_lookup_finds_the_last_entry_at_or_below() {
        let mut index = OffsetIndex::new(Offset(10), 1024);
        [(15, 100), (20, 200), (30, 300)].into_iter().for_each(|(o, p)| index.append(entry(o, p)));
        assert_eq!(index.lookup_added(Offset(14)), None);
        assert_eq!(index.lookup_added(Offset(15)), Some(entry(15, 100)));
        assert_eq!(index.lookup_added(Offset(29)), Some(entry(20, 200)));
        assert_eq!(index.lookup_added(Offset(99)), Some(entry(30, 300)));
    }

    #[test]
    fn it_is_full_when_its_file_would_be() {
        let mut index = OffsetIndex::new(Offset(0), 20);
        assert!(!index.is_full());
        [(5, 100), (6, 200), (7, 300)].into_iter().for_each(|(o, p)| index.append(entry(o, p)));
        assert!(index.is_full());
        assert_eq!(index.last(), Some(entry(6, 200)));
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    fn an_offset_too_far_from_the_base_is_a_bug() {
        relative(Offset(1 << 31), Offset(0));
    }
}
