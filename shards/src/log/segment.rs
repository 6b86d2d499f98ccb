//! One segment: a file of batches, and while batches come to it, its indexes in memory.

use super::config::LogConfig;
use super::index_file::IndexBytes;
use super::offset_index::{OffsetEntry, OffsetIndex};
use super::open_files::WriterSlot;
use super::segment_file::SegmentFile;
use super::time_index::{TimeEntry, TimeIndex};
use super::transaction_index::{Aborted, TransactionIndex};
use crate::record::BatchHeader;
use crate::runtime::{Directory, File};
use crate::types::{Offset, Timestamp};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// Invariant: `written <= size`; only an open segment has unwritten bytes.
pub(super) struct Segment {
    pub base: Offset,
    /// Bytes of its batches, those in memory included.
    pub size: u64,
    /// Bytes of them that are on disk.
    pub written: u64,
    pub file: Rc<SegmentFile>,
    pub stage: Stage,
}

/// `Open` (active), `Open` with a rolled segment's snapshot, `Sealed`: in this order.
pub(super) enum Stage {
    Open(Box<OpenSegment>),
    /// Its file has its exact size and its indexes are on disk only.
    Sealed,
}

/// What a segment needs in memory until it is sealed.
pub(super) struct OpenSegment {
    pub offset_index: OffsetIndex,
    pub time_index: TimeIndex,
    /// Shared with reads under way.
    pub aborted: Rc<RefCell<TransactionIndex>>,
    /// The largest timestamp so far.
    pub largest: Option<TimeEntry>,
    bytes_since_entry: u64,
    /// Largest timestamp of the first batch: age counts from it.
    first_timestamp: Option<Timestamp>,
    /// Age counts from here when records have no timestamps.
    created: Timestamp,
    /// When a batch last came, by our clock.
    pub appended: Timestamp,
    jitter_ms: i64,
    /// The producers as they were at the end, once the segment is rolled.
    pub rolled: Option<Rolled>,
    /// Bytes of batches that notes were made of.
    pub noted: u64,
    pub disk: OnDisk,
}

/// What a rolled segment leaves to be written when it is sealed.
pub(super) struct Rolled {
    /// Base offset of the next segment, whose name the snapshot bears.
    pub next: Offset,
    pub snapshot: Vec<u8>,
}

/// How the file stands, as the next write job has to know it.
#[derive(Default)]
pub(super) struct OnDisk {
    pub writers: Writers,
    /// The directory has been synced since the file was created.
    pub named: bool,
    /// The file's size, preallocated zeros included; `None` while there is no file.
    pub allocated: Option<u64>,
    /// The next step of preallocation; 0 for the first.
    pub step: u64,
    /// The bytes of the last, partly filled block; `None` when they have to be read back.
    pub partial: Option<Vec<u8>>,
}

/// The file open for writing, taken along by a job and given back: once as it is, once so that every write is synced.
#[derive(Default)]
pub(super) struct Writers {
    pub plain: Option<Writer>,
    pub synced: Option<Writer>,
}

pub(super) struct Writer {
    pub file: File,
    #[expect(dead_code, reason = "held to be dropped")]
    pub slot: WriterSlot,
}

impl Writers {
    pub fn any(&self) -> Option<File> {
        self.plain.as_ref().or(self.synced.as_ref()).map(|writer| writer.file.clone())
    }

    pub fn is_closed(&self) -> bool {
        self.plain.is_none() && self.synced.is_none()
    }

    pub async fn close(&mut self) -> io::Result<()> {
        for writer in [self.plain.take(), self.synced.take()].into_iter().flatten() {
            writer.file.close().await?;
        }
        Ok(())
    }
}

impl Segment {
    /// A segment that begins at `base`, without a file yet.
    pub fn new(dir: &Directory, base: Offset, config: &LogConfig, now: Timestamp, jitter_ms: i64) -> Self {
        let open = OpenSegment {
            offset_index: OffsetIndex::new(base, config.segment_index_bytes),
            time_index: TimeIndex::new(base, config.segment_index_bytes),
            aborted: Rc::new(RefCell::new(TransactionIndex::new(config.segment_index_bytes))),
            largest: None,
            bytes_since_entry: 0,
            first_timestamp: None,
            created: now,
            appended: now,
            jitter_ms,
            rolled: None,
            noted: 0,
            disk: OnDisk { partial: Some(Vec::new()), ..OnDisk::default() },
        };
        let file = Rc::new(SegmentFile::new(dir, base));
        Self { base, size: 0, written: 0, file, stage: Stage::Open(Box::new(open)) }
    }

    /// A complete segment with its indexes on disk.
    pub fn sealed(dir: &Directory, base: Offset, size: u64) -> Self {
        Self { base, size, written: size, file: Rc::new(SegmentFile::new(dir, base)), stage: Stage::Sealed }
    }

    /// One that a cleaner has written.
    pub fn cleaned(file: Rc<SegmentFile>, size: u64) -> Self {
        Self { base: file.base(), size, written: size, file, stage: Stage::Sealed }
    }

    pub fn open(&self) -> Option<&OpenSegment> {
        match &self.stage {
            Stage::Open(open) => Some(open),
            Stage::Sealed => None,
        }
    }

    pub fn open_mut(&mut self) -> Option<&mut OpenSegment> {
        match &mut self.stage {
            Stage::Open(open) => Some(open),
            Stage::Sealed => None,
        }
    }

    pub fn is_sealed(&self) -> bool {
        self.open().is_none()
    }

    pub fn has_file(&self) -> bool {
        self.open().is_none_or(|open| open.disk.allocated.is_some())
    }

    /// Notes a batch that is put at the end and returns its position.
    pub fn append(&mut self, header: &BatchHeader, index_interval_bytes: u32) -> u64 {
        let position = self.size;
        self.size += header.size() as u64;
        let open = self.open_mut().expect("batches are appended to the active segment");
        open.note(header, position, index_interval_bytes);
        position
    }

    /// Notes a transaction whose marker was put at the end.
    pub fn note_aborted(&mut self, aborted: Aborted) {
        self.file.set_aborted(true);
        let open = self.open_mut().expect("markers are appended to the active segment");
        open.aborted.borrow_mut().push(aborted);
    }

    /// Whether `header` has to go to a new segment. `config` may have changed since this one began.
    pub fn must_roll(&self, header: &BatchHeader, config: &LogConfig, now: Timestamp) -> bool {
        let Some(open) = self.open() else { return true };
        if header.last_offset() - self.base > i64::from(i32::MAX) {
            return true;
        }
        self.size > 0
            && (self.size + header.size() as u64 > u64::from(config.segment_bytes)
                || open.age(header.max_timestamp, now) > config.roll_ms() - open.jitter_ms
                || open.offset_index.is_full()
                || open.aborted.borrow().is_full()
                || open.time_index.is_full())
    }
}

impl OpenSegment {
    /// One batch in every `index.interval.bytes` gets an entry, the one that begins after so many bytes.
    pub fn note(&mut self, header: &BatchHeader, position: u64, index_interval_bytes: u32) {
        let offset = header.last_offset();
        if position == 0 {
            self.first_timestamp = Some(header.max_timestamp);
        }
        if header.max_timestamp > self.largest.map_or(Timestamp::NONE, |largest| largest.timestamp) {
            self.largest = Some(TimeEntry { timestamp: header.max_timestamp, offset });
        }
        if self.bytes_since_entry > u64::from(index_interval_bytes) {
            let position = u32::try_from(position).expect("a segment stays below 2 GiB");
            self.offset_index.append(OffsetEntry { offset, position });
            self.largest.into_iter().for_each(|largest| self.time_index.append(largest));
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += header.size() as u64;
    }

    /// Puts the largest timestamp into the place kept for it, so that the file alone tells it.
    pub fn complete_time_index(&mut self) {
        self.largest.into_iter().for_each(|largest| self.time_index.seal(largest));
    }

    /// What the index files are to hold: of offsets, of times, of transactions.
    pub fn index_bytes(&self) -> [IndexBytes; 3] {
        let (offsets, times) = (&self.offset_index.entries, &self.time_index.entries);
        [offsets.file_bytes(), times.file_bytes(), self.aborted.borrow().entries.file_bytes()]
    }

    /// So many entries of each lie in the files now.
    pub fn mark_stored(&mut self, [offsets, times, aborted]: [u32; 3]) {
        self.offset_index.entries.mark_stored(offsets);
        self.time_index.entries.mark_stored(times);
        self.aborted.borrow_mut().entries.mark_stored(aborted);
    }

    /// Some index has entries that are not in its file.
    pub fn is_dirty(&self) -> bool {
        let (offsets, times) = (&self.offset_index.entries, &self.time_index.entries);
        offsets.is_dirty() || times.is_dirty() || self.aborted.borrow().entries.is_dirty()
    }

    /// Bytes of memory its indexes hold.
    pub fn memory(&self) -> usize {
        let (offsets, times) = (&self.offset_index.entries, &self.time_index.entries);
        offsets.memory() + times.memory() + self.aborted.borrow().entries.memory()
    }

    pub fn set_first_timestamp(&mut self, timestamp: Timestamp) {
        self.first_timestamp = Some(timestamp);
    }

    /// Milliseconds from the first batch to `timestamp`, by the records' own clock where they have one.
    fn age(&self, timestamp: Timestamp, now: Timestamp) -> i64 {
        match self.first_timestamp.filter(|first| first.0 >= 0) {
            Some(first) => timestamp.0.saturating_sub(first.0),
            None => now.0.saturating_sub(self.created.0),
        }
    }
}
