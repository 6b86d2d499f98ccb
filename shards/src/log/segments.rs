//! The segments of a log, in order of their base offsets. There is always one; the last is the active one.

use super::segment::Segment;
use crate::types::Offset;
use std::collections::VecDeque;

pub(super) struct Segments {
    segments: VecDeque<Segment>,
}

impl Segments {
    /// Takes the first segment, or all of them in order.
    pub fn new(segments: impl Into<VecDeque<Segment>>) -> Self {
        let segments = segments.into();
        assert!(!segments.is_empty(), "a log has a segment");
        assert!(segments.iter().is_sorted_by(|a, b| a.base < b.base), "segments are in order");
        Self { segments }
    }

    pub fn len(&self) -> usize {
        self.segments.len()
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Segment> + ExactSizeIterator + Clone {
        self.segments.iter()
    }

    pub fn first(&self) -> &Segment {
        self.segments.front().expect("a log has a segment")
    }

    pub fn active(&self) -> &Segment {
        self.segments.back().expect("a log has a segment")
    }

    pub fn active_mut(&mut self) -> &mut Segment {
        self.segments.back_mut().expect("a log has a segment")
    }

    pub fn get_mut(&mut self, base: Offset) -> Option<&mut Segment> {
        let at = self.segments.binary_search_by_key(&base, |segment| segment.base).ok()?;
        self.segments.get_mut(at)
    }

    /// The segment that `offset` falls into and all after it.
    pub fn from(&self, offset: Offset) -> impl Iterator<Item = &Segment> {
        let above = self.segments.partition_point(|segment| segment.base <= offset);
        self.segments.range(above.saturating_sub(1)..)
    }

    pub fn push(&mut self, segment: Segment) {
        assert!(segment.base > self.active().base, "a new segment begins past the active one");
        self.segments.push_back(segment);
    }

    /// How many segments end at or below `offset`; never the active one.
    pub fn count_below(&self, offset: Offset) -> usize {
        self.segments.iter().skip(1).take_while(|next| next.base <= offset).count()
    }

    /// Takes the first `count` segments out.
    pub fn take_first(&mut self, count: usize) -> Vec<Segment> {
        assert!(count < self.segments.len(), "the active segment stays");
        self.segments.drain(..count).collect()
    }

    /// Puts `segment` in the place of all that begin at or past `from`.
    pub fn replace_from(&mut self, from: Offset, segment: Segment) {
        let kept = self.segments.partition_point(|segment| segment.base < from);
        self.segments.truncate(kept);
        self.segments.push_back(segment);
    }

    /// Puts `segment` in the place of those from the one at `first` to the one at `last`, which is not the active one.
    /// Returns where the next one begins.
    pub fn replace(&mut self, first: Offset, last: Offset, segment: Segment) -> Offset {
        let from = self.segments.partition_point(|segment| segment.base < first);
        let to = self.segments.partition_point(|segment| segment.base <= last);
        assert!(from < to && to < self.segments.len(), "there is something to replace, and something after it");
        let end = self.segments[to].base;
        self.segments.drain(from..to);
        self.segments.insert(from, segment);
        end
    }

    /// Bytes of all batches.
    pub fn size(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum()
    }
}
