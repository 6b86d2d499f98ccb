//! Owns randomness that nobody must guess right for safety: jitter, shuffles, seeds. Seeded inside a simulation.

use super::simulation;
use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A number nobody planned; from the simulation's seed when inside one. Not for secrets.
pub fn random_u64() -> u64 {
    simulation::virtual_random().unwrap_or_else(|| THREAD.with_borrow_mut(Random::next_u64))
}

thread_local! {
    static THREAD: RefCell<Random> = RefCell::new(Random::new(RandomState::new().build_hasher().finish()));
}

/// A small deterministic generator: the same seed gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64: every 64-bit state is visited once before the sequence repeats.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0. Its bias (2^-64 * bound) does not matter here.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "no number is below 0");
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high);
        match (high - low).checked_add(1) {
            Some(span) => low + self.below(span),
            None => self.next_u64(),
        }
    }

    pub fn coin(&mut self) -> bool {
        self.next_u64() & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (mut one, mut other) = (Random::new(7), Random::new(7));
        assert!((0..100).all(|_| one.next_u64() == other.next_u64()));
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        let mut random = Random::new(3);
        assert!((0..1000).all(|_| random.below(10) < 10));
        assert!((0..1000).all(|_| (5..=6).contains(&random.between(5, 6))));
    }

    #[test]
    fn a_simulation_repeats_its_numbers() {
        let draw = || simulation::simulate(9, async { (random_u64(), random_u64()) });
        assert_eq!(draw(), draw());
    }
}
