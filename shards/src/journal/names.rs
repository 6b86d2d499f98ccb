//! Names of a journal's files in a log directory. They are plain files, hidden: Apache Kafka ends its start at a
//! directory it does not know.

const PREFIX: &str = ".odradek-journal-";

/// Grows from start to start; the lower half is random.
pub(super) fn incarnation(start: u32, random: u64) -> u64 {
    u64::from(start) << 32 | random & u64::from(u32::MAX)
}

pub(super) fn start(incarnation: u64) -> u32 {
    (incarnation >> 32) as u32
}

pub(super) fn file(incarnation: u64, number: usize) -> String {
    format!("{PREFIX}{incarnation:016x}-{number}")
}

/// Whether the name is that of a journal's file.
pub(super) fn is_file(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// The incarnation that a name bears; `None` for a file that is no journal's.
pub(super) fn parse_file(name: &str) -> Option<u64> {
    let (incarnation, number) = name.strip_prefix(PREFIX)?.split_once('-')?;
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
        assert_eq!(file(0xab, 12), ".odradek-journal-00000000000000ab-12");
        assert_eq!(parse_file(&file(u64::MAX, 0)), Some(u64::MAX));
        for name in [".odradek-journal-ab-1", ".odradek-journal-00000000000000ab-", "meta.properties"] {
            assert_eq!(parse_file(name), None, "{name}");
        }
    }
}
