//! The end of a log in memory: batches not yet written, and as many of the written ones as their share of memory lets
//! readers find here.

use super::limits::{TAIL_COPY_BELOW, TAIL_ENTRY_BYTES, TAIL_SHARE_DEFAULT};
use super::records::Records;
use crate::record::{Batch, BatchHeader};
use crate::types::{LeaderEpoch, Offset, Timestamp};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// Base offset, length and leader epoch: what the leader patches.
const HEAD: usize = 16;

/// One batch and its place in the log.
#[derive(Clone, Debug)]
pub(super) struct TailBatch {
    pub last: Offset,
    /// Base offset of the segment it belongs to.
    pub segment: Offset,
    /// Where it begins in that segment's file.
    pub position: u64,
    head: [u8; HEAD],
    /// The rest of the batch: a slice of the frame it came in when it is large, a copy when it is small.
    body: Bytes,
}

impl TailBatch {
    /// `header` has the offsets and epoch the batch gets here, `bytes` still those of its maker.
    pub fn new(header: &BatchHeader, bytes: &Bytes, segment: Offset, position: u64) -> Self {
        assert_eq!(header.size(), bytes.len(), "a batch is as long as its header says");
        let small = bytes.len() < TAIL_COPY_BELOW;
        Self {
            last: header.last_offset(),
            segment,
            position,
            head: head(header.base_offset, header.length, header.leader_epoch),
            body: if small { Bytes::copy_from_slice(&bytes[HEAD..]) } else { bytes.slice(HEAD..) },
        }
    }

    pub fn base(&self) -> Offset {
        let bytes = self.head.first_chunk().expect("a head begins with the base offset");
        Offset(i64::from_be_bytes(*bytes))
    }

    pub fn size(&self) -> usize {
        HEAD + self.body.len()
    }

    /// The whole batch, copied together.
    pub fn batch(&self) -> Batch {
        let bytes = Bytes::from(self.parts().concat());
        let header = BatchHeader::parse(&bytes).expect("a batch in the tail was validated");
        Batch { header, bytes }
    }

    pub fn max_timestamp(&self) -> Timestamp {
        const AT: usize = 35 - HEAD;
        let bytes = self.body[AT..].first_chunk().expect("a batch has a whole header");
        Timestamp(i64::from_be_bytes(*bytes))
    }

    /// Where the next batch of the segment begins.
    pub fn end_position(&self) -> u64 {
        self.position + self.size() as u64
    }

    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.head, &self.body]
    }

    fn charge(&self) -> usize {
        self.size() + TAIL_ENTRY_BYTES
    }
}

fn head(base: Offset, length: i32, epoch: LeaderEpoch) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(&base.0.to_be_bytes());
    head[8..12].copy_from_slice(&length.to_be_bytes());
    head[12..].copy_from_slice(&epoch.0.to_be_bytes());
    head
}

/// Consecutive batches up to the log's end. The first `written` of them are on disk too and may be dropped any time.
#[derive(Debug)]
pub(super) struct Tail {
    batches: VecDeque<TailBatch>,
    written: usize,
    bytes: usize,
    unwritten_bytes: usize,
    /// Every record of the log at or past this offset is here.
    floor: Offset,
    /// What written batches may take.
    share: usize,
}

impl Tail {
    pub fn new(end: Offset) -> Self {
        Self {
            batches: VecDeque::new(),
            written: 0,
            bytes: 0,
            unwritten_bytes: 0,
            floor: end,
            share: TAIL_SHARE_DEFAULT,
        }
    }

    /// Bytes of memory charged, written or not.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn floor(&self) -> Offset {
        self.floor
    }

    pub fn push(&mut self, batch: TailBatch) {
        self.bytes += batch.charge();
        self.unwritten_bytes += batch.size();
        self.batches.push_back(batch);
    }

    /// Batches that wait to be written, in order.
    pub fn unwritten(&self) -> impl Iterator<Item = &TailBatch> {
        self.batches.range(self.written..)
    }

    pub fn has_unwritten(&self) -> bool {
        self.written < self.batches.len()
    }

    /// Bytes of the batches that wait to be written.
    pub fn unwritten_bytes(&self) -> usize {
        self.unwritten_bytes
    }

    /// Batches that end at or past `offset`, in order; all of them when the tail reaches back to it.
    pub fn from(&self, offset: Offset) -> impl Iterator<Item = &TailBatch> {
        let first = self.batches.partition_point(|batch| batch.last < offset);
        self.batches.range(first..)
    }

    /// The next `count` batches are on disk now.
    pub fn advance(&mut self, count: usize) {
        assert!(self.written + count <= self.batches.len(), "only what was in the tail was written");
        let written = self.batches.range(self.written..self.written + count);
        self.unwritten_bytes -= written.map(TailBatch::size).sum::<usize>();
        self.written += count;
        self.shrink_to(self.share);
    }

    /// What written batches may take from now on.
    pub fn set_share(&mut self, bytes: usize) {
        self.share = bytes;
        self.shrink_to(bytes);
    }

    /// Drops the oldest written batches until `bytes` are charged, or none is left. Returns what was freed.
    pub fn shrink_to(&mut self, bytes: usize) -> usize {
        let before = self.bytes;
        while self.bytes > bytes && self.written > 0 {
            let batch = self.batches.pop_front().expect("a written batch is in the tail");
            self.written -= 1;
            self.bytes -= batch.charge();
            self.floor = batch.last.plus(1);
        }
        if self.batches.is_empty() {
            self.batches.shrink_to_fit();
        }
        before - self.bytes
    }

    /// Forgets written batches below `offset`.
    pub fn drop_below(&mut self, offset: Offset) {
        while self.written > 0 && self.batches.front().is_some_and(|first| first.last < offset) {
            let batch = self.batches.pop_front().expect("it was looked at");
            self.written -= 1;
            self.bytes -= batch.charge();
            self.floor = batch.last.plus(1);
        }
    }

    /// Forgets what lies at or past `end`; all of it must be written or given up.
    pub fn truncate(&mut self, end: Offset) {
        let kept = self.batches.partition_point(|batch| batch.last < end);
        self.bytes -= self.batches.range(kept..).map(TailBatch::charge).sum::<usize>();
        self.batches.truncate(kept);
        self.written = self.written.min(kept);
        self.unwritten_bytes = self.unwritten().map(TailBatch::size).sum();
        self.floor = self.floor.min(end);
    }

    /// Batches from the one holding `from`, all below `below`, at most `max_bytes` unless the first alone is larger and
    /// `at_least_one` asks for it. `None` when the tail does not reach back to `from`.
    pub fn read(&self, from: Offset, max_bytes: usize, below: Offset, at_least_one: bool) -> Option<Records> {
        if from < self.floor {
            return None;
        }
        let first = self.batches.partition_point(|batch| batch.last < from);
        let mut reading = Reading::default();
        for batch in self.batches.range(first..).take_while(|batch| batch.last < below) {
            let wanted = reading.len() + batch.size() <= max_bytes || (reading.len() == 0 && at_least_one);
            if !wanted {
                break;
            }
            reading.take(batch);
        }
        Some(reading.finish())
    }
}

/// Gathers batches: small ones are copied together, the bodies of large ones are shared.
#[derive(Default)]
struct Reading {
    records: Records,
    copied: BytesMut,
}

impl Reading {
    fn len(&self) -> usize {
        self.records.len() + self.copied.len()
    }

    fn take(&mut self, batch: &TailBatch) {
        self.records.ends_at(batch.last.plus(1));
        self.copied.extend_from_slice(&batch.head);
        if batch.size() < TAIL_COPY_BELOW {
            self.copied.extend_from_slice(&batch.body);
        } else {
            self.records.push(self.copied.split().freeze());
            self.records.push(batch.body.clone());
        }
    }

    fn finish(mut self) -> Records {
        self.records.push(self.copied.freeze());
        self.records
    }
}
