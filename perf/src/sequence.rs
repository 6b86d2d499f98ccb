//! Checks what any idempotent producers wrote: every batch whole, offsets without a gap, each producer's sequence in order.

use crate::batch::FetchedBatch;
use crate::failure::Failure;
use std::cell::RefCell;
use std::collections::HashMap;

/// Producers without an id have no sequence; of theirs only checksums and offsets are checked.
#[derive(Default)]
pub struct SequenceCheck {
    /// By partition and producer id: the sequence number its next record must have.
    next: RefCell<HashMap<(i32, i64), i32>>,
}

impl SequenceCheck {
    /// The batch has to begin at offset `expected`.
    pub fn check(&self, partition: i32, expected: i64, batch: &FetchedBatch) -> Result<(), Failure> {
        let wrong =
            |what: &str| Failure::Verify(format!("partition {partition}, offset {}: {what}", batch.base_offset));
        if !batch.crc_is_right() {
            return Err(wrong("wrong checksum"));
        }
        if batch.base_offset != expected {
            return Err(wrong("not the offset after the batch before"));
        }
        let (producer, first) = batch.producer_and_sequence();
        if producer < 0 {
            return Ok(());
        }
        let mut next = self.next.borrow_mut();
        let wanted = next.entry((partition, producer)).or_insert(first);
        if *wanted != first {
            return Err(wrong("its producer's sequence has a gap or a repetition"));
        }
        let beyond = i64::from(first) + i64::from(batch.count);
        *wanted = i32::try_from(beyond % (1 << 31)).expect("the remainder is below 2^31");
        Ok(())
    }
}
