//! Runs a cleaning on a log: reads its segments, has their batches judged on the blocking thread, writes what is left.
//!
//! No borrow of the log is held across an await, so it goes on meanwhile: whatever becomes of its segments is noticed
//! before they are replaced, and then the cleaning gives up.

use super::super::cleaned_segment::{CleanedSegment, Complete, remove_unfinished};
use super::super::config::LogConfig;
use super::super::doomed::Doomed;
use super::super::error::{Doing, StorageError};
use super::super::limits::{CLEAN_BYTES, INFLATED_BYTES_MAX, SCAN_BYTES};
use super::super::log::Log;
use super::super::names;
use super::super::scan::{Found, Scan};
use super::super::segment_file::SegmentFile;
use super::super::transaction_index::Aborted;
use super::dirt::{Dirt, Terrain, Times, dirt};
use super::filter::{Filter, LastOfProducer, Left, Rules};
use super::grouping::{Part, groups};
use super::mapping::Mapping;
use super::offset_map::{KeyHasher, OffsetMap};
use super::pace::Pace;
use crate::record::{BatchError, batches};
use crate::runtime::{self, Directory, File, random_u64};
use crate::types::{Offset, ProducerId, Timestamp};
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// What a cleaning may use.
pub struct Means<'a> {
    /// Bytes of the map of keys.
    pub map_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`.
    pub load_factor: f64,
    pub pace: &'a RefCell<Pace>,
    /// Asked now and then; once it says so, the cleaning gives up.
    pub must_stop: &'a dyn Fn() -> bool,
    /// Takes the files that were replaced, to be removed later.
    pub doomed: &'a dyn Fn(Doomed),
}

/// What a cleaning did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cleaned {
    pub from: Offset,
    pub to: Offset,
    pub bytes_before: u64,
    pub bytes_after: u64,
}

/// Why a log was not cleaned to the end.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CleanError {
    /// It is being closed, deleted, or loses segments: nothing is wrong with it.
    #[error("the log has changed meanwhile")]
    GaveUp,
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("{file}: {error}")]
    Batch { file: String, error: BatchError },
}

/// A sealed segment.
#[derive(Clone)]
struct Source {
    file: Rc<SegmentFile>,
    base: Offset,
    /// Base offset of the next segment.
    end: Offset,
    size: u64,
    generation: u32,
}

impl Source {
    fn is_gone(&self) -> bool {
        self.file.is_deleted() || self.file.generation() != self.generation
    }
}

impl Log {
    /// The sealed segments, and where the first that is not begins.
    fn sources(&self) -> (Vec<Source>, Offset) {
        let segments: Vec<_> = self.segments.iter().collect();
        let sealed = segments.iter().take_while(|segment| segment.is_sealed()).count();
        // The active segment is never sealed.
        let ends = segments[1..].iter().map(|next| next.base);
        let sources = segments[..sealed].iter().zip(ends).map(|(segment, end)| Source {
            file: segment.file.clone(),
            base: segment.base,
            end,
            size: segment.size,
            generation: segment.file.generation(),
        });
        (sources.collect(), segments[sealed].base)
    }

    fn last_of_producers(&self) -> HashMap<ProducerId, LastOfProducer> {
        let last = |(id, state): (ProducerId, &super::super::producer_state::ProducerState)| {
            (id, LastOfProducer { data: state.batches.back().map(|batch| batch.last_offset), epoch: state.epoch })
        };
        self.producers.iter().map(last).collect()
    }
}

/// How dirty the log is; `None` when its topic is not compacted.
pub async fn survey(log: &RefCell<Log>, high_watermark: Offset, now: Timestamp) -> Result<Option<Dirt>, StorageError> {
    let config = log.borrow().config.clone();
    if !config.cleanup_policy.compact {
        return Ok(None);
    }
    let (sources, end) = log.borrow().sources();
    let mut segments = Vec::with_capacity(sources.len());
    for source in &sources {
        segments.push((source.base, source.size, times(source, &config).await?));
    }
    let log = log.borrow();
    let last_stable = log.last_stable_offset(high_watermark);
    let terrain = Terrain { segments, end, log_start: log.start, last_stable, cleaned: log.cleaned };
    Ok(Some(dirt(&terrain, &config, now)))
}

/// The disk is asked for what the settings need, and once.
async fn times(source: &Source, config: &LogConfig) -> Result<Times, StorageError> {
    let mut times = Times { first: Timestamp::NONE, largest: Timestamp::NONE };
    if config.max_compaction_lag_ms < i64::MAX {
        times.first = first_timestamp(source).await?;
    }
    if config.min_compaction_lag_ms > 0 {
        times.largest = source.file.load_largest_timestamp().await?.unwrap_or(Timestamp::NONE);
        if times.largest == Timestamp::NONE {
            let modified = source.file.dir().modified(&source.file.name(names::LOG)).await;
            times.largest = modified.doing("looking at a segment's age")?;
        }
    }
    Ok(times)
}

async fn first_timestamp(source: &Source) -> Result<Timestamp, StorageError> {
    if let Some(known) = source.file.first_timestamp() {
        return Ok(known);
    }
    let file = source.file.open(names::LOG).await.doing("opening a segment")?;
    let found = Scan::headers(file.clone(), 0, source.size).peek().await.doing("reading a segment")?;
    file.close().await.doing("closing a segment")?;
    let first = match found {
        Found::Batch(header) => header.max_timestamp,
        _ => Timestamp::NONE,
    };
    source.file.set_first_timestamp(first);
    Ok(first)
}

/// Cleans up to `dirt.to`, in as many passes as the map of keys needs.
pub async fn clean(log: &RefCell<Log>, dirt: &Dirt, means: &Means<'_>) -> Result<Cleaned, CleanError> {
    let dir = log.borrow().directory().clone();
    remove_unfinished(&dir).await?;
    let bytes_before = log.borrow().size();
    let mut at = dirt.from;
    while at < dirt.to {
        let mut cleaning = Cleaning::new(log, dir.clone(), means, at, dirt.to);
        let end = match cleaning.run().await {
            Ok(end) => end,
            Err(error) => {
                // Left behind, it would be removed before the next cleaning, or at the next start.
                drop(remove_unfinished(&dir).await);
                return Err(error);
            }
        };
        assert!(end > at, "a pass maps at least one record");
        at = end;
        log.borrow_mut().cleaned = at;
    }
    let bytes_after = log.borrow().size();
    Ok(Cleaned { from: dirt.from, to: at, bytes_before, bytes_after })
}

/// One pass over the log.
struct Cleaning<'a> {
    log: &'a RefCell<Log>,
    dir: Directory,
    means: &'a Means<'a>,
    config: Arc<LogConfig>,
    from: Offset,
    to: Offset,
    now: Timestamp,
}

impl<'a> Cleaning<'a> {
    fn new(log: &'a RefCell<Log>, dir: Directory, means: &'a Means<'a>, from: Offset, to: Offset) -> Self {
        let config = log.borrow().config.clone();
        Self { log, dir, means, config, from, to, now: runtime::wall_clock() }
    }

    /// Returns where the cleaned part ends.
    async fn run(&mut self) -> Result<Offset, CleanError> {
        let (sources, _) = self.log.borrow().sources();
        let sources: Vec<_> = sources.into_iter().filter(|source| source.base < self.to).collect();
        let mapping = self.map(&sources).await?;
        let is_full = mapping.is_full();
        let (map, hasher) = mapping.finish();
        // Where nothing was left to map, as in a part without batches, there is nothing to clean.
        let Some(latest) = map.latest() else { return Ok(self.to) };
        let end = latest.plus(1);
        let rules = Rules {
            now: self.now,
            horizon: Timestamp(self.now.0.saturating_add(self.config.delete_retention_ms)),
            end: self.to,
            producers: self.log.borrow().last_of_producers(),
            inflated_bytes_max: INFLATED_BYTES_MAX,
        };
        let mut filter = Filter::new(rules, map, hasher);
        let sources: Vec<_> = sources.into_iter().filter(|source| source.base < end).collect();
        let part = |source: &Source| Part { base: source.base, end: source.end, size: source.size };
        let parts: Vec<_> = sources.iter().map(part).collect();
        for group in groups(&parts, &self.config) {
            filter = self.group(&sources[group], filter).await?;
        }
        Ok(if is_full { end } else { self.to })
    }

    async fn map(&self, sources: &[Source]) -> Result<Mapping, CleanError> {
        let keys = u64::try_from(self.to - self.from).unwrap_or(0);
        let map = OffsetMap::new(keys, self.means.map_bytes, self.means.load_factor);
        let hasher = KeyHasher::new([random_u64(), random_u64()]);
        let mut mapping = Mapping::new(map, hasher, self.from, self.to, INFLATED_BYTES_MAX);
        for source in sources.iter().filter(|source| source.end > self.from) {
            mapping.announce(self.aborted(source).await?);
            let mut chunks = Chunks::open(source).await?;
            while let Some(bytes) = chunks.next().await? {
                let len = bytes.len();
                let taken = runtime::blocking(move || {
                    let more = mapping.take(&bytes);
                    (mapping, more)
                });
                let more;
                (mapping, more) = taken.await;
                self.rest(source, len).await?;
                if !more.map_err(|error| source.broken(error))? {
                    chunks.close().await?;
                    return Ok(mapping);
                }
            }
            chunks.close().await?;
        }
        Ok(mapping)
    }

    /// Aborted transactions that touch a segment.
    async fn aborted(&self, source: &Source) -> Result<Vec<Aborted>, CleanError> {
        let plan = self.log.borrow().plan_aborted(source.base);
        match plan.at_once(source.end) {
            Some(aborted) => Ok(aborted),
            None => plan.run(source.end).await?.ok_or(CleanError::GaveUp),
        }
    }

    /// Copies what is left of some neighbours to a segment that takes their place.
    async fn group(&self, sources: &[Source], mut filter: Filter) -> Result<Filter, CleanError> {
        let Some(last_full) = sources.iter().rposition(|source| source.size > 0) else { return Ok(filter) };
        let first = &sources[0];
        let mut cleaned = CleanedSegment::create(&self.dir, first.base, &self.config, self.now).await?;
        let mut changed = sources.len() > 1;
        for (at, source) in sources.iter().enumerate() {
            filter.announce(self.aborted(source).await?);
            let mut chunks = Chunks::open(source).await?;
            while let Some(bytes) = chunks.next().await? {
                let is_last = at == last_full && chunks.is_at_end();
                let (len, before) = (bytes.len(), cleaned.size());
                let left;
                (filter, left) = judge(filter, bytes, is_last).await;
                let left = left.map_err(|error| source.broken(error))?;
                changed |= left.changed;
                for batch in &left.batches {
                    cleaned.append(batch).await?;
                }
                cleaned.note_aborted(filter.take_kept());
                self.rest(source, len + (cleaned.size() - before) as usize).await?;
            }
            chunks.close().await?;
        }
        match changed {
            true => self.replace(sources, cleaned).await?,
            false => cleaned.discard().await?,
        }
        Ok(filter)
    }

    async fn replace(&self, sources: &[Source], cleaned: CleanedSegment) -> Result<(), CleanError> {
        let last = sources.last().expect("a group has a segment");
        let modified = self.dir.modified(&last.file.name(names::LOG)).await;
        let complete = cleaned.complete(modified.ok()).await?;
        if sources.iter().any(Source::is_gone) || (self.means.must_stop)() {
            return Err(CleanError::GaveUp);
        }
        (self.means.doomed)(self.swap(sources, complete).await?);
        Ok(())
    }

    async fn swap(&self, sources: &[Source], complete: Complete) -> Result<Doomed, CleanError> {
        let old = sources.iter().map(|source| source.file.clone()).collect();
        let replacement = self.log.borrow_mut().begin_replacement(old, complete);
        let replaced = replacement.ok_or(CleanError::GaveUp)?.run().await;
        Ok(self.log.borrow_mut().finish_replacement(replaced)?)
    }

    /// Pays for bytes read and written, and lets others have their turn.
    async fn rest(&self, source: &Source, bytes: usize) -> Result<(), CleanError> {
        let pause = self.means.pace.borrow_mut().spend(bytes, runtime::now());
        runtime::sleep(pause).await;
        if source.is_gone() || (self.means.must_stop)() { Err(CleanError::GaveUp) } else { Ok(()) }
    }
}

/// Off the shard's thread: inflating and packing take their time.
async fn judge(mut filter: Filter, bytes: Bytes, is_last: bool) -> (Filter, Result<Left, BatchError>) {
    runtime::blocking(move || {
        let left = filter.clean(&bytes, is_last);
        (filter, left)
    })
    .await
}

/// A segment's batches, some at a time.
struct Chunks {
    file: File,
    name: String,
    at: u64,
    end: u64,
}

impl Chunks {
    async fn open(source: &Source) -> Result<Self, CleanError> {
        // A handle of its own: it must not be taken from readers, nor kept for them.
        let name = source.file.name(names::LOG);
        let file = match source.file.dir().open_file(&name, runtime::OpenMode::Read).await {
            Err(_) if source.is_gone() => return Err(CleanError::GaveUp),
            file => file.doing("opening a segment")?,
        };
        Ok(Self { file, name, at: 0, end: source.size })
    }

    fn is_at_end(&self) -> bool {
        self.at == self.end
    }

    /// Whole batches, at least one; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, CleanError> {
        if self.is_at_end() {
            return Ok(None);
        }
        let mut wanted = CLEAN_BYTES;
        loop {
            let len = (self.end - self.at).min(wanted as u64) as usize;
            let bytes = self.file.read_at(self.at, len).await.doing("reading a segment")?;
            let mut whole = 0;
            let mut needed = None;
            for batch in batches(&bytes) {
                match batch {
                    Ok(batch) => whole += batch.bytes.len(),
                    Err(BatchError::Incomplete { needed: size }) => needed = Some(size),
                    Err(error) => return Err(self.broken(error)),
                }
            }
            if whole > 0 {
                self.at += whole as u64;
                return Ok(Some(bytes.slice(..whole)));
            }
            match needed {
                Some(size) if size > len && self.at + size as u64 <= self.end => wanted = size,
                _ => return Err(self.broken(BatchError::Incomplete { needed: len })),
            }
        }
    }

    async fn close(self) -> Result<(), CleanError> {
        Ok(self.file.close().await.doing("closing a segment")?)
    }

    fn broken(&self, error: BatchError) -> CleanError {
        CleanError::Batch { file: format!("{} at {}", self.name, self.at), error }
    }
}

impl Source {
    fn broken(&self, error: BatchError) -> CleanError {
        CleanError::Batch { file: self.file.name(names::LOG), error }
    }
}

const _: () = assert!(CLEAN_BYTES <= SCAN_BYTES);
