//! Decides when a connection is drowsy: its peer says only that it is alive, and is in no hurry for the answers.

use odradek_shards::clock::Instant;
use std::time::Duration;

/// Patient requests in a row that make a connection drowsy.
const PATIENT_MIN: u8 = 2;
/// Who asks again sooner than this does wait for the answers.
const PAUSE_MIN: Duration = Duration::from_millis(5);
/// Who has said something else, or was told something new, stays awake for so long: joins and commits come in rows.
const AWAKE: Duration = Duration::from_secs(4);

/// What the last requests of a connection say about the next one.
#[derive(Debug, Default)]
pub struct Drowsiness {
    /// Patient requests in a row, up to [`PATIENT_MIN`].
    patient: u8,
    /// When the last request came.
    last: Instant,
    /// When it last was woken.
    woken: Instant,
}

impl Drowsiness {
    /// A request has come, and may wait or not.
    pub fn hear(&mut self, may_wait: bool, now: Instant) {
        if !may_wait {
            self.wake(now);
        } else if self.patient < PATIENT_MIN && now.saturating_since(self.last) >= PAUSE_MIN {
            self.patient += 1;
        }
        self.last = now;
    }

    /// The peer is told what will make it say more.
    pub fn stir(&mut self, now: Instant) {
        self.wake(now);
    }

    fn wake(&mut self, now: Instant) {
        (self.patient, self.woken) = (0, now);
    }

    /// The next request may be noticed some milliseconds late.
    pub fn is_drowsy(&self) -> bool {
        self.patient == PATIENT_MIN && self.last.saturating_since(self.woken) >= AWAKE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests as (milliseconds, may wait); whether the connection is drowsy after each.
    fn after_each(requests: &[(u64, bool)]) -> Vec<bool> {
        let mut drowsiness = Drowsiness::default();
        let hear = |&(millis, may_wait): &(u64, bool)| {
            drowsiness.hear(may_wait, Instant::from_nanos(millis * 1_000_000));
            drowsiness.is_drowsy()
        };
        requests.iter().map(hear).collect()
    }

    #[test]
    fn a_peer_that_only_beats_gets_drowsy() {
        assert_eq!(after_each(&[(1000, true), (4000, true), (7000, true)]), [false, true, true]);
    }

    #[test]
    fn any_other_request_wakes() {
        assert_eq!(after_each(&[(1000, true), (4000, true), (4001, false), (7000, true)]), [false, true, false, false]);
        assert_eq!(after_each(&[(1000, false), (2000, true), (4000, true), (5000, true)]), [false, false, false, true]);
    }

    #[test]
    fn who_asks_again_at_once_stays_awake() {
        let hurried: Vec<_> = (0..100).map(|nth| (1000 + nth, true)).collect();
        assert!(after_each(&hurried).iter().all(|drowsy| !drowsy));
    }

    #[test]
    fn requests_that_were_looked_at_together_do_not_wake() {
        assert_eq!(after_each(&[(9000, true), (9015, true), (9030, true), (9030, true)]), [false, true, true, true]);
    }

    #[test]
    fn who_is_told_something_new_stays_awake_for_a_while() {
        let mut drowsiness = Drowsiness::default();
        let mut hear = |millis: u64, stirs: bool| {
            drowsiness.hear(true, Instant::from_nanos(millis * 1_000_000));
            if stirs {
                drowsiness.stir(Instant::from_nanos(millis * 1_000_000));
            }
            drowsiness.is_drowsy()
        };
        let drowsy = [(1000, false), (4000, false), (7000, true), (10_000, false), (13_000, false)];
        assert_eq!(drowsy.map(|(millis, stirs)| hear(millis, stirs)), [false, true, false, false, true]);
    }
}
