//! Index files on disk: searched block by block, written whole.

use super::error::{Doing, StorageError};
use super::limits::BLOCK;
use crate::runtime::{Directory, File, OpenMode};
use std::io;

/// A window of entries, as many as a block holds.
struct Windows<'a, const WIDTH: usize> {
    file: &'a File,
    count: u32,
}

impl<const WIDTH: usize> Windows<'_, WIDTH> {
    const ENTRIES: u32 = BLOCK as u32 / WIDTH as u32;

    fn len(&self) -> u32 {
        self.count.div_ceil(Self::ENTRIES)
    }

    async fn read(&self, window: u32) -> io::Result<Vec<[u8; WIDTH]>> {
        let first = window * Self::ENTRIES;
        let entries = Self::ENTRIES.min(self.count - first);
        let bytes = self.file.read_at(u64::from(first) * WIDTH as u64, entries as usize * WIDTH).await?;
        Ok(bytes.as_chunks().0.to_vec())
    }
}

/// The last of the first `count` entries for which `is_at_most` holds, given that it holds for a prefix of them, and its
/// number.
pub(super) async fn search<const WIDTH: usize>(
    file: &File,
    count: u32,
    is_at_most: impl Fn(&[u8; WIDTH]) -> bool,
) -> io::Result<Option<(u32, [u8; WIDTH])>> {
    let windows = Windows::<WIDTH> { file, count };
    let (mut low, mut high) = (0, windows.len());
    let mut found = None;
    while low < high {
        let middle = low + (high - low) / 2;
        let entries = windows.read(middle).await?;
        match entries.partition_point(&is_at_most).checked_sub(1) {
            Some(at) => {
                found = Some((middle * Windows::<WIDTH>::ENTRIES + at as u32, entries[at]));
                low = middle + 1;
            }
            None => high = middle,
        }
    }
    Ok(found)
}

/// How many entries the file holds before any zero padding (Kafka sizes the indexes of active segments ahead), and the
/// last of them.
pub(super) async fn last<const WIDTH: usize>(file: &File) -> io::Result<(u32, Option<[u8; WIDTH]>)> {
    let count = u32::try_from(file.len().await? / WIDTH as u64).unwrap_or(u32::MAX);
    // Only padding is all zeros: the first entry of an index comes after index.interval.bytes of records.
    let is_entry = |entry: &[u8; WIDTH]| entry.iter().any(|&b| b != 0);
    let windows = Windows::<WIDTH> { file, count };
    let Some(last_window) = windows.len().checked_sub(1) else { return Ok((0, None)) };
    if let Some(last) = windows.read(last_window).await?.last().filter(|entry| is_entry(entry)) {
        return Ok((count, Some(*last)));
    }
    Ok(match search(file, count, is_entry).await? {
        Some((at, last)) => (at + 1, Some(last)),
        None => (0, None),
    })
}

/// What an index file is to hold: the first `kept` bytes it has, and then `added`.
#[derive(Debug)]
pub(super) struct IndexBytes {
    pub kept: u64,
    pub added: bytes::Bytes,
    /// How many entries that makes.
    pub entries: u32,
}

/// Brings an index file to its content. What it keeps is not written again but for its last block, and that with the same
/// bytes: entries that have been synced outlive a crash in the middle of this.
pub(super) async fn write(dir: &Directory, name: &str, index: &IndexBytes, durable: bool) -> Result<(), StorageError> {
    let mode = OpenMode::Write { create: true, synced: false };
    let file = dir.open_file(name, mode).await.doing("opening an index")?;
    let from = index.kept - index.kept % BLOCK;
    let len = index.kept + index.added.len() as u64;
    if file.len().await.doing("reading an index")? < index.kept {
        return Err(StorageError::Damaged { file: name.into(), position: index.kept });
    }
    if len > from {
        let mut buffer = file.allocate((len - from).next_multiple_of(file.alignment() as u64) as usize);
        let kept = file.read_at(from, (index.kept - from) as usize).await.doing("reading an index")?;
        buffer.zero_from(0);
        buffer[..kept.len()].copy_from_slice(&kept);
        let added = (index.kept - from) as usize;
        buffer[added..added + index.added.len()].copy_from_slice(&index.added);
        file.pre_allocate(from + buffer.len() as u64).await.doing("allocating an index")?;
        file.write_at(buffer, from).await.doing("writing an index")?;
    }
    file.truncate(len).await.doing("cutting an index")?;
    if durable {
        file.sync().await.doing("syncing an index")?;
    }
    file.close().await.doing("closing an index")
}
