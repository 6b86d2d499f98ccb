//! Who has which partition as its members take it, which records were read, and what should not have happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

pub struct Ledger {
    state: Mutex<State>,
    /// Epochs of the group never begin anew.
    keeps_epochs: bool,
}

struct State {
    owners: BTreeMap<i32, String>,
    /// Who has had a partition at an epoch.
    history: BTreeMap<(i32, i32), String>,
    records: BTreeSet<(i32, i64)>,
    faults: Vec<String>,
    reads: usize,
    gains: usize,
    crashes: usize,
    epoch: i32,
    changed: Instant,
}

impl Ledger {
    pub fn new(keeps_epochs: bool) -> Self {
        let state = State {
            owners: BTreeMap::new(),
            history: BTreeMap::new(),
            records: BTreeSet::new(),
            faults: Vec::new(),
            reads: 0,
            gains: 0,
            crashes: 0,
            epoch: 0,
            changed: Instant::now(),
        };
        Self { state: Mutex::new(state), keeps_epochs }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    /// Before it tells the broker that it has it no more, or when it crashes.
    pub fn give_back(&self, member: &str, partitions: &BTreeSet<i32>) {
        let mut state = self.state();
        for partition in partitions {
            if state.owners.get(partition).is_some_and(|owner| owner == member) {
                state.owners.remove(partition);
            }
        }
        state.changed = Instant::now();
    }

    /// After the broker has told it that it has them all, `new` ones among them.
    pub fn take(&self, member: &str, epoch: i32, all: &BTreeSet<i32>, new: &BTreeSet<i32>) {
        let mut state = self.state();
        for partition in new {
            if let Some(other) = state.owners.insert(*partition, member.to_owned()).filter(|other| other != member) {
                state.faults.push(format!("{partition} went to {member} at {epoch} while {other} had it"));
            }
        }
        for partition in all.iter().filter(|_| self.keeps_epochs) {
            let before = state.history.insert((epoch, *partition), member.to_owned());
            if let Some(other) = before.filter(|other| other != member) {
                state.faults.push(format!("{partition} is with {other} and {member} at epoch {epoch}"));
            }
        }
        state.gains += new.len();
        state.epoch = state.epoch.max(epoch);
        if !new.is_empty() {
            state.changed = Instant::now();
        }
    }

    pub fn read(&self, member: &str, partition: i32, offset: i64) {
        let mut state = self.state();
        if state.owners.get(&partition).is_none_or(|owner| owner != member) {
            state.faults.push(format!("{member} reads {partition}, which it does not have"));
        }
        state.reads += 1;
        state.records.insert((partition, offset));
    }

    pub fn crashed(&self) {
        self.state().crashes += 1;
    }

    pub fn fault(&self, what: String) {
        self.state().faults.push(what);
    }

    pub fn owned(&self) -> usize {
        self.state().owners.len()
    }

    pub fn records(&self) -> usize {
        self.state().records.len()
    }

    /// Nothing has changed hands for so long.
    pub fn is_quiet(&self, time: Duration) -> bool {
        self.state().changed.elapsed() >= time
    }

    /// The first of them.
    pub fn faults(&self) -> Vec<String> {
        self.state().faults.iter().take(20).cloned().collect()
    }

    pub fn summary(&self) -> String {
        let state = self.state();
        let (crashes, gains, epoch, reads) = (state.crashes, state.gains, state.epoch, state.reads);
        format!("{crashes} crashes, {gains} partitions handed over, epoch {epoch}, {reads} reads")
    }
}
