//! Checks what comes back of what `produce --verify` wrote: nothing missing, nothing twice, nothing changed.

use crate::arguments::Records;
use crate::batch::FetchedBatch;
use crate::compression::Codec;
use crate::failure::Failure;
use crate::payload::Payload;
use std::time::Duration;

/// Values longer than this cannot be checked.
const VALUE_BYTES_MAX: usize = 8 << 20;

pub struct Verifier {
    payload: Payload,
}

impl Verifier {
    pub fn new() -> Self {
        let records = Records {
            record_size: VALUE_BYTES_MAX,
            batch_bytes: 0,
            records_per_batch: None,
            compression: Codec::None,
            keys: 0,
            acks: 1,
            depth: 1,
            linger: Duration::ZERO,
        };
        Self { payload: Payload::new(&records) }
    }

    /// Every record of the batch, which has to begin at offset `expected` or before it.
    pub fn check(&self, partition: i32, expected: i64, batch: &FetchedBatch) -> Result<(), Failure> {
        let at = |what: &str, offset: i64| Failure::Verify(format!("partition {partition}, offset {offset}: {what}"));
        if !batch.crc_is_right() {
            return Err(at("wrong checksum", batch.base_offset));
        }
        if batch.base_offset > expected {
            return Err(at("records are missing before it", batch.base_offset));
        }
        let mut next = batch.base_offset;
        let mut wrong = None;
        let read = batch.for_each_record(|offset, value| {
            if offset != next || !self.payload.is_right(offset as u64, value) {
                wrong.get_or_insert(offset);
            }
            next = offset + 1;
        });
        match (read, wrong) {
            (None, _) => Err(at("the records cannot be read", batch.base_offset)),
            (_, Some(offset)) => Err(at("not the record that was written", offset)),
            _ if next != batch.next_offset => Err(at("the batch ends elsewhere than it says", next)),
            _ => Ok(()),
        }
    }
}
