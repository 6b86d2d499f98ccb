//! Names of the files and directories of a log, as Kafka gives and reads them.

use crate::types::{Offset, PartitionIndex};

pub const LOG: &str = "log";
pub const INDEX: &str = "index";
pub const TIME_INDEX: &str = "timeindex";
pub const TRANSACTION_INDEX: &str = "txnindex";
pub const SNAPSHOT: &str = "snapshot";

/// Ends the name of a file that is about to be unlinked.
pub const DELETED: &str = ".deleted";
/// A cleaner's output, not complete.
pub const CLEANED: &str = ".cleaned";
/// A cleaner's output, complete: it replaces the segments it covers.
pub const SWAP: &str = ".swap";

pub const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";
pub const PARTITION_METADATA: &str = "partition.metadata";

const DELETE_DIRECTORY: &str = "-delete";
const FUTURE_DIRECTORY: &str = "-future";
/// The longest file name of the usual file systems.
const NAME_BYTES_MAX: usize = 255;

/// `%020d.<extension>`.
pub fn file(base: Offset, extension: &str) -> String {
    format!("{:020}.{extension}", base.0)
}

/// Added to a file that is about to be unlinked: no other file must take its name in the meantime, as a segment that is
/// compacted anew would.
pub fn deleted_suffix(unique: u64) -> String {
    format!(".{unique:016x}{DELETED}")
}

/// A segment file's base offset and what follows the first dot; `None` for any other file.
pub fn parse_file(name: &str) -> Option<(Offset, &str)> {
    let (digits, rest) = name.split_once('.')?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((Offset(digits.parse().ok()?), rest))
}

/// `<topic>-<partition>`.
pub fn directory(topic: &str, partition: PartitionIndex) -> String {
    format!("{topic}-{partition}")
}

/// The topic and partition of a log directory's name; `None` for one that is being deleted or is no log.
pub fn parse_directory(name: &str) -> Option<(&str, PartitionIndex)> {
    let (topic, partition) = name.rsplit_once('-')?;
    let digits = !partition.is_empty() && partition.bytes().all(|b| b.is_ascii_digit());
    if topic.is_empty() || !digits {
        return None;
    }
    Some((topic, PartitionIndex(partition.parse().ok()?)))
}

/// `<topic>-<partition>.<32 hex digits>-delete`, cut in the topic where it would be too long for a file name.
pub fn deleted_directory(topic: &str, partition: PartitionIndex, unique: u128) -> String {
    let suffix = format!("-{partition}.{unique:032x}{DELETE_DIRECTORY}");
    let room = NAME_BYTES_MAX.saturating_sub(suffix.len()).min(topic.len());
    let cut = (0..=room).rev().find(|&at| topic.is_char_boundary(at)).unwrap_or(0);
    format!("{}{suffix}", &topic[..cut])
}

/// `<topic>-<partition>.<32 hex digits>-future`: a log on its way to another log directory. `None` when that is too long
/// for a file name.
pub fn future_directory(topic: &str, partition: PartitionIndex, unique: u128) -> Option<String> {
    let name = format!("{topic}-{partition}.{unique:032x}{FUTURE_DIRECTORY}");
    (name.len() <= NAME_BYTES_MAX).then_some(name)
}

/// The topic and partition of a log on its way to another log directory.
pub fn parse_future_directory(name: &str) -> Option<(&str, PartitionIndex)> {
    let (partition, _) = name.strip_suffix(FUTURE_DIRECTORY)?.rsplit_once('.')?;
    parse_directory(partition)
}

/// A directory that was renamed to be deleted.
pub fn is_deleted_directory(name: &str) -> bool {
    name.ends_with(DELETE_DIRECTORY) && name.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_file_is_named_by_twenty_digits() {
        assert_eq!(file(Offset(42), LOG), "00000000000000000042.log");
        assert_eq!(parse_file("00000000000000000042.timeindex"), Some((Offset(42), TIME_INDEX)));
        assert_eq!(parse_file("00000000000000000042.log.swap"), Some((Offset(42), "log.swap")));
        let deleted = file(Offset(42), LOG) + &deleted_suffix(7);
        assert_eq!(deleted, "00000000000000000042.log.0000000000000007.deleted");
        assert_ne!(parse_file(&deleted), Some((Offset(42), LOG)));
    }

    #[test]
    fn other_files_are_no_segment_files() {
        for name in
            ["leader-epoch-checkpoint", "partition.metadata", ".log", "-1.log", "12", "99999999999999999999.log"]
        {
            assert_eq!(parse_file(name), None, "{name}");
        }
    }

    #[test]
    fn a_topic_may_have_dashes_in_its_name() {
        assert_eq!(parse_directory("my-topic-3"), Some(("my-topic", PartitionIndex(3))));
        assert_eq!(parse_directory("topic-"), None);
        assert_eq!(parse_directory("-3"), None);
        assert_eq!(parse_directory("topic--3"), Some(("topic-", PartitionIndex(3))));
    }

    #[test]
    fn a_directory_on_its_way_is_told_from_others() {
        let name = future_directory("my.topic", PartitionIndex(3), 7).unwrap();
        assert_eq!(name, "my.topic-3.00000000000000000000000000000007-future");
        assert_eq!(parse_future_directory(&name), Some(("my.topic", PartitionIndex(3))));
        assert_eq!((parse_directory(&name), is_deleted_directory(&name)), (None, false));
        assert_eq!(parse_future_directory("my.topic-3"), None);
        assert_eq!(future_directory(&"t".repeat(249), PartitionIndex(0), 7), None);
    }

    #[test]
    fn a_deleted_directory_fits_a_file_name() {
        let name = deleted_directory(&"t".repeat(249), PartitionIndex(12345), 7);
        assert_eq!(name.len(), 255);
        assert!(is_deleted_directory(&name));
        assert_eq!(parse_directory(&name), None);
    }
}
