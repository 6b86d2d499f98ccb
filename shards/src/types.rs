//! The words of the engine: offsets, epochs and identities as types that cannot be mixed up.

use std::fmt;
use std::ops::{Add, Sub};
use uuid::Uuid;

macro_rules! word {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

word!(
    /// Position of a record in its partition; the first is 0.
    Offset(i64)
);
word!(
    /// Term of a partition's leader (KIP-101); -1 when unknown.
    LeaderEpoch(i32)
);
word!(
    /// Identity of an idempotent producer (KIP-98); -1 when none.
    ProducerId(i64)
);
word!(
    /// Fencing term of a producer id; -1 when none.
    ProducerEpoch(i16)
);
word!(
    /// Sequence number of a producer's record in one partition; wraps from `i32::MAX` to 0.
    Sequence(i32)
);
word!(
    /// Milliseconds since 1970-01-01 UTC; -1 when a record has none.
    Timestamp(i64)
);
word!(
    /// A broker or controller, as in `node.id`.
    NodeId(i32)
);
word!(
    /// A core's executor and all it owns; 0 also runs raft and the controller.
    ShardId(u16)
);
word!(
    /// Index of a partition in its topic.
    PartitionIndex(i32)
);
word!(
    /// Position of a byte in a segment file.
    Position(u64)
);

impl Offset {
    pub const ZERO: Self = Self(0);

    /// The offset `count` records later.
    pub fn plus(self, count: i64) -> Self {
        Self(self.0.checked_add(count).expect("an offset stays below i64::MAX: 2^63 records are never written"))
    }
}

impl Add<i64> for Offset {
    type Output = Self;
    fn add(self, count: i64) -> Self {
        self.plus(count)
    }
}

impl Sub for Offset {
    type Output = i64;
    fn sub(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

impl LeaderEpoch {
    pub const NONE: Self = Self(-1);
}

impl ProducerId {
    pub const NONE: Self = Self(-1);
}

impl Timestamp {
    pub const NONE: Self = Self(-1);
}

/// Identity of a topic; survives nothing but the topic itself (KIP-516).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TopicId(pub Uuid);

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One partition, by identity and not by name: a recreated topic is another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TopicPartition {
    pub topic: TopicId,
    pub partition: PartitionIndex,
}
