//! What the readers of one group tell: who has which partition, what was read and committed, and what should not be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

/// A partition of a topic.
pub type Place = (String, i32);

#[derive(Default)]
pub struct Book(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    owners: BTreeMap<Place, String>,
    read: BTreeMap<Place, BTreeSet<i64>>,
    reads: usize,
    /// Next offsets whose commits were acknowledged.
    committed: BTreeMap<Place, i64>,
    /// How often each reader was given something.
    assigned: BTreeMap<String, usize>,
    /// Commits without an acknowledgement, and why.
    refused: Vec<String>,
    faults: Vec<String>,
}

impl Book {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().expect("nobody panics with it")
    }

    pub fn take(&self, who: &str, places: &[Place]) {
        let mut entries = self.entries();
        *entries.assigned.entry(who.to_owned()).or_default() += usize::from(!places.is_empty());
        for place in places {
            if let Some(other) = entries.owners.insert(place.clone(), who.to_owned()).filter(|other| other != who) {
                entries.faults.push(format!("{place:?} went to {who} while {other} had it"));
            }
        }
    }

    /// Before the broker hears of it.
    pub fn give_back(&self, who: &str, places: &[Place]) {
        let mut entries = self.entries();
        for place in places {
            if entries.owners.get(place).is_some_and(|owner| owner == who) {
                entries.owners.remove(place);
            }
        }
    }

    /// Nobody reads again what was committed.
    pub fn read(&self, who: &str, place: &Place, offset: i64) {
        let mut entries = self.entries();
        if entries.owners.get(place).is_none_or(|owner| owner != who) {
            entries.faults.push(format!("{who} reads {place:?}, which it does not have"));
        }
        if let Some(committed) = entries.committed.get(place).copied().filter(|committed| offset < *committed) {
            entries.faults.push(format!("{who} reads {offset} of {place:?} after {committed} was committed"));
        }
        entries.reads += 1;
        entries.read.entry(place.clone()).or_default().insert(offset);
    }

    pub fn committed(&self, positions: &BTreeMap<Place, i64>) {
        let mut entries = self.entries();
        for (place, offset) in positions {
            let before = entries.committed.insert(place.clone(), *offset);
            if let Some(before) = before.filter(|before| before > offset) {
                entries.faults.push(format!("{place:?} was committed at {before} and then at {offset}"));
            }
        }
    }

    pub fn refused(&self, why: String) {
        self.entries().refused.push(why);
    }

    pub fn commits(&self) -> BTreeMap<Place, i64> {
        self.entries().committed.clone()
    }

    pub fn refusals(&self) -> Vec<String> {
        self.entries().refused.clone()
    }

    pub fn assigned(&self, who: &str) -> usize {
        self.entries().assigned.get(who).copied().unwrap_or(0)
    }

    pub fn all_assigned(&self) -> BTreeMap<String, usize> {
        self.entries().assigned.clone()
    }

    pub fn held_by(&self, who: &str) -> BTreeSet<Place> {
        self.entries().owners.iter().filter(|(_, owner)| *owner == who).map(|(place, _)| place.clone()).collect()
    }

    /// Each of them has something, and together they have as much.
    pub fn is_shared(&self, partitions: usize, readers: &[&str]) -> bool {
        let entries = self.entries();
        let has = |who: &&&str| entries.owners.values().any(|owner| owner == **who);
        entries.owners.len() == partitions && readers.iter().all(|who| has(&who))
    }

    /// Different records, and all that were read.
    pub fn reads(&self) -> (usize, usize) {
        let entries = self.entries();
        (entries.read.values().map(BTreeSet::len).sum(), entries.reads)
    }

    pub fn has_read(&self, place: &Place, offset: i64) -> bool {
        self.entries().read.get(place).is_some_and(|offsets| offsets.contains(&offset))
    }

    /// The first of them.
    pub fn check(&self) {
        let entries = self.entries();
        assert!(entries.faults.is_empty(), "{:#?}", &entries.faults[..entries.faults.len().min(10)]);
    }
}
