//! The groups of one thread as a whole: which may join now, and which are in.
//!
//! A broker serves a connection's requests one after the other, and holds a join until all members of the group have
//! joined. So that no two groups wait for each other, groups join in waves, each member of a wave on a connection alone.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub struct Crowd {
    /// Members of a group.
    members: usize,
    groups: RefCell<Vec<Group>>,
    /// Groups of each wave that are not in yet.
    left: RefCell<Vec<usize>>,
    wave: Cell<usize>,
    are_all_in: Arc<AtomicBool>,
}

#[derive(Clone, Copy)]
struct Group {
    wave: usize,
    generation: i32,
    /// Members known to be in it.
    have: usize,
    is_in: bool,
}

impl Crowd {
    /// `waves`: of each group; `are_all_in` is told when the last one is.
    pub fn new(members: usize, waves: &[usize], are_all_in: Arc<AtomicBool>) -> Self {
        let mut left = vec![0; waves.iter().max().map_or(0, |last| last + 1)];
        waves.iter().for_each(|wave| left[*wave] += 1);
        let group = |wave: &usize| Group { wave: *wave, generation: 0, have: 0, is_in: false };
        let groups = RefCell::new(waves.iter().map(group).collect());
        Self { members, groups, left: RefCell::new(left), wave: Cell::new(0), are_all_in }
    }

    /// The last wave that may join.
    pub fn wave(&self) -> usize {
        self.wave.get()
    }

    pub fn are_all_in(&self) -> bool {
        self.are_all_in.load(Ordering::Relaxed)
    }

    pub fn has_all(&self, group: usize) -> bool {
        self.groups.borrow()[group].is_in
    }

    /// A member of a classic group is in `generation`, which counts when all others are in it too.
    pub fn is_in_generation(&self, group: usize, generation: i32) {
        let of = &mut self.groups.borrow_mut()[group];
        if of.generation != generation {
            (of.generation, of.have) = (generation, 0);
        }
        self.count(of);
    }

    /// A member that was in no group is in one, whatever its epoch.
    pub fn is_in(&self, group: usize) {
        self.count(&mut self.groups.borrow_mut()[group]);
    }

    fn count(&self, group: &mut Group) {
        group.have += 1;
        if group.is_in || group.have < self.members {
            return;
        }
        group.is_in = true;
        let mut left = self.left.borrow_mut();
        left[group.wave] -= 1;
        while left.get(self.wave.get()) == Some(&0) {
            self.wave.set(self.wave.get() + 1);
        }
        if self.wave.get() == left.len() {
            self.are_all_in.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_waits_for_every_member_of_the_one_before() {
        let crowd = Crowd::new(2, &[0, 0, 1], Arc::default());
        crowd.is_in_generation(0, 1);
        crowd.is_in_generation(0, 2);
        crowd.is_in(1);
        crowd.is_in(1);
        assert_eq!(crowd.wave(), 0, "one of the first group is in an older generation");
        crowd.is_in_generation(0, 2);
        assert_eq!((crowd.wave(), crowd.are_all_in()), (1, false));
        crowd.is_in_generation(2, 1);
        crowd.is_in_generation(2, 1);
        assert!(crowd.are_all_in());
    }
}
