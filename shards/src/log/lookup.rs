//! Finding a record by its timestamp (KIP-79, KIP-734). Earliest and latest need no search: they are
//! [`Log::start_offset`] and whatever end the reader may see.

use super::error::{Doing, StorageError};
use super::index_file;
use super::limits::INFLATED_BYTES_MAX;
use super::log::Log;
use super::names;
use super::open_files::OpenFiles;
use super::scan::{Found, Scan};
use super::segment::Segment;
use super::segment_view::{SegmentView, Start};
use super::tail::TailBatch;
use super::time_index::{TIME_ENTRY, TimeEntry};
use crate::record::{Batch, BatchHeader};
use crate::types::{LeaderEpoch, Offset, Timestamp};
use std::io;
use std::rc::Rc;

/// Which record is sought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// The first at or after a time.
    At(Timestamp),
    /// The first of those with the largest timestamp.
    MaxTimestamp,
}

/// A record found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimestampOffset {
    pub timestamp: Timestamp,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
}

/// What a search brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Search {
    Found(TimestampOffset),
    /// No such record lies in the range.
    Nothing,
    /// The log was cut meanwhile, or segments were deleted or replaced: to be planned anew.
    Outdated,
}

/// A planned search; leases the segments it reads.
#[must_use]
pub struct LookupPlan {
    what: Lookup,
    views: Vec<TimeView>,
    /// The records that are in memory only, in order.
    tail: Vec<TailBatch>,
    start: Offset,
    below: Offset,
    open_files: Rc<OpenFiles>,
}

/// A segment as a search by time sees it.
struct TimeView {
    segment: SegmentView,
    /// The last time entry in memory at or below what is sought, and how many are in the file before it; `None` when
    /// all are in the file.
    open: Option<(Option<TimeEntry>, u32)>,
}

impl Log {
    /// Plans a search among the records from the log start to `below`.
    pub fn plan_lookup(&self, what: Lookup, below: Offset) -> LookupPlan {
        let unwritten = self.tail.unwritten().take_while(|batch| batch.last < below.min(self.stable));
        let tail = unwritten.cloned().collect();
        let below = below.min(self.written);
        let segments = self.segments.from(self.start).take_while(|segment| segment.base < below);
        let views = segments.map(|segment| segment.time_view(what, below)).collect();
        LookupPlan { what, views, tail, start: self.start, below, open_files: self.open_files.clone() }
    }
}

/// Whether a time entry comes before what is sought; such entries are a prefix.
fn is_before(what: Lookup, below: Offset, entry: TimeEntry) -> bool {
    match what {
        Lookup::At(timestamp) => entry.timestamp < timestamp && entry.offset < below,
        Lookup::MaxTimestamp => entry.offset < below,
    }
}

impl Segment {
    fn time_view(&self, what: Lookup, below: Offset) -> TimeView {
        let Some(open) = self.open() else {
            let view = SegmentView::new(self.file.clone(), self.written, Start::Search { stored: None });
            return TimeView { segment: view, open: None };
        };
        let added = open.time_index.search_added(|entry| is_before(what, below, entry));
        let position = added.and_then(|entry| open.offset_index.lookup_added(entry.offset));
        let stored = open.offset_index.entries.len_stored();
        let start = match position {
            Some(entry) => Start::AtOrBefore(u64::from(entry.position)),
            None => Start::Search { stored: Some(stored) },
        };
        let view = SegmentView::new(self.file.clone(), self.written, start);
        TimeView { segment: view, open: Some((added, open.time_index.entries.len_stored())) }
    }
}

impl LookupPlan {
    /// Searches.
    pub async fn run(self) -> Result<Search, StorageError> {
        let found = self.on_disk().await.map(|found| self.with_tail(found));
        let is_outdated = self.views.iter().any(|view| view.segment.is_void() || view.segment.file.is_deleted());
        match found {
            Ok(Some(found)) => Ok(Search::Found(found)),
            Ok(None) | Err(_) if is_outdated => Ok(Search::Outdated),
            Ok(None) => Ok(Search::Nothing),
            Err(error) => Err(error),
        }
    }

    async fn on_disk(&self) -> Result<Option<TimestampOffset>, StorageError> {
        match self.what {
            Lookup::At(timestamp) => self.first_at(timestamp).await,
            Lookup::MaxTimestamp => self.first_of_largest().await,
        }
    }

    /// The answer when what is in memory counts too; it comes after what is on disk.
    fn with_tail(&self, found: Option<TimestampOffset>) -> Option<TimestampOffset> {
        let readable = || self.tail.iter().filter(|batch| batch.last >= self.start);
        match (self.what, found) {
            (Lookup::At(_), Some(found)) => Some(found),
            (Lookup::At(timestamp), None) => {
                let mut young = readable().filter(|batch| batch.max_timestamp() >= timestamp);
                young.find_map(|batch| self.first_in(&batch.batch(), timestamp))
            }
            (Lookup::MaxTimestamp, found) => {
                let Some(largest) = readable().map(TailBatch::max_timestamp).max() else { return found };
                let is_larger = largest.0 >= 0 && found.is_none_or(|found| largest > found.timestamp);
                let mut holders = readable().filter(|batch| is_larger && batch.max_timestamp() == largest);
                holders.find_map(|batch| self.first_in(&batch.batch(), largest)).or(found)
            }
        }
    }

    async fn first_at(&self, timestamp: Timestamp) -> Result<Option<TimestampOffset>, StorageError> {
        for view in &self.views {
            if view.ends_before(timestamp).await? {
                continue;
            }
            self.open_files.read(&view.segment.file);
            let (position, _) = view.start(self.what, self.below).await?;
            let wanted = |header: &BatchHeader| header.max_timestamp >= timestamp;
            if let Some(found) = self.first_record(view, position, timestamp, wanted).await? {
                return Ok(Some(found).filter(|found| found.offset < self.below));
            }
        }
        Ok(None)
    }

    async fn first_of_largest(&self) -> Result<Option<TimestampOffset>, StorageError> {
        let mut best: Option<(Timestamp, &TimeView, u64)> = None;
        for view in &self.views {
            self.open_files.read(&view.segment.file);
            let Some((timestamp, position)) = self.largest(view).await? else { continue };
            if best.is_none_or(|(largest, _, _)| timestamp > largest) {
                best = Some((timestamp, view, position));
            }
        }
        let Some((timestamp, view, position)) = best else { return Ok(None) };
        self.first_record(view, position, timestamp, |header| header.max_timestamp >= timestamp).await
    }

    /// The segment's largest timestamp below the bound, and a position at or before the first batch that has it.
    async fn largest(&self, view: &TimeView) -> Result<Option<(Timestamp, u64)>, StorageError> {
        let (from, entry) = view.start(self.what, self.below).await?;
        let entry = entry.filter(|entry| entry.offset >= self.start);
        let mut largest = entry.map(|entry| (entry.timestamp, from));
        let mut scan = view.scan(from).await?;
        while let Found::Batch(header) = scan.peek().await.doing("reading a segment")? {
            if header.last_offset() >= self.below {
                break;
            }
            let grows = largest.is_none_or(|(timestamp, _)| header.max_timestamp > timestamp);
            if grows && header.max_timestamp.0 >= 0 && header.last_offset() >= self.start {
                largest = Some((header.max_timestamp, scan.position));
            }
            scan.skip(&header);
        }
        Ok(largest)
    }

    /// The first record at or after `timestamp` in the batches that are `wanted`, from `position` on.
    async fn first_record(
        &self,
        view: &TimeView,
        position: u64,
        timestamp: Timestamp,
        wanted: impl Fn(&BatchHeader) -> bool,
    ) -> Result<Option<TimestampOffset>, StorageError> {
        let mut scan = view.scan(position).await?;
        while let Found::Batch(header) = scan.peek().await.doing("reading a segment")? {
            if header.base_offset >= self.below {
                break;
            }
            if header.last_offset() >= self.start && wanted(&header) {
                let batch = scan.batch(&header).await.doing("reading a segment")?;
                let found = self.first_in(&batch, timestamp);
                if found.is_some() {
                    return Ok(found);
                }
            }
            scan.skip(&header);
        }
        Ok(None)
    }

    /// The batch's first record at or after `timestamp`.
    fn first_in(&self, batch: &Batch, timestamp: Timestamp) -> Option<TimestampOffset> {
        let mut records = batch.records(INFLATED_BYTES_MAX).map_while(Result::ok);
        let found = records.find(|record| record.timestamp >= timestamp && record.offset >= self.start)?;
        let leader_epoch = batch.header.leader_epoch;
        Some(TimestampOffset { timestamp: found.timestamp, offset: found.offset, leader_epoch })
    }
}

impl TimeView {
    async fn scan(&self, position: u64) -> Result<Scan, StorageError> {
        let file = self.segment.file.reader().await.doing("opening a segment")?;
        Ok(Scan::headers(file, position, self.segment.limit))
    }

    /// All of a sealed segment is older; of an open one only a walk can tell.
    async fn ends_before(&self, timestamp: Timestamp) -> Result<bool, StorageError> {
        if self.open.is_some() {
            return Ok(false);
        }
        let largest = self.segment.file.load_largest_timestamp().await?;
        Ok(largest.is_some_and(|largest| largest < timestamp))
    }

    /// Where to begin a walk, and the last time entry before what is sought.
    async fn start(&self, what: Lookup, below: Offset) -> Result<(u64, Option<TimeEntry>), StorageError> {
        let entry = match self.open {
            Some((Some(added), _)) => return Ok((self.segment.locate(added.offset).await?, Some(added))),
            Some((None, stored)) => self.stored_entry(what, below, Some(stored)).await?,
            None => self.stored_entry(what, below, None).await?,
        };
        match entry {
            Some(entry) => Ok((self.segment.locate(entry.offset).await?, Some(entry))),
            None => Ok((0, None)),
        }
    }

    async fn stored_entry(
        &self,
        what: Lookup,
        below: Offset,
        stored: Option<u32>,
    ) -> Result<Option<TimeEntry>, StorageError> {
        let base = self.segment.file.base();
        let Some(index) = self.time_index().await? else { return Ok(None) };
        let len = index.len().await.doing("reading a time index")?;
        let count = u32::try_from(len / TIME_ENTRY as u64).unwrap_or(u32::MAX).min(stored.unwrap_or(u32::MAX));
        let before = |bytes: &[u8; TIME_ENTRY]| {
            TimeEntry::parse_padded(base, bytes).is_some_and(|entry| is_before(what, below, entry))
        };
        let found = index_file::search(&index, count, before).await.doing("reading a time index")?;
        index.close().await.doing("closing a time index")?;
        Ok(found.map(|(_, bytes)| TimeEntry::parse(base, &bytes)))
    }

    async fn time_index(&self) -> Result<Option<crate::runtime::File>, StorageError> {
        match self.segment.file.open(names::TIME_INDEX).await {
            Ok(index) => Ok(Some(index)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).doing("opening a time index"),
        }
    }
}
