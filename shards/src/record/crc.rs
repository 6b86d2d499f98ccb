//! CRC-32C of a batch: everything from the attributes to the end.

use super::batch::field;

/// The checksum of `batch`, which holds at least a header.
pub(super) fn compute(batch: &[u8]) -> u32 {
    crc32c::crc32c(&batch[field::ATTRIBUTES..])
}
