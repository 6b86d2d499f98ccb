//! Owns the rule that no block of a file has two writes in flight: the disk would keep either, or half of each.

use super::BLOCK_BYTES;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

/// The block ranges of one file that are being written.
#[derive(Default)]
pub(super) struct Blocks(RefCell<Vec<Range<u64>>>);

impl Blocks {
    /// Claims the blocks of `len` bytes at `pos`, both multiples of a block. Panics when one is being written.
    ///
    /// A claim dropped before [`Claim::finish`] stays: the kernel may still be writing when nobody waits any more.
    pub(super) fn claim(self: &Rc<Self>, pos: u64, len: usize) -> Claim {
        let block = BLOCK_BYTES as u64;
        let claimed = pos / block..pos.saturating_add(len as u64).div_ceil(block);
        let mut in_flight = self.0.borrow_mut();
        for other in in_flight.iter() {
            let apart = claimed.end <= other.start || other.end <= claimed.start;
            assert!(apart, "blocks {claimed:?} are written while blocks {other:?} are in flight");
        }
        in_flight.push(claimed.clone());
        Claim { blocks: self.clone(), claimed }
    }
}

/// Blocks being written.
#[must_use]
pub(super) struct Claim {
    blocks: Rc<Blocks>,
    claimed: Range<u64>,
}

impl Claim {
    pub(super) fn finish(self) {
        let mut in_flight = self.blocks.0.borrow_mut();
        let found = in_flight.iter().position(|range| *range == self.claimed);
        in_flight.swap_remove(found.expect("a claim is finished once, and only by its owner"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_side_by_side_are_allowed() {
        let blocks = Rc::new(Blocks::default());
        let first = blocks.claim(0, 8192);
        let second = blocks.claim(8192, 4096);
        first.finish();
        blocks.claim(4096, 4096).finish();
        second.finish();
    }

    #[test]
    #[should_panic(expected = "in flight")]
    fn a_second_write_of_a_block_in_flight_panics() {
        let blocks = Rc::new(Blocks::default());
        let _first = blocks.claim(0, 8192);
        let _second = blocks.claim(4096, 4096);
    }

    #[test]
    #[should_panic(expected = "in flight")]
    fn an_abandoned_write_still_owns_its_blocks() {
        let blocks = Rc::new(Blocks::default());
        drop(blocks.claim(0, 4096));
        let _again = blocks.claim(0, 4096);
    }
}
