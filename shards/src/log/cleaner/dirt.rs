//! How dirty a log is, whether it is due, and which one is next.

use super::super::config::LogConfig;
use crate::types::{Offset, Timestamp};

/// A segment's times, as far as they matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Times {
    /// Of the first batch; asked for by `max.compaction.lag.ms`.
    pub first: Timestamp,
    /// The largest, or that of the file; asked for by `min.compaction.lag.ms`.
    pub largest: Timestamp,
}

/// A log's sealed segments and what bounds a cleaning of them.
#[derive(Clone, Debug)]
pub(super) struct Terrain {
    /// Oldest first; base offset, size and what is known of its time.
    pub segments: Vec<(Offset, u64, Times)>,
    /// Base offset of the first segment that is not sealed.
    pub end: Offset,
    pub log_start: Offset,
    pub last_stable: Offset,
    /// Where the last cleaning ended.
    pub cleaned: Offset,
}

/// What a cleaning of a log would do.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Dirt {
    /// The first offset that was never cleaned.
    pub from: Offset,
    /// The first that must not be cleaned yet.
    pub to: Offset,
    clean_bytes: u64,
    dirty_bytes: u64,
    /// `max.compaction.lag.ms` has passed.
    overdue: bool,
}

impl Dirt {
    /// The dirty part of all that would be cleaned.
    pub fn ratio(&self) -> f64 {
        match self.clean_bytes + self.dirty_bytes {
            0 => 0.0,
            all => self.dirty_bytes as f64 / all as f64,
        }
    }

    pub fn is_due(&self, min_cleanable_dirty_ratio: f64) -> bool {
        self.dirty_bytes > 0 && (self.overdue || self.ratio() > min_cleanable_dirty_ratio)
    }
}

pub(super) fn dirt(terrain: &Terrain, config: &LogConfig, now: Timestamp) -> Dirt {
    let from = match terrain.cleaned {
        // Records were deleted past it, or the checkpoint is of another log.
        cleaned if cleaned < terrain.log_start || cleaned > terrain.end => terrain.log_start,
        cleaned => cleaned,
    };
    let ends = terrain.segments.iter().skip(1).map(|(base, ..)| *base).chain([terrain.end]);
    let segments = || terrain.segments.iter().zip(ends.clone());
    let dirty = || segments().filter(|(_, end)| *end > from);
    let too_young = config.min_compaction_lag_ms > 0;
    let youngest = dirty()
        .find(|((_, _, times), _)| too_young && times.largest.0 > now.0.saturating_sub(config.min_compaction_lag_ms));
    let lag_ends = youngest.map_or(terrain.end, |((base, ..), _)| *base);
    let to = terrain.end.min(terrain.last_stable).min(lag_ends).max(from);
    let within = || dirty().filter(|((base, ..), _)| *base < to);
    let oldest = within().map(|((_, _, times), _)| times.first).filter(|first| first.0 > 0).min();
    let overdue = oldest.is_some_and(|oldest| now.0.saturating_sub(oldest.0) > config.max_compaction_lag_ms);
    let bytes = |dirty: bool| {
        let wanted = segments().filter(|((base, ..), end)| *base < to && (*end > from) == dirty);
        wanted.map(|((_, size, _), _)| size).sum()
    };
    Dirt { from, to, clean_bytes: bytes(false), dirty_bytes: bytes(true), overdue }
}

/// Those that are due, the dirtiest first.
pub fn dirtiest<T>(logs: impl IntoIterator<Item = (T, Dirt, f64)>) -> Vec<T> {
    let due = logs.into_iter().filter(|(_, dirt, min_ratio)| dirt.is_due(*min_ratio));
    let mut due: Vec<_> = due.map(|(log, dirt, _)| (dirt.ratio(), log)).collect();
    due.sort_by(|a, b| b.0.total_cmp(&a.0));
    due.into_iter().map(|(_, log)| log).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    /// Segments of ten offsets and 100 bytes each, with their ages.
    fn terrain(cleaned: i64, ages_ms: &[i64]) -> Terrain {
        let segment = |(at, age_ms): (usize, &i64)| {
            let time = Timestamp(NOW.0 - age_ms);
            (Offset(at as i64 * 10), 100, Times { first: time, largest: time })
        };
        let end = Offset(ages_ms.len() as i64 * 10);
        Terrain {
            segments: ages_ms.iter().enumerate().map(segment).collect(),
            end,
            log_start: Offset(0),
            last_stable: Offset(1000),
            cleaned: Offset(cleaned),
        }
    }

    fn range(dirt: Dirt) -> (i64, i64) {
        (dirt.from.0, dirt.to.0)
    }

    #[test]
    fn the_ratio_is_of_bytes_not_cleaned_yet() {
        let config = LogConfig::default();
        let found = dirt(&terrain(20, &[0; 4]), &config, NOW);
        assert_eq!((range(found), found.ratio()), ((20, 40), 0.5));
        assert!(!found.is_due(0.5) && found.is_due(0.49));
        let found = dirt(&terrain(40, &[0; 4]), &config, NOW);
        assert_eq!((range(found), found.is_due(0.0)), ((40, 40), false));
    }

    #[test]
    fn an_open_transaction_is_not_cleaned() {
        let open = Terrain { last_stable: Offset(25), ..terrain(0, &[0; 4]) };
        assert_eq!(range(dirt(&open, &LogConfig::default(), NOW)), (0, 25));
        let open = Terrain { last_stable: Offset(5), ..terrain(10, &[0; 4]) };
        assert!(!dirt(&open, &LogConfig::default(), NOW).is_due(0.0));
    }

    #[test]
    fn records_younger_than_the_least_lag_wait() {
        let config = LogConfig { min_compaction_lag_ms: 50, ..LogConfig::default() };
        assert_eq!(range(dirt(&terrain(0, &[200, 51, 49, 300]), &config, NOW)), (0, 20));
    }

    #[test]
    fn records_older_than_the_largest_lag_do_not_wait_for_more_dirt() {
        let config = LogConfig { max_compaction_lag_ms: 100, ..LogConfig::default() };
        assert!(dirt(&terrain(30, &[0, 0, 0, 101]), &config, NOW).is_due(0.99));
        assert!(!dirt(&terrain(30, &[500, 0, 0, 100]), &config, NOW).is_due(0.99), "that is clean already");
    }

    #[test]
    fn a_checkpoint_of_another_life_counts_from_the_log_start() {
        let deleted = Terrain { log_start: Offset(15), ..terrain(3, &[0; 4]) };
        assert_eq!(range(dirt(&deleted, &LogConfig::default(), NOW)), (15, 40));
        assert_eq!(range(dirt(&terrain(99, &[0; 4]), &LogConfig::default(), NOW)), (0, 40));
    }

    #[test]
    fn the_dirtiest_of_those_that_are_due_comes_first() {
        let config = LogConfig::default();
        let of = |cleaned| dirt(&terrain(cleaned, &[0; 4]), &config, NOW);
        let next = dirtiest([("a", of(30), 0.2), ("b", of(20), 0.9), ("c", of(10), 0.7), ("d", of(10), 0.7)]);
        assert_eq!(next, ["c", "d", "a"]);
        assert!(dirtiest([("b", of(20), 0.9)]).is_empty());
    }
}
