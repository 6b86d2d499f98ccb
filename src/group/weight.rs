//! How much memory clients make the groups of a machine hold: counted as it changes, so that it can be looked at always.

use std::cell::Cell;
use std::rc::Rc;

/// Beside its texts: of a group, of a member, of an offset or another entry of a map, of a partition in one.
pub const GROUP_BYTES: usize = 512;
pub const MEMBER_BYTES: usize = 512;
pub const ENTRY_BYTES: usize = 96;
pub const PARTITION_BYTES: usize = 48;

/// Of all groups of a machine; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Total(Rc<Cell<usize>>);

impl Total {
    pub fn bytes(&self) -> usize {
        self.0.get()
    }
}

/// Of one group; it leaves the total when the group goes.
#[derive(Debug)]
pub struct Weight {
    bytes: usize,
    total: Total,
}

impl Weight {
    /// Of a new group of this id.
    pub fn new(total: &Total, id: &str) -> Self {
        let mut weight = Self { bytes: 0, total: total.clone() };
        weight.change(0, GROUP_BYTES + id.len());
        weight
    }

    /// What took `before` bytes takes `after`.
    pub fn change(&mut self, before: usize, after: usize) {
        self.bytes = self.bytes + after - before;
        self.total.0.set(self.total.0.get() + after - before);
    }

    pub fn total(&self) -> &Total {
        &self.total
    }

    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.total.0.set(self.total.0.get() - self.bytes);
    }
}
