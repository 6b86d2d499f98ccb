//! The bytes of a frame: what one write to the journal holds. The layout is in the room's own text.

use crate::runtime::BLOCK_BYTES;
use crate::types::{Offset, PartitionIndex, TopicId, TopicPartition};
use std::ops::Range;
use uuid::Uuid;

const MAGIC: u64 = u64::from_be_bytes(*b"odrajrn1");
/// The first byte that the checksum covers.
const CHECKED_FROM: usize = 12;
pub(super) const FRAME_HEAD: usize = 36;
pub(super) const ENTRY_HEAD: usize = 32;

/// What a frame says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FrameHeader {
    pub incarnation: u64,
    pub sequence: u64,
}

/// What the start of a block may be: a frame of this many bytes, if its checksum is right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Claimed {
    pub len: usize,
}

/// A frame that proved good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    pub header: FrameHeader,
    pub entries: Vec<EntryPlace>,
}

/// An entry's batches, by their place in the frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct EntryPlace {
    pub partition: TopicPartition,
    pub from: Offset,
    pub batches: Range<usize>,
}

/// Fills a frame from its front.
pub(super) struct FrameWriter<'a> {
    bytes: &'a mut [u8],
    at: usize,
    entries: u32,
}

impl<'a> FrameWriter<'a> {
    pub fn new(bytes: &'a mut [u8]) -> Self {
        assert!(bytes.len().is_multiple_of(BLOCK_BYTES) && bytes.len() > FRAME_HEAD, "a frame is whole blocks");
        Self { bytes, at: FRAME_HEAD, entries: 0 }
    }

    /// Room for the `len` bytes of a partition's batches, which the caller fills.
    pub fn entry(&mut self, partition: TopicPartition, from: Offset, len: usize) -> &mut [u8] {
        let (head, room) = self.bytes[self.at..self.at + ENTRY_HEAD + len].split_at_mut(ENTRY_HEAD);
        head[..16].copy_from_slice(partition.topic.0.as_bytes());
        head[16..20].copy_from_slice(&partition.partition.0.to_be_bytes());
        let length = u32::try_from(len).expect("a frame is shorter than 4 GiB");
        head[20..24].copy_from_slice(&length.to_be_bytes());
        head[24..32].copy_from_slice(&from.0.to_be_bytes());
        self.at += ENTRY_HEAD + len;
        self.entries += 1;
        room
    }

    /// Completes the frame; what follows the last entry is zeroed.
    pub fn finish(self, header: FrameHeader) {
        let Self { bytes, at, entries } = self;
        bytes[at..].fill(0);
        let length = u32::try_from(at).expect("a frame is shorter than 4 GiB");
        bytes[..8].copy_from_slice(&MAGIC.to_be_bytes());
        bytes[12..16].copy_from_slice(&length.to_be_bytes());
        bytes[16..24].copy_from_slice(&header.incarnation.to_be_bytes());
        bytes[24..32].copy_from_slice(&header.sequence.to_be_bytes());
        bytes[32..36].copy_from_slice(&entries.to_be_bytes());
        let checksum = crc32c::crc32c(&bytes[CHECKED_FROM..at]);
        bytes[8..12].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Whether a frame may begin with this block.
pub(super) fn claimed(block: &[u8]) -> Option<Claimed> {
    let mut head = Fields(block.get(..FRAME_HEAD)?);
    if head.u64() != MAGIC {
        return None;
    }
    let _checksum = head.u32();
    let len = head.u32() as usize;
    (len > FRAME_HEAD).then_some(Claimed { len })
}

/// Reads a frame of exactly the bytes it claimed; `None` when they are not what was written.
pub(super) fn parse(bytes: &[u8]) -> Option<Frame> {
    let mut head = Fields(bytes.get(..FRAME_HEAD)?);
    let (magic, checksum, length) = (head.u64(), head.u32(), head.u32());
    let sound =
        magic == MAGIC && length as usize == bytes.len() && crc32c::crc32c(bytes.get(CHECKED_FROM..)?) == checksum;
    if !sound {
        return None;
    }
    let header = FrameHeader { incarnation: head.u64(), sequence: head.u64() };
    let count = head.u32();
    let mut entries = Vec::new();
    let mut at = FRAME_HEAD;
    for _ in 0..count {
        let entry = parse_entry(bytes, at)?;
        at = entry.batches.end;
        entries.push(entry);
    }
    (at == bytes.len()).then_some(Frame { header, entries })
}

fn parse_entry(bytes: &[u8], at: usize) -> Option<EntryPlace> {
    let from = at.checked_add(ENTRY_HEAD)?;
    let head = bytes.get(at..from)?;
    let topic = TopicId(Uuid::from_slice(&head[..16]).ok()?);
    let mut rest = Fields(&head[16..]);
    let partition = PartitionIndex(rest.u32().cast_signed());
    let to = from.checked_add(rest.u32() as usize)?;
    let offset = Offset(rest.u64().cast_signed());
    (to <= bytes.len()).then_some(EntryPlace {
        partition: TopicPartition { topic, partition },
        from: offset,
        batches: from..to,
    })
}

/// Big-endian numbers one after another; the caller has seen that there are enough bytes.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (bytes, rest) = self.0.split_first_chunk().expect("the caller has measured");
        self.0 = rest;
        *bytes
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: FrameHeader = FrameHeader { incarnation: 0x1122, sequence: 7 };

    fn partition(index: i32) -> TopicPartition {
        TopicPartition { topic: TopicId(Uuid::from_u128(0xabcd)), partition: PartitionIndex(index) }
    }

    fn frame(entries: &[(i32, i64, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0xA5; BLOCK_BYTES];
        let mut writer = FrameWriter::new(&mut bytes);
        for (index, from, batches) in entries {
            writer.entry(partition(*index), Offset(*from), batches.len()).copy_from_slice(batches);
        }
        writer.finish(HEADER);
        bytes
    }

    #[test]
    fn a_frame_comes_back() {
        let bytes = frame(&[(0, 5, b"batches"), (3, 0, b"more"), (1, 9, b"")]);
        let Claimed { len } = claimed(&bytes).unwrap();
        let found = parse(&bytes[..len]).unwrap();
        assert_eq!(found.header, HEADER);
        let read = |entry: &EntryPlace| (entry.partition.partition.0, entry.from.0, &bytes[entry.batches.clone()]);
        let entries: Vec<_> = found.entries.iter().map(read).collect();
        assert_eq!(entries, [(0, 5, &b"batches"[..]), (3, 0, b"more"), (1, 9, b"")]);
        assert!(bytes[len..].iter().all(|&byte| byte == 0), "padding is zeroed");
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let bytes = frame(&[(3, 9, b"xy")]);
        assert_eq!(&bytes[..8], b"odrajrn1");
        assert_eq!(bytes[8..12], crc32c::crc32c(&bytes[12..70]).to_be_bytes());
        assert_eq!(bytes[12..16], [0, 0, 0, 70]);
        assert_eq!(bytes[16..32], [0x1122u64.to_be_bytes(), 7u64.to_be_bytes()].concat());
        assert_eq!(bytes[32..36], [0, 0, 0, 1]);
        assert_eq!(&bytes[36..52], Uuid::from_u128(0xabcd).as_bytes());
        assert_eq!(bytes[52..70], [0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9, b'x', b'y']);
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let bytes = frame(&[(0, 5, b"batches"), (3, 0, b"more")]);
        let Claimed { len } = claimed(&bytes).unwrap();
        for at in 0..len {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let found = claimed(&damaged).and_then(|claimed| parse(damaged.get(..claimed.len)?));
            assert_eq!(found, None, "byte {at}");
            assert_eq!(parse(&bytes[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn lengths_and_counts_are_not_believed() {
        let seal = |mut bytes: Vec<u8>, len: usize| {
            bytes[12..16].copy_from_slice(&(len as u32).to_be_bytes());
            let checksum = crc32c::crc32c(&bytes[CHECKED_FROM..len]);
            bytes[8..12].copy_from_slice(&checksum.to_be_bytes());
            bytes.truncate(len);
            bytes
        };
        let mut many = frame(&[(0, 5, b"batches")]);
        many[32..36].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(parse(&seal(many, 75)), None);
        let mut long = frame(&[(0, 5, b"batches")]);
        long[56..60].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(parse(&seal(long, 75)), None);
        assert_eq!(parse(&seal(frame(&[(0, 5, b"batches")]), 86)), None, "bytes after the last entry");
        assert_eq!(claimed(&[0; BLOCK_BYTES]), None);
    }
}
