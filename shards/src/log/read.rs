//! Deciding where a read is answered from: memory when the tail reaches back to it, else the disk. The decision is made
//! under a borrow, the disk is read without one ([`DiskRead::run`]).

use super::disk_read::DiskRead;
use super::error::ReadError;
use super::log::Log;
use super::records::Records;
use super::segment::Segment;
use super::segment_view::{SegmentView, Start};
use crate::types::Offset;

/// How a read is answered.
pub enum ReadPlan {
    Ready(Records),
    /// What the log looked like when the read was planned is what it gets: a segment deleted meanwhile is still read,
    /// and one that was cut gives nothing.
    Disk(DiskRead),
}

impl Log {
    /// Plans to read whole batches, the first being the one that holds `from` (or the next one, where compaction has
    /// left a gap), all below `below`: the high watermark or what else may be seen.
    ///
    /// At most `max_bytes` come, fewer at the end of a segment, none when the first batch is larger; but with
    /// `at_least_one_batch` that one comes whole (KIP-74). Nothing lies between `below` and the end for the reader.
    pub fn plan_read(
        &self,
        from: Offset,
        max_bytes: usize,
        below: Offset,
        at_least_one_batch: bool,
    ) -> Result<ReadPlan, ReadError> {
        if from < self.start || from > self.end {
            return Err(ReadError::OutOfRange);
        }
        if from >= below {
            return Ok(ReadPlan::Ready(Records::default()));
        }
        if let Some(records) = self.tail.read(from, max_bytes, below, at_least_one_batch) {
            return Ok(ReadPlan::Ready(records));
        }
        let views = self.segments.from(from).filter(|segment| segment.written > 0).take(2);
        let views: Vec<_> = views.map(|segment| segment.view(from)).collect();
        let below = below.min(self.written);
        Ok(ReadPlan::Disk(DiskRead {
            views,
            from,
            max_bytes,
            below,
            at_least_one_batch,
            ahead: self.read_ahead.clone(),
            open_files: self.open_files.clone(),
        }))
    }
}

impl Segment {
    /// What a read beginning at `offset` needs to know of the segment when no borrow is held any more.
    pub(super) fn view(&self, offset: Offset) -> SegmentView {
        let start = match (self.file.hint(offset), self.open()) {
            (Some(position), _) => Start::Exactly(position),
            (None, None) => Start::Search { stored: None },
            (None, Some(open)) => match open.offset_index.lookup_added(offset) {
                Some(entry) if u64::from(entry.position) < self.written => Start::AtOrBefore(u64::from(entry.position)),
                _ => Start::Search { stored: Some(open.offset_index.entries.len_stored()) },
            },
        };
        SegmentView::new(self.file.clone(), self.written, start)
    }
}
