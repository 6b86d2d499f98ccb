//! Reading a segment whose files are believed, up to its end or up to the recovery point: only what its indexes do not
//! tell.

use super::config::LogConfig;
use super::error::{Doing, StorageError};
use super::index_file;
use super::names;
use super::offset_index::{OFFSET_ENTRY, OffsetEntry, OffsetIndex};
use super::scan::{Found, Scan};
use super::segment::{OnDisk, Segment};
use super::segment_file::SegmentFile;
use super::time_index::{TIME_ENTRY, TimeEntry, TimeIndex};
use super::transaction_index::{ABORTED_ENTRY, Aborted, TransactionIndex};
use crate::runtime::Directory;
use crate::types::{Offset, Timestamp};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// The segment below `below` and the offset after its last batch there; `None` when its files do not fit one another.
/// Without `below` all of the file is believed.
pub(super) async fn reopen(
    dir: &Directory,
    base: Offset,
    len: u64,
    below: Option<Offset>,
    config: &LogConfig,
    now: Timestamp,
) -> Result<Option<(Segment, Offset)>, StorageError> {
    let mut segment = Segment::new(dir, base, config, now, 0);
    (segment.size, segment.written) = (len, len);
    let file = segment.file.clone();
    let open = segment.open_mut().expect("a new segment is open");
    open.disk = OnDisk { allocated: Some(len), ..OnDisk::default() };
    if len == 0 {
        open.disk.partial = Some(Vec::new());
        return Ok(Some((segment, base)));
    }
    let bytes_max = config.segment_index_bytes;
    let limit = below.unwrap_or(Offset(i64::MAX));
    let is_below = |bytes: &_| OffsetEntry::parse_padded(base, bytes).is_some_and(|entry| entry.offset < limit);
    let Some((count, last)) = last_entry::<OFFSET_ENTRY>(&file, names::INDEX, is_below).await? else { return Ok(None) };
    open.offset_index = OffsetIndex::stored(base, bytes_max, count, last);
    let is_below = |bytes: &_| TimeEntry::parse_padded(base, bytes).is_some_and(|entry| entry.offset < limit);
    let Some((count, last)) = last_entry::<TIME_ENTRY>(&file, names::TIME_INDEX, is_below).await? else {
        return Ok(None);
    };
    open.time_index = TimeIndex::stored(base, bytes_max, count, last);
    open.largest = open.time_index.last();
    let is_below = |bytes: &_| Aborted::parse(bytes).is_some_and(|aborted| aborted.last < limit);
    if let Some((count, last)) = last_entry::<ABORTED_ENTRY>(&file, names::TRANSACTION_INDEX, is_below).await? {
        open.aborted = Rc::new(RefCell::new(TransactionIndex::stored(bytes_max, count, last)));
        file.set_aborted(count > 0);
    }

    let log = file.reader().await.doing("opening a segment")?;
    if let Found::Batch(first) = Scan::headers(log.clone(), 0, len).peek().await.doing("reading a segment")? {
        open.set_first_timestamp(first.max_timestamp);
    }
    let from = open.offset_index.last().map_or(0, |entry| u64::from(entry.position));
    if from >= len {
        return Ok(None);
    }
    let mut scan = Scan::headers(log, from, len);
    let mut end = base;
    let found = loop {
        match scan.peek().await.doing("reading a segment")? {
            Found::Batch(header) if header.base_offset >= limit => break Found::End,
            Found::Batch(header) if header.base_offset >= end => {
                open.note(&header, scan.position, config.index_interval_bytes);
                end = header.next_offset();
                scan.skip(&header);
            }
            found => break found,
        }
    };
    file.release();
    // Below the recovery point the log may have ended: the scan that follows finds out.
    let fits = found == Found::End || (below.is_some() && found == Found::Zeros);
    (segment.size, segment.written) = (scan.position, scan.position);
    Ok(fits.then_some((segment, end)))
}

async fn last_entry<const WIDTH: usize>(
    file: &SegmentFile,
    extension: &str,
    is_below: impl Fn(&[u8; WIDTH]) -> bool,
) -> Result<Option<(u32, Option<[u8; WIDTH]>)>, StorageError> {
    let index = match file.open(extension).await {
        Ok(index) => index,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).doing("opening an index"),
    };
    let mut last = index_file::last(&index).await.doing("reading an index")?;
    if last.1.is_some_and(|entry| !is_below(&entry)) {
        let found = index_file::search(&index, last.0, is_below).await.doing("reading an index")?;
        last = found.map_or((0, None), |(at, entry)| (at + 1, Some(entry)));
    }
    index.close().await.doing("closing an index")?;
    Ok(Some(last))
}
