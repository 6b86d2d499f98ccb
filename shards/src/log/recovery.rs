//! Reading a segment whose files may not be believed: every batch is checked, indexes are built anew, and what follows
//! the last good batch is cut off.

use super::config::LogConfig;
use super::error::{Doing, OpenError, StorageError};
use super::names;
use super::notes::Noted;
use super::replay::Replay;
use super::scan::{Found, Scan};
use super::segment::{OnDisk, Segment};
use super::transaction_index::ABORTED_ENTRY;
use crate::record::{BatchError, BatchHeader};
use crate::runtime::{Directory, File, OpenMode};
use crate::types::{Offset, Timestamp};
use std::io;

/// A segment read through, its file as it was found.
pub(super) struct Recovered {
    segment: Segment,
    file: File,
    len: u64,
    synced_later: bool,
    /// The offset after the last batch.
    pub end: Offset,
    pub ending: Ending,
}

/// What followed the last good batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// The end of the file.
    Clean,
    /// Preallocated bytes: nothing was there, or it was lost.
    Zeros,
    /// Something that is no batch, or not the next one.
    Torn,
}

/// How segments are recovered.
pub(super) struct Recovery<'a> {
    pub dir: &'a Directory,
    pub config: &'a LogConfig,
    pub now: Timestamp,
    /// The whole file system is synced afterwards.
    pub synced_later: bool,
    pub noted: &'a Noted,
}

/// Reads the segment at `base`, whose file has `len` bytes, and tells `replay` of every batch. What is `known` of it
/// already, up to an offset, is not read again.
pub(super) async fn recover(
    how: &Recovery<'_>,
    base: Offset,
    len: u64,
    known: Option<(Segment, Offset)>,
    mut replay: Option<&mut Replay>,
) -> Result<Recovered, OpenError> {
    let Recovery { dir, config, now, synced_later, noted } = *how;
    let (mut segment, mut end) = known.unwrap_or_else(|| (Segment::new(dir, base, config, now, 0), base));
    let mode = OpenMode::Write { create: false, synced: false };
    let file = dir.open_file(&segment.file.name(names::LOG), mode).await.doing("opening a segment")?;
    match (&replay, segment.size) {
        (None, _) => {}
        (Some(_), 0) => forget_aborted(&segment).await?,
        (Some(_), _) => cut_aborted(&segment).await?,
    }
    let mut scan = Scan::whole(file.clone(), segment.size, len);
    let ending = loop {
        let believed = noted.believed(&scan, base, end).await.doing("reading a segment")?;
        for header in &believed {
            end = take(&mut segment, &mut scan, header, config, replay.as_deref_mut()).await?;
        }
        let header = match scan.peek().await.doing("reading a segment")? {
            Found::Batch(header) => header,
            Found::End => break Ending::Clean,
            Found::Zeros => break Ending::Zeros,
            Found::Torn(BatchError::OldFormat(magic)) => {
                // A batch torn within its first bytes looks like this too.
                if scan.is_old_message().await.doing("reading a segment")? {
                    return Err(OpenError::OldFormat { file: segment.file.name(names::LOG), magic });
                }
                break Ending::Torn;
            }
            Found::Torn(_) => break Ending::Torn,
        };
        if !follows(&header, base, end) || !scan.check_crc(&header).await.doing("reading a segment")? {
            break Ending::Torn;
        }
        end = take(&mut segment, &mut scan, &header, config, replay.as_deref_mut()).await?;
    };
    Ok(Recovered { segment, file, len, synced_later, end, ending })
}

impl Recovered {
    /// The segment, open, its indexes in memory; its file ends with its last batch from now on. Segments that must not
    /// follow it are gone before: it is by its ending that a start knows them.
    pub async fn settle(self) -> Result<Segment, StorageError> {
        let Self { mut segment, file, len, synced_later, ending, .. } = self;
        cut(&file, &segment, len, ending).await?;
        if !synced_later {
            // What was found need not have been synced, and whoever opens the log promises all of it from now on.
            file.sync().await.doing("syncing a segment")?;
        }
        segment.written = segment.size;
        let disk = OnDisk { allocated: Some(segment.size), ..OnDisk::default() };
        segment.open_mut().expect("a new segment is open").disk = disk;
        file.close().await.doing("closing a segment")?;
        Ok(segment)
    }

    /// Nothing is done to it.
    pub async fn leave(self) -> Result<(), StorageError> {
        self.file.close().await.doing("closing a segment")
    }
}

/// The batch at the scan's position is good. Returns the offset after it.
async fn take(
    segment: &mut Segment,
    scan: &mut Scan,
    header: &BatchHeader,
    config: &LogConfig,
    replay: Option<&mut Replay>,
) -> Result<Offset, StorageError> {
    segment.append(header, config.index_interval_bytes);
    if let Some(replay) = replay {
        replay.notes.found(segment.base, scan.position, header);
        if let Some(aborted) = replay.batch(scan, header).await? {
            segment.note_aborted(aborted);
        }
    }
    scan.skip(header);
    Ok(header.next_offset())
}

/// The transaction index is made anew, and only when there is something in it.
async fn forget_aborted(segment: &Segment) -> Result<(), StorageError> {
    match segment.file.dir().remove_file(&segment.file.name(names::TRANSACTION_INDEX)).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.doing("removing a transaction index"),
    }
}

/// Only what lies below the place where the scan begins stays in the transaction index; the scan adds the rest anew.
async fn cut_aborted(segment: &Segment) -> Result<(), StorageError> {
    let kept = segment.open().map_or(0, |open| open.aborted.borrow().entries.len_stored());
    if kept == 0 {
        return forget_aborted(segment).await;
    }
    let mode = OpenMode::Write { create: false, synced: false };
    let name = segment.file.name(names::TRANSACTION_INDEX);
    let file = segment.file.dir().open_file(&name, mode).await.doing("opening a transaction index")?;
    file.truncate(u64::from(kept) * ABORTED_ENTRY as u64).await.doing("cutting a transaction index")?;
    file.close().await.doing("closing a transaction index")
}

/// Offsets lie outside the checksum: they must grow, though compaction may have left gaps.
pub(super) fn follows(header: &BatchHeader, base: Offset, end: Offset) -> bool {
    header.base_offset >= end && header.last_offset() - base <= i64::from(i32::MAX)
}

async fn cut(file: &File, segment: &Segment, len: u64, ending: Ending) -> Result<(), StorageError> {
    if segment.size == len {
        return Ok(());
    }
    if ending == Ending::Torn {
        let (name, bytes) = (segment.file.name(names::LOG), len - segment.size);
        tracing::warn!(log = %segment.file.dir().path().display(), name, bytes, "cutting a torn tail off");
    }
    file.truncate(segment.size).await.doing("cutting a segment")
}
