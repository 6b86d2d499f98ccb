//! Files a crash leaves behind in a log's directory, and what becomes of them before the log is opened (Kafka's rules).
//!
//! `.deleted` goes, when there is time. `.cleaned` goes, and with it every `.swap` at or above the lowest `.cleaned` base: that cleaning was
//! not complete. Any other `.swap` is complete: the segments it covers go, then it takes its name.
//!
//! The directory is synced between steps of which a later one must not outlive an earlier one, for a power cut may undo
//! any of them:
//! ```text
//!  incomplete .swap goes      before the .cleaned that says so
//!  covered segments go        before the .swap that covers them has another name
//!  .log.swap gets its name    before its indexes: beside it, theirs are taken for those of what it covers
//! ```

use super::error::{Doing, StorageError};
use super::names;
use super::scan::{Found, Scan};
use crate::runtime::{Directory, Entry, OpenMode};
use crate::types::Offset;

/// The aside file of an interrupted replacement.
const TEMPORARY: &str = ".tmp";

/// Clears the leftovers away and lists what remains, without the files to be removed later, whose names come second.
pub(super) async fn clear(dir: &Directory) -> Result<(Vec<Entry>, Vec<String>), StorageError> {
    let (entries, deleted) = list(dir).await?;
    let is_leftover = |name: &str| [names::CLEANED, names::SWAP, TEMPORARY].iter().any(|suffix| name.ends_with(suffix));
    if !entries.iter().any(|entry| is_leftover(&entry.name)) {
        return Ok((entries, deleted));
    }
    let cleaned = entries.iter().filter(|entry| entry.name.ends_with(names::CLEANED));
    let incomplete = cleaned.filter_map(|entry| base(&entry.name)).min();
    let is_complete = |entry: &&Entry| {
        let swap_base = base(&entry.name).filter(|_| entry.name.ends_with(names::SWAP));
        swap_base.is_some_and(|base| incomplete.is_none_or(|incomplete| base < incomplete))
    };
    let leftovers = entries.iter().filter(|entry| is_leftover(&entry.name));
    let (swaps, void): (Vec<_>, Vec<_>) = leftovers.partition(is_complete);
    let (cleaned, void): (Vec<_>, Vec<_>) = void.into_iter().partition(|entry| entry.name.ends_with(names::CLEANED));
    remove_all(dir, &void).await?;
    remove_all(dir, &cleaned).await?;
    replace(dir, &entries, &swaps).await?;
    list(dir).await
}

async fn list(dir: &Directory) -> Result<(Vec<Entry>, Vec<String>), StorageError> {
    let entries = dir.list().await.doing("listing a log's directory")?;
    let (deleted, entries) = entries.into_iter().partition(|entry| entry.name.ends_with(names::DELETED));
    let deleted: Vec<Entry> = deleted;
    Ok((entries, deleted.into_iter().map(|entry| entry.name).collect()))
}

/// Removes some files durably.
async fn remove_all(dir: &Directory, entries: &[&Entry]) -> Result<(), StorageError> {
    for entry in entries {
        remove(dir, &entry.name).await?;
    }
    if entries.is_empty() { Ok(()) } else { sync(dir).await }
}

async fn sync(dir: &Directory) -> Result<(), StorageError> {
    dir.sync().await.doing("syncing a log's directory")
}

pub(super) async fn remove(dir: &Directory, name: &str) -> Result<(), StorageError> {
    tracing::info!(log = %dir.path().display(), name, "removing a file that is no part of the log");
    dir.remove_file(name).await.doing("removing a leftover file")
}

fn base(name: &str) -> Option<Offset> {
    names::parse_file(name).map(|(base, _)| base)
}

/// Complete replacements take the place of what they cover.
async fn replace(dir: &Directory, entries: &[Entry], swaps: &[&Entry]) -> Result<(), StorageError> {
    let mut covered: Option<(Offset, Offset)> = None;
    for swap in swaps.iter().filter(|swap| is_log(swap)) {
        let Some(base) = base(&swap.name) else { continue };
        let end = end_offset(dir, swap, base).await?;
        let (first, last) = covered.unwrap_or((base, end));
        covered = Some((first.min(base), last.max(end)));
    }
    let is_covered = |entry: &&Entry| {
        let within = covered.zip(base(&entry.name)).is_some_and(|((first, end), base)| (first..end).contains(&base));
        within && ![names::SWAP, names::CLEANED].iter().any(|suffix| entry.name.ends_with(suffix))
    };
    let originals: Vec<_> = entries.iter().filter(is_covered).collect();
    remove_all(dir, &originals).await?;
    let (logs, indexes): (Vec<_>, Vec<_>) = swaps.iter().partition(|swap| is_log(swap));
    rename_all(dir, &logs).await?;
    rename_all(dir, &indexes).await
}

/// Gives replacements their names, durably.
async fn rename_all(dir: &Directory, swaps: &[&Entry]) -> Result<(), StorageError> {
    for swap in swaps {
        let name = swap.name.strip_suffix(names::SWAP).expect("swaps end so");
        dir.rename(&swap.name, name).await.doing("renaming a cleaned segment")?;
    }
    if swaps.is_empty() { Ok(()) } else { sync(dir).await }
}

fn is_log(swap: &Entry) -> bool {
    swap.name.ends_with(".log.swap")
}

/// The offset after the last batch of a replacement.
async fn end_offset(dir: &Directory, swap: &Entry, base: Offset) -> Result<Offset, StorageError> {
    let file = dir.open_file(&swap.name, OpenMode::Read).await.doing("opening a cleaned segment")?;
    let mut scan = Scan::headers(file.clone(), 0, swap.len);
    let mut end = base;
    while let Found::Batch(header) = scan.peek().await.doing("reading a cleaned segment")? {
        end = header.next_offset();
        scan.skip(&header);
    }
    file.close().await.doing("closing a cleaned segment")?;
    Ok(end)
}
