//! The `.snapshot` file of a segment: the producers as they were at its base offset, in Kafka's bytes.
//!
//! `version: i16 = 1 · crc: u32 (CRC-32C of all that follows) · count: i32 · count entries`; an entry is
//! `id: i64 · epoch: i16 · last sequence: i32 · last offset: i64 · offset delta: i32 · timestamp: i64 ·
//! coordinator epoch: i32 · first offset of the open transaction: i64`. Only the last batch of a producer survives.

use super::producer_state::{ProducerBatch, ProducerState, ProducerStates};
use crate::types::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use std::collections::VecDeque;

const VERSION: i16 = 1;
const HEADER: usize = 2 + 4 + 4;
const ENTRY: usize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;

/// The bytes are no snapshot: an older one, or the log itself, has to serve.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("damaged producer snapshot")]
pub(super) struct DamagedSnapshot;

pub(super) fn write(states: &ProducerStates) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + states.len() * ENTRY);
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend((states.len() as i32).to_be_bytes());
    let mut producers: Vec<_> = states.iter().collect();
    producers.sort_unstable_by_key(|(id, _)| *id);
    for (id, state) in producers {
        write_entry(&mut bytes, id, state);
    }
    let crc = crc32c::crc32c(&bytes[6..]);
    bytes[2..6].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn write_entry(bytes: &mut Vec<u8>, id: ProducerId, state: &ProducerState) {
    const NONE: ProducerBatch = ProducerBatch {
        last_sequence: Sequence(-1),
        last_offset: Offset(-1),
        offset_delta: 0,
        timestamp: Timestamp::NONE,
    };
    let last = state.batches.back().unwrap_or(&NONE);
    bytes.extend(id.0.to_be_bytes());
    bytes.extend(state.epoch.0.to_be_bytes());
    bytes.extend(last.last_sequence.0.to_be_bytes());
    bytes.extend(last.last_offset.0.to_be_bytes());
    bytes.extend(last.offset_delta.to_be_bytes());
    bytes.extend(state.last_timestamp.0.to_be_bytes());
    bytes.extend(state.coordinator_epoch.to_be_bytes());
    bytes.extend(state.transaction_first.unwrap_or(Offset(-1)).0.to_be_bytes());
}

pub(super) fn parse(bytes: &[u8]) -> Result<ProducerStates, DamagedSnapshot> {
    let (head, entries) = bytes.split_first_chunk::<HEADER>().ok_or(DamagedSnapshot)?;
    let [v0, v1, c0, c1, c2, c3, n0, n1, n2, n3] = *head;
    let count = i32::from_be_bytes([n0, n1, n2, n3]);
    let sound = i16::from_be_bytes([v0, v1]) == VERSION
        && u32::from_be_bytes([c0, c1, c2, c3]) == crc32c::crc32c(&bytes[6..])
        && usize::try_from(count).is_ok_and(|count| count.checked_mul(ENTRY) == Some(entries.len()));
    if !sound {
        return Err(DamagedSnapshot);
    }
    let mut states = ProducerStates::default();
    for entry in entries.chunks_exact(ENTRY) {
        let (id, state) = parse_entry(entry);
        states.insert(id, state);
    }
    Ok(states)
}

fn parse_entry(mut entry: &[u8]) -> (ProducerId, ProducerState) {
    let id = ProducerId(i64::from_be_bytes(take(&mut entry)));
    let epoch = ProducerEpoch(i16::from_be_bytes(take(&mut entry)));
    let last_sequence = Sequence(i32::from_be_bytes(take(&mut entry)));
    let last_offset = Offset(i64::from_be_bytes(take(&mut entry)));
    let offset_delta = i32::from_be_bytes(take(&mut entry));
    let timestamp = Timestamp(i64::from_be_bytes(take(&mut entry)));
    let coordinator_epoch = i32::from_be_bytes(take(&mut entry));
    let first = Offset(i64::from_be_bytes(take(&mut entry)));
    let batch = ProducerBatch { last_sequence, last_offset, offset_delta, timestamp };
    let batches = if last_offset >= Offset::ZERO { VecDeque::from([batch]) } else { VecDeque::new() };
    let transaction_first = (first >= Offset::ZERO).then_some(first);
    let (last_timestamp, active_at) = (timestamp, timestamp);
    (id, ProducerState { epoch, batches, coordinator_epoch, last_timestamp, active_at, transaction_first })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (head, rest) = bytes.split_first_chunk().expect("an entry is cut to its full width");
    *bytes = rest;
    *head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states() -> ProducerStates {
        let batch = ProducerBatch {
            last_sequence: Sequence(9),
            last_offset: Offset(0x1122),
            offset_delta: 4,
            timestamp: Timestamp(0x0102_0304),
        };
        let state = ProducerState {
            epoch: ProducerEpoch(3),
            batches: VecDeque::from([batch]),
            coordinator_epoch: -1,
            last_timestamp: Timestamp(0x0102_0304),
            active_at: Timestamp(0x0102_0304),
            transaction_first: None,
        };
        let mut states = ProducerStates::default();
        states.insert(ProducerId(4711), state);
        states
    }

    #[test]
    fn an_empty_snapshot_has_ten_bytes() {
        let bytes = write(&ProducerStates::default());
        let crc = crc32c::crc32c(&[0; 4]).to_be_bytes();
        assert_eq!(bytes, [&[0, 1], &crc[..], &[0; 4]].concat());
        assert!(parse(&bytes).unwrap().is_empty());
    }

    #[test]
    fn an_entry_has_kafkas_bytes() {
        let bytes = write(&states());
        let expected: &[&[u8]] = &[
            &[0, 0, 0, 1],
            &[0, 0, 0, 0, 0, 0, 0x12, 0x67],
            &[0, 3],
            &[0, 0, 0, 9],
            &[0, 0, 0, 0, 0, 0, 0x11, 0x22],
            &[0, 0, 0, 4],
            &[0, 0, 0, 0, 1, 2, 3, 4],
            &[0xff; 4],
            &[0xff; 8],
        ];
        assert_eq!(bytes[6..], expected.concat());
    }

    #[test]
    fn a_snapshot_comes_back() {
        let back = parse(&write(&states())).unwrap();
        assert_eq!(back.get(ProducerId(4711)), states().get(ProducerId(4711)));
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let bytes = write(&states());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(parse(&damaged).is_err(), "byte {at}");
            assert!(parse(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
