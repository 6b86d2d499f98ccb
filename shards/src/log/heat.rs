//! Owns which parts of a segment were read from disk of late. A part that is read again is worth the kernel's memory: it
//! is read by way of the page cache, and from memory after that.
//!
//! What is read once goes past the page cache, so readers of old data push nothing out of it.

use super::limits::{HEAT_KEPT, HEAT_PART_BYTES};
use crate::clock::Instant;

#[derive(Default)]
pub(super) struct Heat {
    since: Option<Instant>,
    parts: Vec<Part>,
}

/// What is known of a part.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
enum Part {
    #[default]
    Cold,
    /// It was read past the page cache.
    Read,
    /// It was read into the page cache, and may still be there.
    Kept,
}

impl Heat {
    /// Whether it is worth asking the page cache.
    pub fn is_kept(&self, position: u64, len: usize) -> bool {
        self.coldest(position, len) == Part::Kept
    }

    /// These bytes are about to be read from disk. Returns whether it is worth keeping them in the page cache.
    pub fn touch(&mut self, now: Instant, position: u64, len: usize) -> bool {
        if self.since.is_none_or(|since| now - since >= HEAT_KEPT) {
            *self = Self { since: Some(now), parts: Vec::new() };
        }
        let again = self.coldest(position, len) >= Part::Read;
        let touched = if again { Part::Kept } else { Part::Read };
        let range = parts(position, len);
        if self.parts.len() < range.end {
            self.parts.resize(range.end, Part::Cold);
        }
        for part in &mut self.parts[range] {
            *part = touched.max(*part);
        }
        again
    }

    fn coldest(&self, position: u64, len: usize) -> Part {
        self.parts.get(parts(position, len)).and_then(|parts| parts.iter().min().copied()).unwrap_or_default()
    }
}

/// The parts that a range has a share of. A segment is shorter than 2 GiB.
fn parts(position: u64, len: usize) -> std::ops::Range<usize> {
    let part = |at: u64| usize::try_from(at / HEAT_PART_BYTES).unwrap_or(usize::MAX);
    part(position)..part((position + len as u64).saturating_sub(1)) + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PART: usize = HEAT_PART_BYTES as usize;

    #[test]
    fn a_part_is_kept_when_it_is_read_for_the_second_time() {
        let (mut heat, now) = (Heat::default(), Instant::default());
        assert!(!heat.touch(now, 0, 3 * PART) && !heat.is_kept(0, PART));
        assert!(heat.touch(now, PART as u64, PART));
        assert!(heat.is_kept(PART as u64, PART));
        assert!(!heat.is_kept(0, 2 * PART), "its neighbour was read once");
    }

    #[test]
    fn a_reader_in_sequence_meets_the_part_it_has_begun_and_no_more() {
        let (mut heat, now) = (Heat::default(), Instant::default());
        let step = PART + 100;
        for at in 0..50 {
            assert!(!heat.touch(now, (at * step) as u64, step));
        }
    }

    #[test]
    fn what_was_read_long_ago_is_cold_again() {
        let (mut heat, now) = (Heat::default(), Instant::default());
        heat.touch(now, 0, PART);
        assert!(!heat.touch(now + HEAT_KEPT, 0, PART));
        assert!(heat.touch(now + HEAT_KEPT + Duration::from_secs(1), 0, PART));
    }
}
