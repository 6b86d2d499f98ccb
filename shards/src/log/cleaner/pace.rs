//! How fast a cleaner may go: `log.cleaner.io.max.bytes.per.second`.

use crate::runtime::Instant;
use std::time::Duration;

/// Spends bytes over time, without saving up for later what is not used.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    bytes_per_second: f64,
    /// What was spent is paid for at this time.
    even_at: Option<Instant>,
}

impl Pace {
    pub fn new(bytes_per_second: f64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1.0), even_at: None }
    }

    /// Another speed from now on.
    pub fn change(&mut self, bytes_per_second: f64) {
        self.bytes_per_second = bytes_per_second.max(1.0);
    }

    /// Spends `bytes` and says how long to rest.
    pub fn spend(&mut self, bytes: usize, now: Instant) -> Duration {
        const LONGEST: f64 = 3600.0;
        let cost = Duration::from_secs_f64((bytes as f64 / self.bytes_per_second).min(LONGEST));
        let even_at = self.even_at.map_or(now, |even_at| even_at.max(now)) + cost;
        self.even_at = Some(even_at);
        even_at.saturating_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn bytes_cost_time() {
        let mut pace = Pace::new(1000.0);
        assert_eq!(pace.spend(2000, at(0)), Duration::from_secs(2));
        assert_eq!(pace.spend(1000, at(1)), Duration::from_secs(2), "the debt of before is not forgotten");
        assert_eq!(pace.spend(1000, at(100)), Duration::from_secs(1), "rest is not saved up");
    }

    #[test]
    fn without_a_limit_there_is_no_rest() {
        assert_eq!(Pace::new(f64::MAX).spend(1 << 30, at(0)), Duration::ZERO);
    }
}
