//! Topics that came, changed or went with the last images: whoever has seen an earlier one looks at these only.

use odradek_protocol::primitives::Str;
use std::collections::VecDeque;

/// Names that are kept: who has seen none of so many looks at all topics anew.
const NAMES_MAX: usize = 1000;

#[derive(Debug, Default)]
pub struct TopicChanges {
    /// Names by the version of metadata that they came or went with, in order.
    names: VecDeque<(u64, Str)>,
    /// What changed after this version is all there.
    since: u64,
}

impl TopicChanges {
    pub fn add<'a>(&mut self, version: u64, names: impl Iterator<Item = &'a Str>) {
        self.names.extend(names.map(|name| (version, name.clone())));
        while self.names.len() > NAMES_MAX {
            self.since = self.names.pop_front().map_or(self.since, |(version, _)| version);
        }
    }

    /// All topics may be others since then.
    pub fn forget(&mut self, version: u64) {
        self.names.clear();
        self.since = version;
    }

    /// What has changed after `version`, perhaps to and fro; none when that is not known any more.
    pub fn after(&self, version: u64) -> Option<impl Iterator<Item = &Str>> {
        let later = self.names.iter().rev().take_while(move |(changed, _)| *changed > version);
        (version >= self.since).then(|| later.map(|(_, name)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(changes: &TopicChanges, version: u64) -> Option<Vec<&str>> {
        changes.after(version).map(|names| names.map(Str::as_str).collect())
    }

    #[test]
    fn what_has_changed_after_a_version_is_told() {
        let mut changes = TopicChanges::default();
        changes.add(1, ["a".into()].iter());
        changes.add(3, ["b".into(), "c".into()].iter());
        assert_eq!(after(&changes, 0), Some(vec!["c", "b", "a"]));
        assert_eq!(after(&changes, 1), Some(vec!["c", "b"]));
        assert_eq!(after(&changes, 3), Some(vec![]));
    }

    #[test]
    fn who_is_too_far_behind_is_told_of_nothing() {
        let mut changes = TopicChanges::default();
        changes.add(1, std::iter::repeat_n(&"a".into(), NAMES_MAX));
        changes.add(2, ["b".into()].iter());
        assert_eq!(after(&changes, 0), None);
        assert_eq!(after(&changes, 1), Some(vec!["b"]));
        changes.forget(3);
        assert_eq!((after(&changes, 2), after(&changes, 3)), (None, Some(vec![])));
    }
}
