//! Bringing a log's tail to its segments: at once when appends wait for it, later when a journal has it; and moving the
//! recovery point after it.

use super::{Host, Replica};
use crate::budget::Charge;
use crate::limits::{MARK_PAUSE, MARK_TRIES};
use crate::log::{JOB_BYTES_MAX, Log, Marking, StorageError, SyncPoint, Waypoint, Write};
use crate::partition::{Input, Io};
use crate::runtime;
use crate::types::Offset;
use futures_util::future::{Either, select};
use std::pin::pin;
use std::rc::Rc;

/// What is to be done with the segment, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wants {
    /// Write all that is pending, as safely as promised: appends wait for it.
    pub through: bool,
    /// Write what a journal has.
    pub back: bool,
    /// Sync what has been written.
    pub sync: bool,
}

impl Replica {
    /// Makes what is pending stable in the segment. [`Host::commit`] hears of what comes meanwhile when that is done.
    pub fn write_through(self: &Rc<Self>, host: &Rc<dyn Host>) {
        self.want(host, |wants| wants.through = true);
        self.hurry.notify_all();
    }

    /// Whether what is pending will be made stable by the segment.
    pub fn is_writing_through(&self) -> bool {
        self.writing_through.get() || self.wants.get().through
    }

    /// Writes what a journal has to the segment, in the background.
    pub fn write_back(self: &Rc<Self>, host: &Rc<dyn Host>) {
        self.want(host, |wants| wants.back = true);
    }

    fn want(self: &Rc<Self>, host: &Rc<dyn Host>, what: impl FnOnce(&mut Wants)) {
        let mut wants = self.wants.get();
        what(&mut wants);
        self.wants.set(wants);
        self.step(host, Input::WriteDue);
    }

    /// A journal has stored all it was handed below `next`.
    pub fn journaled(self: &Rc<Self>, host: &Rc<dyn Host>, next: Offset) {
        self.log.borrow_mut().finish_journaling(next);
        let (stable, last_stable) = self.stable();
        self.step(host, Input::Stable { stable, last_stable });
        self.write_back_if_due(host);
    }

    fn write_back_if_due(self: &Rc<Self>, host: &Rc<dyn Host>) {
        let due = { self.log().is_behind() && self.log().unwritten_bytes() >= host.write_back_bytes() };
        if due && !self.wants.get().back && self.machine().state().io != Io::Writing {
            self.write_back(host);
        }
    }

    /// Writes what is stable now and lies below an offset to the segments and, if asked to, syncs it, in the background.
    /// More may come along. Gives up when the log fails or closes.
    pub async fn bring_back(self: &Rc<Self>, host: &Rc<dyn Host>, below: Offset, sync: bool) {
        let target = below.min(self.log().stable_offset());
        let reached = |log: &Log| if sync { log.flushed_offset() } else { log.written_offset() };
        while reached(&self.log()) < target && self.machine().state().is_served() {
            let before = reached(&self.log());
            let ended = self.ios.notified();
            self.want(host, |wants| (wants.back, wants.sync) = (true, wants.sync || sync));
            ended.await;
            if reached(&self.log()) == before {
                // It is being sealed, or another job had its turn.
                runtime::sleep(MARK_PAUSE).await;
            }
        }
    }

    /// A sync of the whole file system has covered what the log had written at `point`.
    pub fn synced(&self, host: &Rc<dyn Host>, point: SyncPoint) {
        self.log.borrow_mut().finish_sync(point);
        host.flushed(self);
    }

    /// Moves the recovery point to the waypoint, in the background; tries no longer than a while.
    pub async fn mark(self: &Rc<Self>, host: &Rc<dyn Host>, mut waypoint: Waypoint) {
        for _ in 0..MARK_TRIES {
            let is_due = { self.log().flushed_offset() < waypoint.offset() };
            if is_due {
                self.bring_back(host, waypoint.offset(), true).await;
            }
            if !self.machine().state().is_served() {
                return;
            }
            let begun = { self.log.borrow_mut().begin_marking(waypoint) };
            match begun {
                Ok(marking) => return self.run_marking(host, marking).await,
                Err(back) => waypoint = back,
            }
            runtime::sleep(MARK_PAUSE).await;
        }
    }

    /// Indexes are sealed or marked, one after the other.
    async fn run_marking(self: &Rc<Self>, host: &Rc<dyn Host>, marking: Marking) {
        self.sealing.set(true);
        let marked = marking.run().await;
        let result = self.log.borrow_mut().finish_marking(marked);
        self.sealing.set(false);
        self.seals.notify_all();
        match result {
            Ok(()) => self.seal_if_due(host),
            Err(error) if error.is_shortage() => {
                host.short(&self.home, &error);
            }
            Err(error) => self.fail(host, Input::StorageFailed, error),
        }
    }

    /// One write. It first runs after its spawner yields, so it takes all of that turn's batches.
    pub(super) async fn write(self: Rc<Self>, host: Rc<dyn Host>) {
        let write = async || {
            // Given back while the disk is full: other disks are written meanwhile.
            let _room = self.room_to_write_back(&host).await;
            self.write_next().await
        };
        let result = self.until_supplied(&host, write).await;
        self.writing_through.set(false);
        self.io_ended(&host, result);
        self.write_back_if_due(&host);
    }

    /// What nobody waits for is copied when it can be written soon; until somebody does wait.
    async fn room_to_write_back(&self, host: &Rc<dyn Host>) -> Option<Charge> {
        let hurried = self.hurry.notified();
        let wants = self.wants.get();
        if wants.through || !wants.back {
            return None;
        }
        let bytes = self.log().unwritten_bytes().min(JOB_BYTES_MAX);
        match select(pin!(host.writing_back().charge(bytes)), hurried).await {
            Either::Left((charge, _)) => Some(charge),
            Either::Right(_) => None,
        }
    }

    async fn write_next(&self) -> Result<(), StorageError> {
        let before = self.wants.get();
        let Some(write) = self.next_write() else { return Ok(()) };
        let result = self.run_write(write).await;
        if let Err(StorageError::Shortage { .. }) = result {
            let now = self.wants.get();
            let (through, back, sync) =
                (now.through || before.through, now.back || before.back, now.sync || before.sync);
            self.wants.set(Wants { through, back, sync });
        }
        result
    }

    fn next_write(&self) -> Option<Write> {
        let mut wants = self.wants.get();
        let mut log = self.log.borrow_mut();
        let mut write = None;
        if std::mem::take(&mut wants.through) {
            self.writing_through.set(true);
            write = log.begin_write();
        }
        if write.is_none() && std::mem::take(&mut wants.back) {
            write = log.begin_write_back();
        }
        if write.is_none() && std::mem::take(&mut wants.sync) {
            write = log.begin_sync();
        }
        self.wants.set(wants);
        write
    }

    pub(super) async fn run_write(&self, write: Write) -> Result<(), StorageError> {
        let written = write.run().await;
        self.log.borrow_mut().finish_write(written).map(drop)
    }
}
