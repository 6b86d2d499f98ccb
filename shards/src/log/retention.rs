//! Which of a log's oldest segments have to go, by `retention.bytes` and `retention.ms`. Only decides; the log start
//! offset is moved by the partition, and what lies below it is removed as after DeleteRecords.

use super::config::LogConfig;
use super::error::{Doing, StorageError};
use super::log::Log;
use super::names;
use super::segment::Segment;
use super::segment_file::SegmentFile;
use crate::types::{Offset, Timestamp};
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::rc::Rc;

/// Segments whose time has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expiry {
    /// Where the log is to start.
    pub start: Offset,
    pub segments: usize,
    pub breach: Breach,
}

/// Kafka's reasons.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Breach {
    Size { retention_bytes: u64 },
    Time { retention_ms: i64 },
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { retention_bytes } => write!(f, "log retention size {retention_bytes} breach"),
            Self::Time { retention_ms } => write!(f, "log retention time {retention_ms}ms breach"),
        }
    }
}

/// One of the oldest segments, as far as it is known without the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Old {
    /// Where the log would start without it: the next segment's base offset, or the log's end.
    end: Offset,
    size: u64,
    is_active: bool,
    /// Its largest timestamp, or when its file was last written if its records have none; `None` when that has to be
    /// looked up.
    age: Option<Timestamp>,
}

/// What a look at the segments, oldest first, has found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Stay,
    Go {
        segments: usize,
        breach: Breach,
    },
    /// The age of this one decides, and is not known.
    Unknown {
        segment: usize,
    },
}

/// Too many bytes first, then too old. Only a prefix goes, none of it past the high watermark. An empty active segment
/// stays: it is what remains when all has gone.
fn judge(
    oldest: impl Iterator<Item = Old> + Clone,
    size: u64,
    high_watermark: Offset,
    config: &LogConfig,
    now: Timestamp,
) -> Verdict {
    let deletable = oldest.take_while(|old| old.end <= high_watermark && !(old.is_active && old.size == 0));
    if let Ok(retention_bytes) = u64::try_from(config.retention_bytes)
        && let Some(mut over) = size.checked_sub(retention_bytes)
    {
        let goes = |old: &Old| match over.checked_sub(old.size) {
            Some(rest) => {
                over = rest;
                true
            }
            None => false,
        };
        let segments = deletable.clone().take_while(goes).count();
        if segments > 0 {
            return Verdict::Go { segments, breach: Breach::Size { retention_bytes } };
        }
    }
    let retention_ms = config.retention_ms;
    if retention_ms < 0 {
        return Verdict::Stay;
    }
    let mut segments = 0;
    for old in deletable {
        match old.age {
            None => return Verdict::Unknown { segment: segments },
            Some(age) if now.0.saturating_sub(age.0) > retention_ms => segments += 1,
            Some(_) => break,
        }
    }
    if segments == 0 { Verdict::Stay } else { Verdict::Go { segments, breach: Breach::Time { retention_ms } } }
}

/// What has to go now; `None` when all may stay, or the topic's policy is not to delete. What it names is true until
/// the next await.
pub async fn expired(
    log: &RefCell<Log>,
    high_watermark: Offset,
    now: Timestamp,
) -> Result<Option<Expiry>, StorageError> {
    loop {
        let file = match log.borrow().expired(high_watermark, now) {
            Ok(expiry) => return Ok(expiry),
            Err(unknown) => unknown,
        };
        let largest = file.load_largest_timestamp().await?;
        if largest.is_none_or(|largest| largest == Timestamp::NONE) {
            let modified = match file.dir().modified(&file.name(names::LOG)).await {
                // It went meanwhile: the next look does not see it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => now,
                modified => modified.doing("looking at a segment's age")?,
            };
            file.set_modified(modified);
        }
    }
}

impl Log {
    fn expired(&self, high_watermark: Offset, now: Timestamp) -> Result<Option<Expiry>, Rc<SegmentFile>> {
        if !self.config.cleanup_policy.delete || (self.config.retention_ms < 0 && self.config.retention_bytes < 0) {
            return Ok(None);
        }
        let below = self.segments.count_below(self.start);
        let live = || self.segments.iter().skip(below);
        let ends = live().skip(1).map(|next| next.base).chain([self.end]);
        let oldest = live().zip(ends).map(|(segment, end)| Old {
            end,
            size: segment.size,
            is_active: end == self.end,
            age: segment.age(),
        });
        let size = live().map(|segment| segment.size).sum();
        match judge(oldest.clone(), size, high_watermark, &self.config, now) {
            Verdict::Stay => Ok(None),
            Verdict::Unknown { segment } => Err(live().nth(segment).expect("it was judged").file.clone()),
            Verdict::Go { segments, breach } => {
                let start = oldest.clone().nth(segments - 1).expect("it was judged").end;
                Ok(Some(Expiry { start, segments, breach }))
            }
        }
    }

    /// Whole segments lie below the log start offset.
    pub fn has_removable(&self) -> bool {
        self.segments.count_below(self.start) > 0
    }
}

impl Segment {
    fn age(&self) -> Option<Timestamp> {
        match self.open() {
            Some(open) => Some(open.largest.map_or(open.appended, |largest| largest.timestamp)),
            None => self.file.age(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn old(end: i64, size: u64, age_ms: i64) -> Old {
        Old { end: Offset(end), size, is_active: false, age: Some(Timestamp(NOW.0 - age_ms)) }
    }

    fn verdict(segments: &[Old], high_watermark: i64, retention_bytes: i64, retention_ms: i64) -> Verdict {
        let config = LogConfig { retention_bytes, retention_ms, ..LogConfig::default() };
        let size = segments.iter().map(|segment| segment.size).sum();
        judge(segments.iter().copied(), size, Offset(high_watermark), &config, NOW)
    }

    fn by_time(segments: usize) -> Verdict {
        Verdict::Go { segments, breach: Breach::Time { retention_ms: 100 } }
    }

    fn by_size(segments: usize, retention_bytes: u64) -> Verdict {
        Verdict::Go { segments, breach: Breach::Size { retention_bytes } }
    }

    #[test]
    fn a_segment_goes_when_its_youngest_record_is_too_old() {
        let segments = [old(10, 5, 102), old(20, 5, 101), old(30, 5, 100), old(40, 5, 500)];
        assert_eq!(verdict(&segments, 40, -1, 100), by_time(2), "a prefix, and only past the limit");
        assert_eq!(verdict(&segments, 40, -1, -1), Verdict::Stay);
    }

    #[test]
    fn nothing_past_the_high_watermark_goes() {
        let segments = [old(10, 5, 500), old(20, 5, 500)];
        assert_eq!(verdict(&segments, 19, -1, 100), by_time(1));
        assert_eq!(verdict(&segments, 20, -1, 100), by_time(2), "the active one too");
    }

    #[test]
    fn as_many_go_as_leave_at_least_the_bytes_to_be_kept() {
        let segments = [old(10, 40, 0), old(20, 40, 0), old(30, 40, 0)];
        assert_eq!(verdict(&segments, 30, 80, -1), by_size(1, 80));
        assert_eq!(verdict(&segments, 30, 81, -1), Verdict::Stay);
        assert_eq!(verdict(&segments, 30, 1, -1), by_size(2, 1));
        assert_eq!(verdict(&segments, 30, 0, -1), by_size(3, 0));
    }

    #[test]
    fn size_comes_before_time() {
        let segments = [old(10, 40, 500), old(20, 40, 500)];
        assert_eq!(verdict(&segments, 20, 40, 100), by_size(1, 40));
    }

    #[test]
    fn an_empty_active_segment_stays() {
        let active = Old { is_active: true, ..old(10, 0, 500) };
        assert_eq!(verdict(&[active], 10, 0, 100), Verdict::Stay);
        assert_eq!(verdict(&[old(10, 0, 500), active], 10, -1, 100), by_time(1), "one that compaction emptied goes");
    }

    #[test]
    fn an_age_that_decides_and_is_not_known_is_asked_for() {
        let segments = [old(10, 5, 500), Old { age: None, ..old(20, 5, 0) }, old(30, 5, 500)];
        assert_eq!(verdict(&segments, 30, -1, 100), Verdict::Unknown { segment: 1 });
        assert_eq!(verdict(&segments, 30, 10, -1), by_size(1, 10), "for the size it is not needed");
        assert_eq!(verdict(&segments, 30, -1, -1), Verdict::Stay);
    }
}
