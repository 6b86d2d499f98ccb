//! All that can happen to a replica, and all that it can ask for.

use crate::error::{ReadError, Unavailable};
use crate::message::AppendResult;
use crate::types::{LeaderEpoch, Offset, Timestamp};

/// Names a parked append; chosen by who sends it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// Names a parked fetch; chosen by who sends it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WaitId(pub u64);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// A validated batch is at hand.
    Append(Arrival),
    /// What was under way on the files has ended: all below `stable` is as safe as promised, and no transaction is open
    /// below `last_stable`.
    IoDone {
        stable: Offset,
        last_stable: Offset,
    },
    /// The same, by way of a journal.
    Stable {
        stable: Offset,
        last_stable: Offset,
    },
    /// What is pending is to be written to the segment.
    WriteDue,
    /// What was under way on the files failed.
    IoFailed,
    /// Something else on the log's files failed.
    StorageFailed,
    /// A fetch has read all up to `from` and waits for more.
    Await {
        wait: WaitId,
        from: Offset,
    },
    CancelAwait {
        wait: WaitId,
    },
    /// Records below this offset may go; `None` is the high watermark.
    DeleteRecords {
        before: Option<Offset>,
    },
    /// Segments lie below the log start and can go.
    Remove,
    LeaderEpoch(LeaderEpoch),
    /// Time to look whether the partition has become idle.
    Sweep,
    /// Serve no more: finish what is under way.
    Close(Unavailable),
}

/// What the decision about an append needs to know of its batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    pub ticket: Ticket,
    /// Offsets the batch takes: last offset delta + 1.
    pub offsets: i64,
    pub bytes: u64,
    /// `Timestamp::NONE` unless the topic stamps LogAppendTime.
    pub log_append_time: Timestamp,
    pub leader_epoch_expected: Option<LeaderEpoch>,
    pub sequence: Sequence,
    /// The batch exceeds what one segment may hold.
    pub too_large: bool,
}

/// How the batch fits to what its producer sent before (KIP-98).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sequence {
    /// Next in order, first of its producer, or without a producer id.
    Follows,
    /// One of the last five batches again.
    Duplicate {
        base: Offset,
        last: Offset,
        timestamp: Timestamp,
    },
    OutOfOrder,
    /// From before the producer's epoch was raised.
    Fenced,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// Put the batch at hand into the log; it must land at `base`.
    Append {
        base: Offset,
        leader_epoch: LeaderEpoch,
    },
    /// Make what is pending as safe as promised, by a journal (`Stable`) or by the segment (`WriteDue`).
    Commit,
    /// Write to the segment. Like the next two, it is answered with `IoDone` or `IoFailed`.
    StartWrite,
    /// Cut the files to their content.
    StartTrim,
    /// Remove the segments below the log start.
    StartRemoval,
    /// This append is decided, and as safe as promised if it succeeded.
    Answer {
        ticket: Ticket,
        result: AppendResult,
    },
    /// That many more bytes became readable past the fetch's offset.
    Arrived {
        wait: WaitId,
        bytes: u64,
    },
    /// The fetch should read again now: it will learn why.
    Disturbed {
        wait: WaitId,
    },
    /// Records below are not read any more.
    AdvanceStart {
        to: Offset,
    },
    /// Let the epoch begin at the log's end.
    BeginEpoch(LeaderEpoch),
    Deleted {
        result: Result<Offset, ReadError>,
    },
    /// Said once: from now on appends are refused.
    WentOffline,
    /// Said after `Close`, when nothing is under way any more.
    Quiet,
}

/// What a step asks for, in order.
pub type Outputs = Vec<Output>;
