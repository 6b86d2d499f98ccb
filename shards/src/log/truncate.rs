//! Cutting the end of the log off: a follower that has what its leader has not (KIP-101), or starts again elsewhere.

use super::config::LogConfig;
use super::error::{Doing, OpenError, StorageError};
use super::footing::Footing;
use super::leader_epoch::LeaderEpochs;
use super::leftovers::remove;
use super::log::Log;
use super::names;
use super::notes::Noted;
use super::recovery::{self, Recovery};
use super::replay::Replay;
use super::scan::{Found, Scan};
use super::segment::Segment;
use super::segment_view::{SegmentView, Start};
use crate::runtime::{Directory, OpenMode};
use crate::types::{Offset, Timestamp};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// A log being cut. To be run and handed to [`Log::finish_truncation`].
#[must_use]
pub struct Truncation {
    to: Offset,
    /// Bases and sizes of the segments that stay as they are.
    kept: Vec<(Offset, u64)>,
    /// The segment that is cut; without one the log begins anew at `to`.
    cut: Option<SegmentView>,
    epochs: LeaderEpochs,
    dir: Directory,
    footing: Rc<Footing>,
    config: Arc<LogConfig>,
    now: Timestamp,
}

/// What became of a [`Truncation`].
#[must_use]
pub struct Truncated {
    to: Offset,
    /// Base offset of the first segment that was touched.
    from: Offset,
    result: Result<(Segment, Replay), OpenError>,
}

impl Log {
    /// Begins to remove every batch that reaches `to` or beyond; the log ends at `to` then. One that starts at or past
    /// `to` begins anew there, empty. The log must be settled (see [`Log::is_settled`]); nothing may be appended before
    /// the end, and no journal may hold anything of the log past `to`: a recovery would bring it back. Reads under way
    /// that could see what goes come back empty.
    pub fn begin_truncation(&mut self, to: Offset, now: Timestamp) -> Truncation {
        assert!(self.is_settled() && self.failed.is_none(), "a log is settled before it is cut");
        self.jobs.removing = true;
        let below = self.segments.iter().rev().find(|segment| segment.base < to);
        let cut_base = below.map(|segment| segment.base).filter(|_| self.start < to);
        let touched = |segment: &&Segment| cut_base.is_none_or(|base| segment.base >= base);
        self.segments.iter().filter(touched).for_each(|segment| segment.file.invalidate());
        let kept = self.segments.iter().filter(|segment| !touched(segment)).map(|segment| (segment.base, segment.size));
        let kept = kept.collect();
        let cut = cut_base
            .and_then(|base| self.segments.get_mut(base))
            .map(|segment| SegmentView::new(segment.file.clone(), segment.size, Start::Search { stored: Some(0) }));
        let (epochs, dir, config) = (self.epochs.clone(), self.dir.clone(), self.config.clone());
        Truncation { to, kept, cut, epochs, dir, footing: self.footing.clone(), config, now }
    }

    /// Takes back what a truncation brought.
    pub fn finish_truncation(&mut self, truncated: Truncated) -> Result<(), OpenError> {
        self.jobs.removing = false;
        let (segment, replay) = match truncated.result {
            Ok(cut) => cut,
            Err(OpenError::Storage(error)) => return Err(self.fail(error).into()),
            Err(error) => return Err(error),
        };
        let to = truncated.to;
        self.segments.replace_from(truncated.from, segment);
        (self.epochs, self.producers) = (replay.epochs, replay.producers);
        self.epochs.truncate_from_end(to);
        (self.end, self.written, self.stable) = (to, to, to);
        (self.flushed, self.submitted) = (to, to);
        (self.start, self.recovery_point) = (self.start.min(to), self.recovery_point.min(to));
        self.cleaned = self.cleaned.min(to);
        if self.segments.first().base == to {
            self.start = to;
        }
        self.marked = 0;
        self.notes.clear();
        self.cuts += 1;
        self.tail.truncate(to);
        self.check();
        Ok(())
    }
}

impl Truncation {
    pub async fn run(self) -> Truncated {
        let from = self.cut.as_ref().map_or(Offset::ZERO, |cut| cut.file.base());
        let to = self.to;
        Truncated { to, from, result: self.work().await }
    }

    async fn work(self) -> Result<(Segment, Replay), OpenError> {
        self.footing.secure(&self.dir).await?;
        self.remove_files().await?;
        let len = match &self.cut {
            Some(view) => self.cut_file(view).await?,
            None => 0,
        };
        let entries = self.dir.list().await.doing("listing a log's directory")?;
        let first = self.kept.first().map(|(base, _)| *base);
        let Some(view) = self.cut else {
            let segment = Segment::new(&self.dir, self.to, &self.config, self.now, 0);
            let replay = Replay::load(&self.dir, &[], Some(LeaderEpochs::default()), self.to, self.to).await?;
            return Ok((segment, replay));
        };
        let base = view.file.base();
        let epochs = Some(self.epochs);
        let mut replay = Replay::load(&self.dir, &entries, epochs, first.unwrap_or(base), base).await?;
        let kept: Vec<_> = self.kept.iter().map(|&(base, size)| Segment::sealed(&self.dir, base, size)).collect();
        replay.catch_up(&kept, base).await?;
        let noted = &Noted::default();
        let how = Recovery { dir: &self.dir, config: &self.config, now: self.now, synced_later: false, noted };
        let recovered = recovery::recover(&how, base, len, None, Some(&mut replay)).await?;
        let mut segment = recovered.settle().await?;
        replay.producers.refresh(self.now);
        segment.trim_at_once().await?;
        let text = replay.epochs.text();
        self.dir.write_whole(names::LEADER_EPOCHS, text.as_bytes()).await.doing("writing the leader epochs")?;
        Ok((segment, replay))
    }

    /// Cuts the segment before the first batch that reaches `to`, durably: what was cut off must not come back between
    /// batches that follow. Returns its size.
    async fn cut_file(&self, view: &SegmentView) -> Result<u64, StorageError> {
        let mode = OpenMode::Write { create: false, synced: false };
        let name = view.file.name(names::LOG);
        let file = self.dir.open_file(&name, mode).await.doing("opening a segment")?;
        let mut scan = Scan::headers(file.clone(), 0, view.limit);
        while let Found::Batch(header) = scan.peek().await.doing("reading a segment")? {
            if header.last_offset() >= self.to {
                break;
            }
            scan.skip(&header);
        }
        file.truncate(scan.position).await.doing("cutting a segment")?;
        file.sync().await.doing("syncing a segment")?;
        file.close().await.doing("closing a segment")?;
        Ok(scan.position)
    }

    /// Later segments, the last one first and each durably, so that a crash leaves no gap; and snapshots of what is gone.
    async fn remove_files(&self) -> Result<(), StorageError> {
        let entries = self.dir.list().await.doing("listing a log's directory")?;
        let cut = self.cut.as_ref().map(|view| view.file.base());
        let mut going: BTreeMap<Offset, Vec<&str>> = BTreeMap::new();
        for entry in &entries {
            let Some((base, extension)) = names::parse_file(&entry.name) else { continue };
            let goes = match extension {
                names::SNAPSHOT => base > self.to || cut.is_none(),
                _ => cut.is_none_or(|cut| base > cut),
            };
            if goes {
                going.entry(base).or_default().push(&entry.name);
            }
        }
        for files in going.values().rev() {
            for name in files {
                remove(&self.dir, name).await?;
            }
            self.dir.sync().await.doing("syncing a log's directory")?;
        }
        Ok(())
    }
}
