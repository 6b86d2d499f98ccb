//! Which neighbours become one segment.

use super::super::config::LogConfig;
use crate::record::HEADER_LEN;
use crate::types::Offset;
use std::ops::Range;

/// A segment to be cleaned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Part {
    pub base: Offset,
    /// Base offset of the next segment.
    pub end: Offset,
    pub size: u64,
}

/// Cuts `parts`, in order, into groups of which each becomes one segment: no larger than `segment.bytes` and
/// `segment.index.bytes` allow, its offsets within reach of its base.
pub(super) fn groups(parts: &[Part], config: &LogConfig) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let (mut base, mut size) = (Offset::ZERO, 0);
    for (at, part) in parts.iter().enumerate() {
        let fits = size + part.size <= u64::from(config.segment_bytes)
            && index_bytes(size + part.size, config) <= u64::from(config.segment_index_bytes)
            && (part.size == 0 || part.end - base <= i64::from(i32::MAX) + 1);
        match groups.last_mut() {
            Some(group) if fits => {
                group.end = at + 1;
                size += part.size;
            }
            _ => {
                groups.push(at..at + 1);
                (base, size) = (part.base, part.size);
            }
        }
    }
    groups
}

/// What the larger index of a segment takes, at most.
fn index_bytes(size: u64, config: &LogConfig) -> u64 {
    const WIDEST_ENTRY: u64 = 12;
    size / u64::from(config.index_interval_bytes).max(HEADER_LEN as u64) * WIDEST_ENTRY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(base: i64, end: i64, size: u64) -> Part {
        Part { base: Offset(base), end: Offset(end), size }
    }

    fn config() -> LogConfig {
        LogConfig { segment_bytes: 1000, ..LogConfig::default() }
    }

    #[test]
    fn small_neighbours_share_a_segment() {
        let parts = [part(0, 10, 600), part(10, 20, 300), part(20, 30, 100), part(30, 40, 1), part(40, 50, 2000)];
        assert_eq!(groups(&parts, &config()), [0..3, 3..4, 4..5]);
        assert_eq!(groups(&[], &config()), []);
    }

    #[test]
    fn offsets_stay_within_reach_of_the_base() {
        let far = i64::from(i32::MAX) + 1;
        let parts = [part(0, 10, 1), part(10, far, 1), part(far, far + 1, 1)];
        assert_eq!(groups(&parts, &config()), [0..2, 2..3]);
        let parts = [part(0, 10, 1), part(10, 10 * far, 0), part(10 * far, 11 * far, 1)];
        assert_eq!(groups(&parts, &config()), [0..2, 2..3], "an empty one has no offsets");
    }

    #[test]
    fn the_index_has_room_for_all() {
        let config = LogConfig { segment_index_bytes: 24, index_interval_bytes: 100, ..config() };
        let parts = [part(0, 10, 150), part(10, 20, 149), part(20, 30, 1)];
        assert_eq!(groups(&parts, &config), [0..2, 2..3]);
    }
}
