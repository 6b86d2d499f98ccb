//! Records as clients send them and as files hold them. The checksum is made right, or nothing past it would be reached.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use odradek_shards::record::{Rules, batches, validate};
use odradek_shards::types::Timestamp;

const CRC: std::ops::Range<usize> = 17..21;
const NOW: Timestamp = Timestamp(1_700_000_000_000);
const INFLATED_BYTES_MAX: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let mut records = data.to_vec();
    if let Some(covered) = records.get(CRC.end..) {
        let sum = crc32c::crc32c(covered);
        records[CRC].copy_from_slice(&sum.to_be_bytes());
    }
    let records = Bytes::from(records);
    let rules = Rules { inflated_bytes_max: INFLATED_BYTES_MAX, ..Rules::default() };
    if let Ok(batch) = validate(records.clone(), &rules, NOW) {
        assert_eq!(batch.header.size(), batch.bytes.len());
    }
    for batch in batches(&records).map_while(Result::ok) {
        batch.records(INFLATED_BYTES_MAX).map_while(Result::ok).for_each(drop);
    }
});
