//! The leader of a partition whose only replica is here: the high watermark is what our own disk has.

use super::delayed::{ParkedAppend, ParkedAppends, ParkedFetches, UnreadableBatches};
use super::input::{Arrival, Input, Output, Outputs, Sequence, Ticket, WaitId};
use super::state::{Io, State};
use crate::error::{AppendError, ReadError, Unavailable};
use crate::limits::TRIM_AFTER_IDLE;
use crate::message::{AppendOk, Isolation};
use crate::runtime::Instant;
use crate::types::{LeaderEpoch, Offset, Timestamp};

/// One replica; every change of it goes through [`Partition::step`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partition {
    state: State,
    appends: ParkedAppends,
    fetches: ParkedFetches,
    unreadable: UnreadableBatches,
}

impl Partition {
    pub fn new(state: State) -> Self {
        Self {
            state,
            appends: ParkedAppends::default(),
            fetches: ParkedFetches::default(),
            unreadable: UnreadableBatches::default(),
        }
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn appends_parked(&self) -> usize {
        self.appends.len()
    }

    pub fn fetches_parked(&self) -> usize {
        self.fetches.len()
    }

    /// Whether a request made with this knowledge of the leader may be served (KIP-320).
    pub fn check_epoch(&self, expected: Option<LeaderEpoch>) -> Result<(), Unavailable> {
        match (self.state.closed, expected) {
            (Some(reason), _) => Err(reason),
            (None, Some(epoch)) if epoch < self.state.leader_epoch => Err(Unavailable::FencedLeaderEpoch),
            (None, Some(epoch)) if epoch > self.state.leader_epoch => Err(Unavailable::UnknownLeaderEpoch),
            (None, _) => Ok(()),
        }
    }

    /// Where a read from this offset must stop.
    pub fn check_read(&self, from: Offset, isolation: Isolation) -> Result<Offset, ReadError> {
        // Up to the log end an offset is known to exist, even while it cannot be read yet.
        if from < self.state.log_start || from > self.state.log_end {
            return Err(ReadError::OffsetOutOfRange);
        }
        Ok(self.state.readable_end(isolation))
    }

    pub fn step(&mut self, now: Instant, input: Input, out: &mut Outputs) {
        match input {
            Input::Append(arrival) => self.append(now, arrival, out),
            Input::IoDone { stable, last_stable } => {
                assert_ne!(self.state.io, Io::Idle, "what was not started cannot end");
                self.state.io = Io::Idle;
                self.advance(stable, last_stable, out);
                self.start_io_if_due(out);
                if self.state.stable < self.state.log_end && !self.state.offline {
                    out.push(Output::Commit);
                }
                self.quiet_if_closed(out);
            }
            Input::Stable { stable, last_stable } => {
                self.advance(stable, last_stable, out);
                self.quiet_if_closed(out);
            }
            Input::WriteDue => {
                // When the replica closes, only appends that wait may still start something.
                let wanted = self.state.is_served() || self.state.stable < self.state.log_end;
                self.state.write_due |= wanted && !self.state.offline;
                self.start_io_if_due(out);
            }
            Input::IoFailed => {
                assert_ne!(self.state.io, Io::Idle, "only what is under way can fail");
                self.state.io = Io::Idle;
                self.storage_failed(out);
            }
            Input::StorageFailed => self.storage_failed(out),
            Input::Await { wait, from } => self.await_data(wait, from, out),
            Input::CancelAwait { wait } => self.fetches.remove(wait),
            Input::DeleteRecords { before } => self.delete_records(before, out),
            Input::Remove => self.remove(out),
            Input::LeaderEpoch(epoch) => self.new_leader_epoch(epoch, out),
            Input::Sweep => self.sweep(now, out),
            Input::Close(reason) => self.close(reason, out),
        }
        self.state.check();
    }

    fn append(&mut self, now: Instant, arrival: Arrival, out: &mut Outputs) {
        assert!(arrival.offsets > 0, "a validated batch has records: {arrival:?}");
        match self.decide(&arrival) {
            Err(error) => out.push(Output::Answer { ticket: arrival.ticket, result: Err(error) }),
            Ok(Decision::Duplicate { base, last, timestamp }) => {
                self.park(arrival.ticket, base, last + 1, timestamp);
                self.answer_covered(out);
            }
            Ok(Decision::Append) => self.accept(now, arrival, out),
        }
    }

    fn decide(&self, arrival: &Arrival) -> Result<Decision, AppendError> {
        self.check_epoch(arrival.leader_epoch_expected)?;
        if self.state.offline {
            return Err(Unavailable::Storage.into());
        }
        if arrival.too_large {
            return Err(AppendError::BatchTooLarge);
        }
        match arrival.sequence {
            Sequence::Follows => Ok(Decision::Append),
            Sequence::Duplicate { base, last, timestamp } => Ok(Decision::Duplicate { base, last, timestamp }),
            Sequence::OutOfOrder => Err(AppendError::OutOfOrderSequence),
            Sequence::Fenced => Err(AppendError::InvalidProducerEpoch),
        }
    }

    fn accept(&mut self, now: Instant, arrival: Arrival, out: &mut Outputs) {
        let base = self.state.log_end;
        let next = base + arrival.offsets;
        self.state.log_end = next;
        self.state.untrimmed_since = Some(now);
        self.unreadable.push(next, arrival.bytes);
        self.park(arrival.ticket, base, next, arrival.log_append_time);
        out.push(Output::Append { base, leader_epoch: self.state.leader_epoch });
        out.push(Output::Commit);
    }

    fn park(&mut self, ticket: Ticket, base: Offset, needs: Offset, log_append_time: Timestamp) {
        self.appends.park(ParkedAppend { needs, ticket, base, log_append_time });
    }

    /// One operation at a time: what becomes due during a write goes out together with the next. Removal is rare and
    /// short, and would never have its turn behind writes.
    fn start_io_if_due(&mut self, out: &mut Outputs) {
        if self.state.io != Io::Idle || self.state.offline {
            return;
        }
        if self.state.removal_due {
            self.state.removal_due = false;
            self.state.io = Io::Removing;
            out.push(Output::StartRemoval);
        } else if self.state.write_due {
            self.state.write_due = false;
            self.state.io = Io::Writing;
            out.push(Output::StartWrite);
        }
    }

    /// The only replica is here: what our disk has, all have.
    fn advance(&mut self, stable: Offset, last_stable: Offset, out: &mut Outputs) {
        assert!(stable >= self.state.stable, "what is on disk stays there");
        self.state.stable = stable;
        self.state.high_watermark = stable;
        self.state.last_stable = last_stable.max(self.state.log_start);
        self.answer_covered(out);
        self.tell_fetches(out);
    }

    fn answer_covered(&mut self, out: &mut Outputs) {
        while let Some(append) = self.appends.pop_covered(self.state.high_watermark) {
            let result = Ok(AppendOk {
                base_offset: append.base,
                log_append_time: append.log_append_time,
                log_start_offset: self.state.log_start,
            });
            out.push(Output::Answer { ticket: append.ticket, result });
        }
    }

    fn tell_fetches(&mut self, out: &mut Outputs) {
        let bytes = self.unreadable.take_below(self.state.high_watermark);
        if bytes == 0 {
            return;
        }
        let past = self.fetches.below(self.state.high_watermark);
        out.extend(past.map(|wait| Output::Arrived { wait, bytes }));
    }

    fn storage_failed(&mut self, out: &mut Outputs) {
        if !self.state.offline {
            self.state.offline = true;
            self.state.write_due = false;
            out.push(Output::WentOffline);
        }
        while let Some(append) = self.appends.pop_any() {
            out.push(Output::Answer { ticket: append.ticket, result: Err(Unavailable::Storage.into()) });
        }
        self.quiet_if_closed(out);
    }

    fn await_data(&mut self, wait: WaitId, from: Offset, out: &mut Outputs) {
        let known = self.state.closed.is_none() && self.check_read(from, Isolation::ReadUncommitted).is_ok();
        if known {
            self.fetches.park(wait, from);
        } else {
            out.push(Output::Disturbed { wait });
        }
    }

    fn delete_records(&mut self, before: Option<Offset>, out: &mut Outputs) {
        let to = before.unwrap_or(self.state.high_watermark);
        let result = match self.check_delete(to) {
            Err(error) => Err(error),
            Ok(()) => {
                if to > self.state.log_start {
                    self.advance_start(to, out);
                }
                Ok(self.state.log_start)
            }
        };
        out.push(Output::Deleted { result });
    }

    fn check_delete(&self, to: Offset) -> Result<(), ReadError> {
        self.check_epoch(None)?;
        if self.state.offline {
            return Err(Unavailable::Storage.into());
        }
        if to < Offset::ZERO || to > self.state.high_watermark {
            return Err(ReadError::OffsetOutOfRange);
        }
        Ok(())
    }

    fn advance_start(&mut self, to: Offset, out: &mut Outputs) {
        self.state.log_start = to;
        self.state.last_stable = self.state.last_stable.max(to);
        self.state.removal_due = true;
        out.push(Output::AdvanceStart { to });
        self.disturb_fetches_below(to, out);
        self.start_io_if_due(out);
    }

    fn remove(&mut self, out: &mut Outputs) {
        if self.state.closed.is_none() && !self.state.offline {
            self.state.removal_due = true;
            self.start_io_if_due(out);
        }
    }

    fn disturb_fetches_below(&mut self, start: Offset, out: &mut Outputs) {
        out.extend(self.fetches.below(start).map(|wait| Output::Disturbed { wait }));
        self.fetches.remove_below(start);
    }

    fn new_leader_epoch(&mut self, epoch: LeaderEpoch, out: &mut Outputs) {
        if epoch > self.state.leader_epoch {
            self.state.leader_epoch = epoch;
            out.push(Output::BeginEpoch(epoch));
            self.disturb_all_fetches(out);
        }
    }

    fn disturb_all_fetches(&mut self, out: &mut Outputs) {
        self.disturb_fetches_below(Offset(i64::MAX), out);
    }

    fn sweep(&mut self, now: Instant, out: &mut Outputs) {
        let idle = self.state.untrimmed_since.is_some_and(|since| now >= since + TRIM_AFTER_IDLE);
        if self.state.offline || self.state.closed.is_some() {
            self.state.untrimmed_since = None;
        } else if idle && self.state.is_quiet() {
            self.state.untrimmed_since = None;
            self.state.io = Io::Trimming;
            out.push(Output::StartTrim);
        }
    }

    fn close(&mut self, reason: Unavailable, out: &mut Outputs) {
        self.state.closed = Some(reason);
        self.disturb_all_fetches(out);
        self.quiet_if_closed(out);
    }

    fn quiet_if_closed(&self, out: &mut Outputs) {
        if self.state.closed.is_some() && self.state.is_quiet() {
            out.push(Output::Quiet);
        }
    }
}

/// What becomes of a batch that is not refused.
enum Decision {
    Append,
    Duplicate { base: Offset, last: Offset, timestamp: Timestamp },
}
