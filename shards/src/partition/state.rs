//! The offsets of a replica, and what must hold between them.

use crate::error::Unavailable;
use crate::message::Isolation;
use crate::runtime::Instant;
use crate::types::{LeaderEpoch, Offset};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    pub leader_epoch: LeaderEpoch,
    pub log_start: Offset,
    /// Below it no transaction is open; what `read_committed` may read.
    pub last_stable: Offset,
    /// Below it every in-sync replica has the records; what may be read at all.
    pub high_watermark: Offset,
    /// Below it our own disk has the records, in a journal or in the segments.
    pub stable: Offset,
    /// Where the next record goes; from `stable` to here records are in memory only.
    pub log_end: Offset,
    pub io: Io,
    /// A write failed: what came after it is not known, so nothing is appended any more.
    pub offline: bool,
    /// Why no request is served any more.
    pub closed: Option<Unavailable>,
    /// Something is to be written to the segment.
    pub write_due: bool,
    /// Segments may lie below the log start as a whole.
    pub removal_due: bool,
    /// Files are longer than their content since this append.
    pub untrimmed_since: Option<Instant>,
}

/// At most one operation at a time changes the files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Io {
    Idle,
    Writing,
    Trimming,
    Removing,
}

impl State {
    /// A leader right after its log was opened: what the log holds is on disk, and `last_stable` where its first open
    /// transaction begins.
    pub fn opened(leader_epoch: LeaderEpoch, log_start: Offset, last_stable: Offset, log_end: Offset) -> Self {
        let state = Self {
            leader_epoch,
            log_start,
            last_stable: last_stable.max(log_start),
            high_watermark: log_end,
            stable: log_end,
            log_end,
            io: Io::Idle,
            offline: false,
            closed: None,
            write_due: false,
            removal_due: false,
            untrimmed_since: None,
        };
        state.check();
        state
    }

    /// log start <= last stable <= high watermark <= stable <= log end.
    pub fn check(&self) {
        assert!(self.log_start >= Offset::ZERO, "the log starts at or after offset 0: {self:?}");
        assert!(self.log_start <= self.last_stable, "records below the log start are gone: {self:?}");
        assert!(self.last_stable <= self.high_watermark, "only what all have can be stable: {self:?}");
        assert!(self.high_watermark <= self.stable, "only what is on disk counts as replicated: {self:?}");
        assert!(self.stable <= self.log_end, "only what was appended is on disk: {self:?}");
    }

    /// Where reading must stop.
    pub fn readable_end(&self, isolation: Isolation) -> Offset {
        match isolation {
            Isolation::ReadUncommitted => self.high_watermark,
            Isolation::ReadCommitted => self.last_stable,
        }
    }

    /// Appends are taken.
    pub fn is_served(&self) -> bool {
        !self.offline && self.closed.is_none()
    }

    /// Nothing waits for the disk, and nothing runs there.
    pub fn is_quiet(&self) -> bool {
        let waiting = self.stable < self.log_end || self.removal_due || self.write_due;
        self.io == Io::Idle && (self.offline || !waiting)
    }
}
