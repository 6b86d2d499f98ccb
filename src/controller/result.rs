//! What a decision is made of: the moment it is taken at, the records it wants, the reply it owes.

use super::request::ControllerReply;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::primitives::Str;
use odradek_protocol::records::metadata::MetadataRecord;
use odradek_shards::clock::Instant;
use odradek_shards::types::Offset;
use uuid::Uuid;

/// All a decision may know beside the state; the same moment and state give the same decision.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now: Instant,
    /// The offset the first record of this decision will have.
    pub next_offset: Offset,
    /// Randomness of this decision alone.
    pub seed: [u64; 2],
}

/// Records to append, and the reply that may leave once they are committed and published.
#[derive(Clone, Debug)]
pub struct Decision {
    pub records: Vec<MetadataRecord>,
    /// All records or none; else each of them holds by itself.
    pub is_atomic: bool,
    pub reply: ControllerReply,
}

impl Decision {
    pub fn new(records: Vec<MetadataRecord>, reply: ControllerReply) -> Self {
        Self { records, is_atomic: true, reply }
    }

    /// Of records that hold each by itself, however many there are.
    pub fn in_parts(records: Vec<MetadataRecord>, reply: ControllerReply) -> Self {
        Self { records, is_atomic: false, reply }
    }

    pub fn refuse(reply: ControllerReply) -> Self {
        Self::new(Vec::new(), reply)
    }
}

/// A refusal as a client reads it: Kafka's code, and the text its tools print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub code: ErrorCode,
    pub message: Str,
}

impl Refusal {
    pub fn new(code: ErrorCode, message: impl Into<Str>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Numbers that follow from a seed: unpredictable to clients because the seed is, and the same again in a test.
pub(super) struct Dice([u64; 2]);

impl Dice {
    pub fn new(seed: [u64; 2]) -> Self {
        Self(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0[0] = self.0[0].wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0[0] ^ self.0[1].rotate_left(23)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        self.0[1] = self.0[1].wrapping_add(mixed).rotate_left(31);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 32) ^ self.0[1]
    }

    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "a choice needs something to choose from");
        (self.number() % bound as u64) as usize
    }

    /// A version 4 id. Kafka shuns ids whose text begins with a dash, and so do we.
    pub fn id(&mut self) -> Uuid {
        loop {
            let random = u128::from(self.number()) << 64 | u128::from(self.number());
            let id = uuid::Builder::from_u128(random).with_version(uuid::Version::Random).into_uuid();
            if id.as_u128() >> 122 != DASH {
                return id;
            }
        }
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// The six bits whose base64 letter is a dash.
const DASH: u128 = 62;
