//! Names of a journal's files in a log directory. They are plain files, hidden: Apache Kafka ends its start at a
//! directory it does not know.

/// What a file of the room holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    Journal,
    Notes,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Journal => ".odradek-journal-",
            Self::Notes => ".odradek-notes-",
        }
    }
}

/// Grows from start to start; the lower half is random.
pub(super) fn incarnation(start: u32, random: u64) -> u64 {
    u64::from(start) << 32 | random & u64::from(u32::MAX)
}

pub(super) fn start(incarnation: u64) -> u32 {
    (incarnation >> 32) as u32
}

pub(super) fn file(kind: Kind, incarnation: u64, number: usize) -> String {
    format!("{}{incarnation:016x}-{number}", kind.prefix())
}

/// Whether the name is that of one of the room's files.
pub(super) fn is_file(name: &str) -> bool {
    [Kind::Journal, Kind::Notes].iter().any(|kind| name.starts_with(kind.prefix()))
}

/// The kind and the incarnation that a name bears; `None` for a file that is none of the room's.
pub(super) fn parse_file(name: &str) -> Option<(Kind, u64)> {
    [Kind::Journal, Kind::Notes].into_iter().find_map(|kind| Some((kind, parse_incarnation(kind, name)?)))
}

fn parse_incarnation(kind: Kind, name: &str) -> Option<u64> {
    let (incarnation, number) = name.strip_prefix(kind.prefix())?.split_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if incarnation.len() != 16 || !is_number {
        return None;
    }
    u64::from_str_radix(incarnation, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_bears_its_incarnation() {
        assert_eq!(file(Kind::Journal, 0xab, 12), ".odradek-journal-00000000000000ab-12");
        for kind in [Kind::Journal, Kind::Notes] {
            assert_eq!(parse_file(&file(kind, u64::MAX, 0)), Some((kind, u64::MAX)));
        }
        for name in [".odradek-journal-ab-1", ".odradek-journal-00000000000000ab-", "meta.properties"] {
            assert_eq!(parse_file(name), None, "{name}");
        }
    }
}
