//! Record batches (message format v2) as a client writes and reads them.

use crate::compression::Codec;
use bytes::Bytes;
use std::io;

pub const HEADER_LEN: usize = 61;
const CRC_FROM: usize = 21;

/// Gathers records into one batch.
pub struct BatchEncoder {
    codec: Codec,
    timestamp: i64,
    records: Vec<u8>,
    count: u32,
    payload_bytes: usize,
}

impl BatchEncoder {
    /// All records get the `timestamp`, in milliseconds since 1970.
    pub fn new(codec: Codec, timestamp: i64) -> Self {
        Self { codec, timestamp, records: Vec::new(), count: 0, payload_bytes: 0 }
    }

    pub fn push(&mut self, key: Option<&[u8]>, value: &[u8]) {
        let delta = i64::from(self.count);
        let key_len = key.map_or(-1, |key| key.len() as i64);
        let key = key.unwrap_or_default();
        // Attributes, timestamp delta and header count are a byte each.
        let fixed = 3 + varint_size(delta) + varint_size(key_len) + varint_size(value.len() as i64);
        write_varint(&mut self.records, (fixed + key.len() + value.len()) as i64);
        self.records.extend_from_slice(&[0, 0]);
        write_varint(&mut self.records, delta);
        write_varint(&mut self.records, key_len);
        self.records.extend_from_slice(key);
        write_varint(&mut self.records, value.len() as i64);
        self.records.extend_from_slice(value);
        self.records.push(0);
        self.count += 1;
        self.payload_bytes += key.len() + value.len();
    }

    /// Bytes of the batch before compression.
    pub fn len(&self) -> usize {
        HEADER_LEN + self.records.len()
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    /// Keys' and values' bytes so far.
    pub fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    pub fn finish(self) -> io::Result<Bytes> {
        let records = if self.codec == Codec::None { self.records } else { self.codec.deflate(&self.records)? };
        let mut batch = Vec::with_capacity(HEADER_LEN + records.len());
        batch.extend_from_slice(&0i64.to_be_bytes());
        batch.extend_from_slice(&((HEADER_LEN - 12 + records.len()) as i32).to_be_bytes());
        batch.extend_from_slice(&(-1i32).to_be_bytes());
        batch.push(2);
        batch.extend_from_slice(&[0; 4]);
        batch.extend_from_slice(&(self.codec as i16).to_be_bytes());
        batch.extend_from_slice(&(self.count as i32 - 1).to_be_bytes());
        batch.extend_from_slice(&self.timestamp.to_be_bytes());
        batch.extend_from_slice(&self.timestamp.to_be_bytes());
        // No producer id, epoch or sequence.
        batch.extend_from_slice(&[0xff; 14]);
        batch.extend_from_slice(&(self.count as i32).to_be_bytes());
        batch.extend_from_slice(&records);
        let crc = crc32c::crc32c(&batch[CRC_FROM..]);
        batch[17..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
        Ok(batch.into())
    }
}

/// A batch as fetched. Only its header has been looked at.
#[derive(Clone, Debug)]
pub struct FetchedBatch {
    pub base_offset: i64,
    pub next_offset: i64,
    pub count: u32,
    pub bytes: Bytes,
}

/// The whole batches in what a partition answered; a cut last one is left out, as brokers may send it.
pub fn batches(mut records: Bytes) -> impl Iterator<Item = FetchedBatch> {
    std::iter::from_fn(move || {
        let len = 12usize.checked_add(i32_at(&records, 8)?.try_into().ok()?)?;
        if len < HEADER_LEN || records.len() < len {
            return None;
        }
        let bytes = records.split_to(len);
        let base_offset = i64_at(&bytes, 0)?;
        let next_offset = base_offset.checked_add(i64::from(i32_at(&bytes, 23)?))?.checked_add(1)?;
        let count = u32::try_from(i32_at(&bytes, 57)?).ok()?;
        Some(FetchedBatch { base_offset, next_offset, count, bytes })
    })
}

impl FetchedBatch {
    pub fn crc_is_right(&self) -> bool {
        i32_at(&self.bytes, 17).map(|stored| stored as u32) == Some(crc32c::crc32c(&self.bytes[CRC_FROM..]))
    }

    /// The producer's id, -1 when it has none, and the sequence number of the first record.
    pub fn producer_and_sequence(&self) -> (i64, i32) {
        let header = "a batch has a whole header";
        (i64_at(&self.bytes, 43).expect(header), i32_at(&self.bytes, 53).expect(header))
    }

    /// Calls `each` with every record's offset and value (empty when null); `None` when they cannot be read.
    pub fn for_each_record(&self, mut each: impl FnMut(i64, &[u8])) -> Option<()> {
        let codec = Codec::from_attributes(i16::from_be_bytes([self.bytes[21], self.bytes[22]]))?;
        let plain = codec.inflate(&self.bytes.slice(HEADER_LEN..)).ok()?;
        let mut rest = &plain[..];
        for _ in 0..self.count {
            let len = usize::try_from(read_varint(&mut rest)?).ok()?;
            let mut record = rest.get(1..len)?;
            rest = &rest[len..];
            read_varint(&mut record)?;
            let offset = self.base_offset.checked_add(read_varint(&mut record)?)?;
            read_bytes(&mut record)?;
            each(offset, read_bytes(&mut record)?);
        }
        rest.is_empty().then_some(())
    }
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn i64_at(bytes: &[u8], at: usize) -> Option<i64> {
    Some(i64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn write_varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn varint_size(value: i64) -> usize {
    let rest = ((value << 1) ^ (value >> 63)) as u64;
    (70 - (rest | 1).leading_zeros() as usize) / 7
}

fn read_varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

fn read_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = read_varint(bytes)?.max(0);
    let (found, rest) = bytes.split_at_checked(usize::try_from(len).ok()?)?;
    *bytes = rest;
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_reads_back_in_every_codec() {
        for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let mut encoder = BatchEncoder::new(codec, 5);
            for n in 0..300u32 {
                encoder.push((n % 2 == 0).then_some(&b"key"[..]), &vec![n as u8; n as usize]);
            }
            let whole = encoder.finish().unwrap();
            let cut = [&whole[..], &whole[..80]].concat();
            let found: Vec<_> = batches(cut.into()).collect();
            assert_eq!((found.len(), found[0].count, found[0].next_offset), (1, 300, 300));
            assert!(found[0].crc_is_right());
            let mut read = Vec::new();
            found[0].for_each_record(|offset, value| read.push((offset, value.to_vec()))).unwrap();
            assert_eq!(read, (0..300).map(|n| (n, vec![n as u8; n as usize])).collect::<Vec<_>>());
        }
    }
}
