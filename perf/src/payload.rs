//! What records hold: letters that compress a little, keys, and numbers a reader can check.

use crate::arguments::Records;
use crate::batch::BatchEncoder;

/// Letters to cut values from; a prime keeps the cuts from repeating soon.
const LETTERS: usize = 65_521;

pub struct Payload {
    letters: Vec<u8>,
    value: Vec<u8>,
    key: Vec<u8>,
    keys: u64,
}

/// What stands in a value's first eight bytes.
#[derive(Clone, Copy, Debug)]
pub enum Stamp {
    Nothing,
    /// The record's offset, or nanoseconds on the run's clock.
    Number(u64),
}

impl Payload {
    pub fn new(records: &Records) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut letter = || {
            // xorshift: the same letters in every run.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            b'A' + (state % 26) as u8
        };
        let letters = (0..LETTERS + records.record_size).map(|_| letter()).collect();
        Self { letters, value: vec![0; records.record_size], key: Vec::new(), keys: records.keys }
    }

    /// Adds the record numbered `number`.
    pub fn push(&mut self, batch: &mut BatchEncoder, number: u64, stamp: Stamp) {
        let size = self.value.len();
        let filler = filler(&self.letters, number, size);
        let key = if self.keys == 0 {
            None
        } else {
            self.key.clear();
            self.key.extend_from_slice(format!("key-{:08}", number % self.keys).as_bytes());
            Some(&self.key[..])
        };
        match stamp {
            Stamp::Nothing => batch.push(key, filler),
            Stamp::Number(number) => {
                self.value.copy_from_slice(filler);
                self.value[..8].copy_from_slice(&number.to_be_bytes());
                batch.push(key, &self.value);
            }
        }
    }

    /// Whether a value is the one that was stamped with its number.
    pub fn is_right(&self, number: u64, value: &[u8]) -> bool {
        let Some((stamp, rest)) = value.split_first_chunk() else { return false };
        u64::from_be_bytes(*stamp) == number
            && value.len() + LETTERS <= self.letters.len()
            && rest == &filler(&self.letters, number, value.len())[8..]
    }
}

fn filler(letters: &[u8], number: u64, size: usize) -> &[u8] {
    let from = (number.wrapping_mul(7_919) % LETTERS as u64) as usize;
    &letters[from..from + size]
}
