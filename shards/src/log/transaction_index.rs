//! The transaction index of a segment: the aborted transactions whose markers lie in it (KIP-98).

use super::index::Index;
use crate::types::{Offset, ProducerId};

/// Entry: `version: i16 · producer id: i64 · first offset: i64 · last offset: i64 · last stable offset: i64`.
pub(super) const ABORTED_ENTRY: usize = 34;

const VERSION: i16 = 0;

/// A transaction whose records are not to be delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Aborted {
    pub producer_id: ProducerId,
    /// Of its first record.
    pub first: Offset,
    /// Of its marker.
    pub last: Offset,
    /// Below it nothing was undecided once the marker was there.
    pub last_stable: Offset,
}

impl Aborted {
    /// `None` for a version of a later release, and for zero padding.
    pub fn parse(bytes: &[u8; ABORTED_ENTRY]) -> Option<Self> {
        let field = |at: usize| {
            let field = bytes[at..at + 8].first_chunk().expect("the fields fill an entry");
            i64::from_be_bytes(*field)
        };
        let is_known = i16::from_be_bytes([bytes[0], bytes[1]]) == VERSION && bytes[2..].iter().any(|b| *b != 0);
        is_known.then(|| Self {
            producer_id: ProducerId(field(2)),
            first: Offset(field(10)),
            last: Offset(field(18)),
            last_stable: Offset(field(26)),
        })
    }

    pub fn bytes(self) -> [u8; ABORTED_ENTRY] {
        let mut bytes = [0; ABORTED_ENTRY];
        bytes[..2].copy_from_slice(&VERSION.to_be_bytes());
        for (at, field) in [(2, self.producer_id.0), (10, self.first.0), (18, self.last.0), (26, self.last_stable.0)] {
            bytes[at..at + 8].copy_from_slice(&field.to_be_bytes());
        }
        bytes
    }

    /// Some of its records may lie between the two offsets.
    pub fn touches(&self, from: Offset, end: Offset) -> bool {
        self.last >= from && self.first < end
    }
}

/// The transaction index of a segment that batches come to; ordered by the markers' offsets.
#[derive(Clone, Debug)]
pub(super) struct TransactionIndex {
    pub entries: Index<ABORTED_ENTRY>,
}

impl TransactionIndex {
    pub fn new(bytes_max: u32) -> Self {
        Self { entries: Index::new(bytes_max) }
    }

    pub fn stored(bytes_max: u32, stored: u32, last: Option<[u8; ABORTED_ENTRY]>) -> Self {
        Self { entries: Index::stored(bytes_max, stored, last) }
    }

    /// Its memory has a bound like that of the other indexes.
    pub fn is_full(&self) -> bool {
        self.entries.len() > 0 && self.entries.len() >= self.entries.entries_max()
    }

    pub fn push(&mut self, aborted: Aborted) {
        self.entries.push(aborted.bytes());
    }

    /// Those that are not in the file yet, from the first whose marker lies at or past `from`.
    pub fn added_from(&self, from: Offset) -> impl Iterator<Item = Aborted> {
        self.entries.added().iter().filter_map(Aborted::parse).skip_while(move |aborted| aborted.last < from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_kafkas_bytes() {
        let aborted = Aborted {
            producer_id: ProducerId(0x0102),
            first: Offset(3),
            last: Offset(0x1_0000),
            last_stable: Offset(0x1_0001),
        };
        let expected: &[&[u8]] = &[
            &[0, 0],
            &[0, 0, 0, 0, 0, 0, 1, 2],
            &[0, 0, 0, 0, 0, 0, 0, 3],
            &[0, 0, 0, 0, 0, 1, 0, 0],
            &[0, 0, 0, 0, 0, 1, 0, 1],
        ];
        assert_eq!(aborted.bytes()[..], expected.concat());
        assert_eq!(Aborted::parse(&aborted.bytes()), Some(aborted));
    }

    #[test]
    fn padding_and_later_versions_are_passed_over() {
        assert_eq!(Aborted::parse(&[0; ABORTED_ENTRY]), None);
        assert_eq!(Aborted::parse(&[1; ABORTED_ENTRY]), None);
    }
}
