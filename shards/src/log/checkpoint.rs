//! Kafka's small text files: a version line, a count line, then rows.

use super::error::{Doing, StorageError};
use super::limits::CHECKPOINT_BYTES_MAX;
use crate::runtime::Directory;
use crate::types::{Offset, PartitionIndex};
use std::fmt::Write;
use std::io;

/// Everything below it is on stable storage; a scan after a crash starts there.
pub const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
pub const LOG_STARTS: &str = "log-start-offset-checkpoint";
pub const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
/// Below it a log has been compacted.
pub const CLEANED: &str = "cleaner-offset-checkpoint";

const VERSION: &str = "0";

/// The text is no such file: the caller goes on as if it were not there, or refuses the directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("malformed checkpoint")]
pub struct Malformed;

/// A row of the checkpoint files of a log directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionOffset {
    pub topic: String,
    pub partition: PartitionIndex,
    pub offset: Offset,
}

pub fn parse_offsets(text: &[u8]) -> Result<Vec<PartitionOffset>, Malformed> {
    let row = |[topic, partition, offset]: [&str; 3]| {
        let partition = PartitionIndex(partition.parse().map_err(|_| Malformed)?);
        let offset = Offset(offset.parse().map_err(|_| Malformed)?);
        if offset < Offset::ZERO || partition < PartitionIndex(0) {
            return Err(Malformed);
        }
        Ok(PartitionOffset { topic: topic.to_owned(), partition, offset })
    };
    parse_rows(text)?.into_iter().map(row).collect()
}

pub fn write_offsets(rows: &[PartitionOffset]) -> String {
    write_rows(rows.iter().map(|row| format!("{} {} {}", row.topic, row.partition, row.offset)))
}

/// One of a log directory's checkpoint files; empty when there is none. A malformed one is an error of its own, as
/// starting without it means scanning every log.
pub async fn read_offsets(
    dir: &Directory,
    name: &str,
) -> Result<Result<Vec<PartitionOffset>, Malformed>, StorageError> {
    Ok(match read_text(dir, name).await? {
        Some(text) => parse_offsets(&text),
        None => Ok(Vec::new()),
    })
}

/// Replaces a checkpoint file whole; durable when this returns.
pub async fn replace_offsets(dir: &Directory, name: &str, rows: &[PartitionOffset]) -> Result<(), StorageError> {
    dir.write_whole(name, write_offsets(rows).as_bytes()).await.doing("writing a checkpoint file")
}

/// A small file's bytes; `None` when it is not there.
pub(super) async fn read_text(dir: &Directory, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
    match dir.read_whole(name, CHECKPOINT_BYTES_MAX).await {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).doing("reading a checkpoint file"),
    }
}

/// The rows, each of `N` words. The count must be that of the rows.
pub(super) fn parse_rows<const N: usize>(text: &[u8]) -> Result<Vec<[&str; N]>, Malformed> {
    let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
    let mut lines = text.lines();
    if lines.next() != Some(VERSION) {
        return Err(Malformed);
    }
    let count: usize = lines.next().and_then(|line| line.parse().ok()).ok_or(Malformed)?;
    let rows: Vec<_> = lines.map(parse_row).collect::<Result<_, _>>()?;
    if rows.len() == count { Ok(rows) } else { Err(Malformed) }
}

fn parse_row<const N: usize>(line: &str) -> Result<[&str; N], Malformed> {
    let mut words = line.split_ascii_whitespace();
    let mut row = [""; N];
    for word in &mut row {
        *word = words.next().ok_or(Malformed)?;
    }
    if words.next().is_none() { Ok(row) } else { Err(Malformed) }
}

pub(super) fn write_rows(rows: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("{VERSION}\n{}\n", rows.len());
    for row in rows {
        writeln!(text, "{row}").expect("writing to a String does not fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_kafkas() {
        let rows = [("a", 0, 17), ("b.c_d-e", 3, 0)].map(|(topic, partition, offset)| PartitionOffset {
            topic: topic.into(),
            partition: PartitionIndex(partition),
            offset: Offset(offset),
        });
        let text = "0\n2\na 0 17\nb.c_d-e 3 0\n";
        assert_eq!(write_offsets(&rows), text);
        assert_eq!(parse_offsets(text.as_bytes()).unwrap(), rows);
    }

    #[test]
    fn an_empty_checkpoint_has_two_lines() {
        assert_eq!(write_offsets(&[]), "0\n0\n");
        assert_eq!(parse_offsets(b"0\n0\n"), Ok(vec![]));
    }

    #[test]
    fn a_damaged_text_is_refused() {
        for text in [
            "",
            "1\n0\n",
            "0\n",
            "0\n2\na 0 1\n",
            "0\n1\na 0\n",
            "0\n1\na 0 1 2\n",
            "0\n1\na 0 -1\n",
            "0\n1\na x 1\n",
            "\u{ff}",
        ] {
            assert_eq!(parse_offsets(text.as_bytes()), Err(Malformed), "{text:?}");
        }
    }
}
