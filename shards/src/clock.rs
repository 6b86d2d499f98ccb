//! Owns the question "what time is it?": the one file that asks a clock, real or simulated.

use crate::runtime::simulation;
use crate::types::Timestamp;
use std::ops::{Add, AddAssign, Sub};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point on the monotonic clock, in nanoseconds since an arbitrary start of the process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant(u64);

/// The monotonic clock: never goes back, counts no suspended time. Virtual inside a simulation.
pub fn now() -> Instant {
    simulation::virtual_now().unwrap_or_else(|| Instant(AHEAD + nanos(origin().elapsed())))
}

/// The wall clock in milliseconds: may jump either way. Virtual inside a simulation.
pub fn wall_clock() -> Timestamp {
    if let Some(now) = simulation::virtual_now() {
        return Timestamp(SIMULATED_EPOCH_MS + (now.as_nanos() / 1_000_000) as i64);
    }
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

impl Instant {
    /// Later than anything: for "no deadline".
    pub const NEVER: Self = Self(u64::MAX);

    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it has yet to come.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Time passed since this instant.
    pub fn elapsed(self) -> Duration {
        now().saturating_since(self)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    /// Saturates at [`Instant::NEVER`].
    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(nanos(later)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, later: Duration) {
        *self = *self + later;
    }
}

impl Sub for Instant {
    type Output = Duration;
    /// Saturates at zero.
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_since(earlier)
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    /// Saturates at the start of the clock.
    fn sub(self, before: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(before)))
    }
}

/// The real clock starts a day in, so that "an hour ago" is sayable right after the start.
const AHEAD: u64 = 86_400_000_000_000;

/// 2026-01-01T00:00:00Z: where a simulation's wall clock starts.
const SIMULATED_EPOCH_MS: i64 = 1_767_225_600_000;

fn origin() -> std::time::Instant {
    static ORIGIN: OnceLock<std::time::Instant> = OnceLock::new();
    *ORIGIN.get_or_init(std::time::Instant::now)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_saturate_instead_of_wrapping() {
        assert_eq!(Instant::NEVER + Duration::from_secs(1), Instant::NEVER);
        assert_eq!(Instant::from_nanos(5) - Instant::from_nanos(9), Duration::ZERO);
        assert_eq!(Instant::from_nanos(5) - Duration::from_secs(1), Instant::from_nanos(0));
    }

    #[test]
    fn the_monotonic_clock_never_goes_back() {
        let first = now();
        assert!(now() >= first);
    }

    #[test]
    fn a_simulation_moves_both_clocks_together() {
        simulation::simulate(1, async {
            let (instant, wall) = (now(), wall_clock());
            crate::runtime::sleep(Duration::from_secs(3600)).await;
            assert_eq!(now() - instant, Duration::from_secs(3600));
            assert_eq!(wall_clock().0 - wall.0, 3_600_000);
        });
    }
}
