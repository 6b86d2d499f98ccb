//! All that can happen to a replica of the metadata log, and all it can ask for.

use super::election_state::ElectionState;
use odradek_shards::record::ValidBatch;
use odradek_shards::types::{LeaderEpoch, Offset, Timestamp};

/// Beside these, [`super::Quorum::append`] takes records, since it promises their offsets at once.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed, or the replica has just been opened.
    Tick,
    /// The state of an [`Output::StoreElection`] is on stable storage.
    ElectionStored(ElectionState),
    /// The log is on stable storage below this offset.
    Synced(Offset),
    /// Leave the leadership: the process is about to stop.
    Resign,
}

/// Effects, to be run in order: a [`Output::StoreElection`] must be durable before the one after it is begun.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    StoreElection(ElectionState),
    /// Append to the log at exactly this offset, and sync; answered by [`Input::Synced`].
    Append {
        base_offset: Offset,
        epoch: LeaderEpoch,
        batch: ValidBatch,
    },
    /// This replica leads; `start` is the first offset of its epoch. All below is committed once `start` is.
    Leading {
        epoch: LeaderEpoch,
        start: Offset,
    },
    /// Everything below is committed: no replica will ever lose it.
    HighWatermark(Offset),
    Resigned {
        epoch: LeaderEpoch,
    },
}

/// When a step happens; the same on every replay of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// What batches are stamped with.
    pub wall_clock: Timestamp,
}
