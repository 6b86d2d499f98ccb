//! The topics that a member names; members of a group mostly name the same, and share them.

use crate::group::weight::ENTRY_BYTES;
use odradek_protocol::primitives::Str;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::rc::Rc;

#[derive(Debug, PartialEq, Eq)]
pub struct TopicNames {
    names: BTreeSet<Str>,
    bytes: usize,
    fingerprint: u64,
}

impl TopicNames {
    /// Among `known`, if these names are there in their order, or new ones.
    pub fn shared<'a>(names: &[Str], mut known: impl Iterator<Item = &'a Rc<Self>>) -> Rc<Self> {
        let fingerprint = fingerprint(names.iter());
        let same = known.find(|known| known.fingerprint == fingerprint && known.are(names));
        same.map_or_else(|| Rc::new(names.iter().map(Str::detached).collect()), Rc::clone)
    }

    pub fn are(&self, names: &[Str]) -> bool {
        names.iter().eq(&self.names)
    }

    /// What they take in memory, about: each is counted in the group too.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Deref for TopicNames {
    type Target = BTreeSet<Str>;

    fn deref(&self) -> &BTreeSet<Str> {
        &self.names
    }
}

impl Default for TopicNames {
    fn default() -> Self {
        Self::from_iter([])
    }
}

impl FromIterator<Str> for TopicNames {
    fn from_iter<I: IntoIterator<Item = Str>>(names: I) -> Self {
        let names: BTreeSet<Str> = names.into_iter().collect();
        let bytes = names.iter().map(|name| 2 * ENTRY_BYTES + name.len()).sum();
        let fingerprint = fingerprint(names.iter());
        Self { names, bytes, fingerprint }
    }
}

/// Other names mostly have another.
fn fingerprint<'a>(names: impl Iterator<Item = &'a Str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    names.for_each(|name| name.hash(&mut hasher));
    hasher.finish()
}
