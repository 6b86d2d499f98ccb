//! Moving the recovery point within the active segment, so that a start after a crash scans what lies past it and no whole
//! segment: the indexes, the producers and the epochs up to it are put beside the log, synced.
//!
//! A waypoint is taken of the log's end at some moment; when its segments are on stable storage up to there, it is
//! stored.

use super::error::{Doing, StorageError};
use super::index_file::{self, IndexBytes};
use super::log::Log;
use super::names;
use super::producer_snapshot;
use super::segment_file::SegmentFile;
use crate::types::Offset;
use std::io;
use std::rc::Rc;

/// Snapshots of waypoints that are kept: the checkpoint file may still name the last but one.
const MARKS_KEPT: usize = 2;

/// The log at an offset that is not on stable storage yet.
pub struct Waypoint {
    at: Offset,
    segment: Offset,
    position: u64,
    producers: Vec<u8>,
}

/// A waypoint on its way to the disk. To be run and handed to [`Log::finish_marking`].
#[must_use]
pub struct Marking {
    waypoint: Waypoint,
    file: Rc<SegmentFile>,
    indexes: [IndexBytes; 3],
    epochs: Option<String>,
    outdated: Vec<Offset>,
}

/// What became of a [`Marking`].
#[must_use]
pub struct Marked {
    waypoint: Waypoint,
    entries: [u32; 3],
    outdated: Vec<Offset>,
    has_epochs: bool,
    result: Result<(), StorageError>,
}

impl Waypoint {
    pub fn offset(&self) -> Offset {
        self.at
    }
}

impl Log {
    /// Bytes that a scan after a crash would read. What only a journal has comes from there.
    pub fn bytes_to_scan(&self) -> u64 {
        let unsealed = self.segments.iter().filter_map(|segment| Some((segment, segment.open()?)));
        unsealed
            .map(|(segment, open)| segment.written.saturating_sub(open.noted))
            .sum::<u64>()
            .saturating_sub(self.marked)
    }

    /// The log as it is now; `None` when nothing came since the recovery point.
    pub fn waypoint(&self) -> Option<Waypoint> {
        let active = self.segments.active();
        let moved = self.recovery_point < self.end && active.size > self.marked;
        moved.then(|| Waypoint {
            at: self.end,
            segment: active.base,
            position: active.size,
            producers: producer_snapshot::write(&self.producers),
        })
    }

    /// Begins to store a waypoint, once everything below it is flushed. It comes back when another job has the files, or
    /// the segment was rolled: sealing it does more.
    pub fn begin_marking(&mut self, waypoint: Waypoint) -> Result<Marking, Waypoint> {
        let busy = self.jobs.writing || self.jobs.sealing || self.jobs.removing || self.failed.is_some();
        let active = self.segments.active();
        let due = self.flushed >= waypoint.at && active.base == waypoint.segment && self.recovery_point < waypoint.at;
        if busy || !due {
            return Err(waypoint);
        }
        self.jobs.sealing = true;
        let open = active.open().expect("the active segment is open");
        let outdated = self.marks.len().saturating_sub(MARKS_KEPT - 1);
        let is_base = |at: &Offset| self.segments.iter().any(|segment| segment.base == *at);
        Ok(Marking {
            file: active.file.clone(),
            indexes: open.index_bytes(),
            outdated: self.marks.drain(..outdated).filter(|at| !is_base(at)).collect(),
            epochs: self.epochs.take_dirty().then(|| self.epochs.text()),
            waypoint,
        })
    }

    /// Takes back what a marking brought: the recovery point.
    pub fn finish_marking(&mut self, marked: Marked) -> Result<(), StorageError> {
        self.jobs.sealing = false;
        if let Err(error @ StorageError::Shortage { .. }) = marked.result {
            if marked.has_epochs {
                self.epochs.mark_dirty();
            }
            self.marks.splice(0..0, marked.outdated);
            return Err(error);
        }
        marked.result.map_err(|error| self.fail(error))?;
        let Waypoint { at, segment, position, .. } = marked.waypoint;
        let open = self.segments.get_mut(segment).expect("a segment that is being marked stays").open_mut();
        open.expect("one job has the indexes").mark_stored(marked.entries);
        self.marks.push(at);
        self.recovery_point = at;
        if segment == self.segments.active().base {
            self.marked = position;
            let active = self.segments.active_mut();
            let left = active.size - position;
            let open = active.open_mut().expect("the active segment is open");
            // Some of them may lie below the recovery point now.
            open.noted = open.noted.min(left);
        }
        self.check();
        Ok(())
    }
}

impl Marking {
    pub async fn run(self) -> Marked {
        let entries = self.indexes.each_ref().map(|index| index.entries);
        let result = self.work().await;
        let Self { waypoint, outdated, epochs, .. } = self;
        Marked { waypoint, entries, outdated, has_epochs: epochs.is_some(), result }
    }

    async fn work(&self) -> Result<(), StorageError> {
        let dir = self.file.dir();
        let [offsets, times, aborted] = &self.indexes;
        index_file::write(dir, &self.file.name(names::INDEX), offsets, true).await?;
        index_file::write(dir, &self.file.name(names::TIME_INDEX), times, true).await?;
        if aborted.entries > 0 {
            index_file::write(dir, &self.file.name(names::TRANSACTION_INDEX), aborted, true).await?;
        }
        if let Some(text) = &self.epochs {
            dir.write_whole(names::LEADER_EPOCHS, text.as_bytes()).await.doing("writing the leader epochs")?;
        }
        for at in &self.outdated {
            match dir.remove_file(&names::file(*at, names::SNAPSHOT)).await {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.doing("removing a producer snapshot")?,
            }
        }
        // It comes last and syncs the names of all of them.
        let name = names::file(self.waypoint.at, names::SNAPSHOT);
        dir.write_whole(&name, &self.waypoint.producers).await.doing("writing a producer snapshot")
    }
}
