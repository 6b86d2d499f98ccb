//! How long to rest after something was removed: the disk belongs to those who write and read.

use crate::limits::{REMOVAL_BYTES_PER_SECOND, REMOVAL_RESTS, REMOVALS_LATE};
use std::time::Duration;

/// After so many bytes went in so much time, `late` after they were due. As much of the time goes into removals as they are
/// given; what comes faster than that makes them late, and being late halves the rest, over and over. Where space is short
/// somebody may wait for it.
pub(super) fn rest(took: Duration, bytes: u64, late: Duration, space_is_short: bool) -> Duration {
    let by_bytes = Duration::from_micros(bytes.saturating_mul(1_000_000) / REMOVAL_BYTES_PER_SECOND);
    let rest = took.saturating_mul(REMOVAL_RESTS).max(by_bytes);
    let halvings = (late.as_millis() / REMOVALS_LATE.as_millis()).min(31) as u32;
    let rest = rest / (1 << halvings);
    if space_is_short { rest.min(took) } else { rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SOON: Duration = Duration::ZERO;

    #[test]
    fn removals_have_a_small_share_of_the_time() {
        assert_eq!(rest(MS * 2, 1 << 10, SOON, false), MS * 2 * REMOVAL_RESTS);
        assert_eq!(rest(MS * 40, 1 << 10, SOON, false), MS * 40 * REMOVAL_RESTS);
    }

    #[test]
    fn bytes_that_go_at_once_are_no_reason_to_hurry() {
        assert_eq!(rest(Duration::ZERO, REMOVAL_BYTES_PER_SECOND / 100, SOON, false), MS * 10);
        assert_eq!(rest(Duration::ZERO, 0, SOON, false), Duration::ZERO);
    }

    #[test]
    fn what_is_late_goes_faster_and_faster() {
        let after = |late| rest(MS, 0, late, false);
        assert_eq!(after(REMOVALS_LATE - MS), after(SOON));
        assert_eq!(after(REMOVALS_LATE), after(SOON) / 2);
        assert_eq!(after(REMOVALS_LATE * 3), after(SOON) / 8);
        assert_eq!(after(REMOVALS_LATE * 1000), Duration::ZERO);
    }

    #[test]
    fn without_space_removals_have_half_of_the_time() {
        assert_eq!(rest(MS * 2, REMOVAL_BYTES_PER_SECOND, SOON, true), MS * 2);
    }
}
