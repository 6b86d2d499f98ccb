//! Opening a log: which of its files are believed, which are read through, and which go.

use super::checkpoint::read_text;
use super::config::LogConfig;
use super::error::{Doing, OpenError, StorageError};
use super::footing::Footing;
use super::leader_epoch::LeaderEpochs;
use super::leftovers::{self, remove};
use super::limits::READ_AHEAD_BYTES_DEFAULT;
use super::log::{Jobs, Log, Opening};
use super::names;
use super::notes::Noted;
use super::offset_index::OFFSET_ENTRY;
use super::open_files::OpenFiles;
use super::producer_snapshot;
use super::read_ahead::ReadAhead;
use super::recovery::{self, Ending, Recovered, Recovery};
use super::reopen::reopen;
use super::replay::{Replay, snapshots};
use super::segment::Segment;
use super::segments::Segments;
use super::tail::Tail;
use super::time_index::TIME_ENTRY;
use crate::limits::OPEN_FILES_DEFAULT;
use crate::runtime::{Directory, Entry};
use crate::types::Offset;
use std::rc::Rc;
use std::sync::Arc;

pub(super) async fn open(dir: Directory, config: Arc<LogConfig>, how: Opening, noted: Noted) -> Result<Log, OpenError> {
    let (entries, deleted) = leftovers::clear(&dir).await?;
    let files = SegmentFiles::group(&entries);
    remove_orphans(&dir, &entries, &files).await?;
    let (segments, end) = (Vec::new(), how.log_start);
    let mut loader = Loader { dir, config, how, noted, entries, segments, end, known: None };
    let mut replay = loader.load(&files).await?;
    if loader.end < how.log_start {
        loader.start_over().await?;
        replay.notes.clear();
    }
    loader.remove_stray_snapshots().await?;
    let mut log = loader.finish(replay).await?;
    log.found = deleted;
    Ok(log)
}

/// Whether a log's directory holds anything of a log.
pub async fn has_segments(dir: &Directory) -> Result<bool, StorageError> {
    let entries = dir.list().await.doing("listing a log's directory")?;
    Ok(entries.iter().any(|entry| names::parse_file(&entry.name).is_some()))
}

/// One segment's files as the directory lists them.
#[derive(Clone, Copy)]
struct SegmentFiles {
    base: Offset,
    len: u64,
    index: Option<u64>,
    time_index: Option<u64>,
    /// There is a transaction index, so it has entries.
    aborted: bool,
}

impl SegmentFiles {
    fn group(entries: &[Entry]) -> Vec<Self> {
        let files = || entries.iter().filter_map(|entry| Some((names::parse_file(&entry.name)?, entry.len)));
        let len_of =
            |base, wanted| files().find(|((at, extension), _)| *at == base && *extension == wanted).map(|(_, len)| len);
        let logs = files().filter(|((_, extension), _)| *extension == names::LOG);
        let mut segments: Vec<_> = logs
            .map(|((base, _), len)| {
                let (index, time_index) = (len_of(base, names::INDEX), len_of(base, names::TIME_INDEX));
                let aborted = len_of(base, names::TRANSACTION_INDEX).is_some_and(|len| len > 0);
                Self { base, len, index, time_index, aborted }
            })
            .collect();
        segments.sort_unstable_by_key(|files| files.base);
        segments
    }

    /// Its indexes can be those of a sealed segment.
    fn is_sound(&self) -> bool {
        let whole = |len: Option<u64>, width: usize| len.is_some_and(|len| len.is_multiple_of(width as u64));
        self.len == 0 || (whole(self.index, OFFSET_ENTRY) && whole(self.time_index, TIME_ENTRY))
    }
}

async fn remove_orphans(dir: &Directory, entries: &[Entry], files: &[SegmentFiles]) -> Result<(), StorageError> {
    for entry in entries {
        let Some((base, extension)) = names::parse_file(&entry.name) else { continue };
        let is_index = [names::INDEX, names::TIME_INDEX, names::TRANSACTION_INDEX].contains(&extension);
        if is_index && files.binary_search_by_key(&base, |files| files.base).is_err() {
            remove(dir, &entry.name).await?;
        }
    }
    Ok(())
}

/// A log half open.
struct Loader {
    dir: Directory,
    config: Arc<LogConfig>,
    how: Opening,
    noted: Noted,
    entries: Vec<Entry>,
    segments: Vec<Segment>,
    end: Offset,
    /// The recovery point, and its segment and position, when the scan could begin there.
    known: Option<(Offset, Offset, u64)>,
}

impl Loader {
    async fn load(&mut self, files: &[SegmentFiles]) -> Result<Replay, OpenError> {
        let Some((last, before)) = files.split_last() else {
            self.segments.push(self.fresh(self.how.log_start));
            return Ok(self.replay(None, self.end, self.end).await?);
        };
        let epochs = self.read_epochs().await?;
        let doubtful = match self.how.clean {
            true => before.len(),
            false => files.partition_point(|file| file.base <= self.recovery_point()).saturating_sub(1),
        };
        let sound = self.believe(&before[..doubtful]).await?;
        let (first, known) = (files[0].base, files.get(sound).map_or(last.base, |file| file.base));
        let reopened = match self.how.clean && sound == before.len() {
            true => reopen(&self.dir, last.base, last.len, None, &self.config, self.how.now).await?,
            false => None,
        };
        if let Some((segment, end)) = reopened {
            self.segments.push(segment);
            self.end = end;
            let mut replay = self.replay(epochs, first, end).await?;
            replay.catch_up(&self.segments, end).await?;
            return Ok(replay);
        }
        let resumed = match files.get(sound) {
            Some(file) if sound == doubtful => self.resume(file).await?,
            _ => None,
        };
        let known = resumed.as_ref().map_or(known, |(_, end)| *end);
        let mut replay = self.replay(epochs, first, known).await?;
        let resumed = match resumed {
            None => {
                replay.catch_up(&self.segments, known).await?;
                None
            }
            Some((segment, end)) => {
                self.segments.push(segment);
                replay.catch_up(&self.segments, known).await?;
                self.segments.pop().map(|segment| (segment, end))
            }
        };
        self.recover(&files[sound..], resumed, &mut replay).await?;
        Ok(replay)
    }

    async fn replay(
        &self,
        epochs: Option<LeaderEpochs>,
        first: Offset,
        offset: Offset,
    ) -> Result<Replay, StorageError> {
        let replay = Replay::load(&self.dir, &self.entries, epochs, first, offset).await?;
        Ok(Replay { notes: self.noted.notes_again(), ..replay })
    }

    /// The recovery point as far as a snapshot bears it out: each is written when all below it is synced. The checkpoint
    /// file may speak of another log, of a topic of the same name that was deleted since.
    fn recovery_point(&self) -> Offset {
        let below = snapshots(&self.entries).into_iter().rev().find(|(at, _)| *at <= self.how.recovery_point);
        below.map_or(Offset::ZERO, |(at, _)| at)
    }

    /// The part of a segment that lies below the recovery point, which is believed.
    async fn resume(&mut self, file: &SegmentFiles) -> Result<Option<(Segment, Offset)>, StorageError> {
        let point = self.recovery_point();
        if self.how.clean || point <= file.base {
            return Ok(None);
        }
        let resumed = reopen(&self.dir, file.base, file.len, Some(point), &self.config, self.how.now).await?;
        if let Some((segment, end)) = &resumed {
            self.known = Some((*end, file.base, segment.size));
        }
        Ok(resumed)
    }

    async fn read_epochs(&self) -> Result<Option<LeaderEpochs>, StorageError> {
        let text = read_text(&self.dir, names::LEADER_EPOCHS).await?;
        Ok(text.and_then(|text| LeaderEpochs::parse(&text).ok()))
    }

    /// Takes sealed segments as they are; one whose indexes are missing gets new ones. Returns how many segments proved
    /// good: all, or those before a damaged one.
    async fn believe(&mut self, files: &[SegmentFiles]) -> Result<usize, OpenError> {
        for (at, file) in files.iter().enumerate() {
            if file.is_sound() {
                let segment = Segment::sealed(&self.dir, file.base, file.len);
                segment.file.set_aborted(file.aborted);
                self.segments.push(segment);
                continue;
            }
            let recovered = recovery::recover(&self.recovery(), file.base, file.len, None, None).await?;
            if recovered.ending != Ending::Clean {
                recovered.leave().await?;
                return Ok(at);
            }
            let mut segment = recovered.settle().await?;
            segment.seal_at_once().await?;
            segment.file.set_aborted(file.aborted);
            self.segments.push(segment);
        }
        Ok(files.len())
    }

    /// Reads segments through, until one does not lead to the next: what follows that one goes.
    async fn recover(
        &mut self,
        files: &[SegmentFiles],
        mut resumed: Option<(Segment, Offset)>,
        replay: &mut Replay,
    ) -> Result<(), OpenError> {
        for (at, file) in files.iter().enumerate() {
            let known = resumed.take();
            let recovered = recovery::recover(&self.recovery(), file.base, file.len, known, Some(replay)).await?;
            let Recovered { end, ending, .. } = recovered;
            self.end = end;
            let leads_on = |next: &SegmentFiles| match ending {
                Ending::Clean => end <= next.base,
                Ending::Zeros => end == next.base,
                Ending::Torn => false,
            };
            match files.get(at + 1) {
                Some(next) if leads_on(next) => {
                    let mut segment = recovered.settle().await?;
                    segment.seal_at_once().await?;
                    self.segments.push(segment);
                    self.write_snapshot(next.base, replay).await?;
                }
                following => {
                    if following.is_some() {
                        self.remove_segments(&files[at + 1..]).await?;
                    }
                    let mut segment = recovered.settle().await?;
                    // Kafka may have left indexes here that are sized ahead. When many logs are opened that has time.
                    if !self.how.synced_later {
                        segment.close_at_once().await?;
                    }
                    self.segments.push(segment);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn recovery(&self) -> Recovery<'_> {
        let Opening { now, synced_later, .. } = self.how;
        Recovery { dir: &self.dir, config: &self.config, now, synced_later, noted: &self.noted }
    }

    /// A segment that was rolled but not sealed lacks the snapshot at its end.
    async fn write_snapshot(&self, at: Offset, replay: &Replay) -> Result<(), StorageError> {
        let bytes = producer_snapshot::write(&replay.producers);
        self.dir.write_whole(&names::file(at, names::SNAPSHOT), &bytes).await.doing("writing a producer snapshot")
    }

    /// Durably, before the damaged one is cut: from then on what a crash had left of them would seem to follow it, with a
    /// hole between.
    async fn remove_segments(&mut self, files: &[SegmentFiles]) -> Result<(), StorageError> {
        tracing::warn!(log = %self.dir.path().display(), from = %self.end, "removing what follows a damaged segment");
        self.remove_if(|base| files.iter().any(|file| file.base == base)).await?;
        self.dir.sync().await.doing("syncing a log's directory")
    }

    /// Removes the files of the segments that `goes` picks by their base offsets.
    async fn remove_if(&mut self, goes: impl Fn(Offset) -> bool) -> Result<(), StorageError> {
        let is_going = |entry: &Entry| names::parse_file(&entry.name).is_some_and(|(base, _)| goes(base));
        let (going, staying) = std::mem::take(&mut self.entries).into_iter().partition(is_going);
        self.entries = staying;
        let going: Vec<Entry> = going;
        for entry in going {
            remove(&self.dir, &entry.name).await?;
        }
        Ok(())
    }

    /// The log ends below the offset it has been said to start at: nothing in it may be read any more.
    async fn start_over(&mut self) -> Result<(), StorageError> {
        self.remove_if(|_| true).await?;
        self.segments = vec![self.fresh(self.how.log_start)];
        self.end = self.how.log_start;
        Ok(())
    }

    /// Snapshots past the end, and those that belong to no segment but the latest, serve nobody.
    async fn remove_stray_snapshots(&mut self) -> Result<(), StorageError> {
        let snapshots = snapshots(&self.entries);
        let latest = snapshots.iter().map(|(at, _)| *at).filter(|at| *at <= self.end).max();
        for (at, name) in snapshots {
            let is_base = self.segments.iter().any(|segment| segment.base == at);
            if at > self.end || !(is_base || Some(at) == latest) {
                remove(&self.dir, name).await?;
            }
        }
        Ok(())
    }

    fn fresh(&self, base: Offset) -> Segment {
        Segment::new(&self.dir, base, &self.config, self.how.now, 0)
    }

    async fn finish(self, replay: Replay) -> Result<Log, StorageError> {
        let Replay { mut epochs, mut producers, notes, .. } = replay;
        let start = self.how.log_start.max(self.segments[0].base);
        epochs.truncate_from_end(self.end);
        epochs.truncate_from_start(start);
        // The new epochs are not in their file until a later job writes it.
        let keeps_point = self.how.synced_later && epochs.is_dirty();
        if !self.how.clean && !keeps_point && epochs.take_dirty() {
            // The recovery point may be recorded from now on: a later scan would not find them all again.
            let text = epochs.text();
            self.dir.write_whole(names::LEADER_EPOCHS, text.as_bytes()).await.doing("writing the leader epochs")?;
        }
        producers.refresh(self.how.now);
        let active = self.segments.last().map_or(self.end, |segment| segment.base);
        let known = self.known.filter(|(point, base, _)| *base == active && *point <= self.end);
        let (point, marked) = match known {
            Some((point, _, position)) => (point, position),
            None if keeps_point => (self.recovery_point().min(self.end), 0),
            None => (active, 0),
        };
        let log = Log {
            recovery_point: if self.how.clean { self.end } else { point },
            marked: if self.how.clean { self.segments.last().map_or(0, |segment| segment.size) } else { marked },
            marks: Vec::new(),
            notes,
            cuts: 0,
            segments: Segments::new(self.segments),
            tail: Tail::new(self.end),
            epochs,
            producers,
            cleaned: Offset::ZERO,
            start,
            end: self.end,
            written: self.end,
            stable: self.end,
            flushed: self.end,
            read_ahead: ReadAhead::new(READ_AHEAD_BYTES_DEFAULT),
            open_files: OpenFiles::new(OPEN_FILES_DEFAULT),
            submitted: self.end,
            jobs: Jobs::default(),
            failed: None,
            found: Vec::new(),
            dir: self.dir,
            footing: Rc::new(Footing::firm()),
            config: self.config,
        };
        log.check();
        Ok(log)
    }
}
