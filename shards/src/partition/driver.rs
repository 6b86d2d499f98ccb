//! Runs what a partition asks for on its log: the one file of this room with effects.
//!
//! No borrow of the replica is held across an await, nor while its host is told something.

mod segment_driver;
mod shortage_driver;

use super::input::{Arrival, Input, Output, Outputs, Sequence, Ticket, WaitId};
use super::leader::Partition;
use super::state::{Io, State};
use crate::budget::Budget;
use crate::error::{ReadError, Unavailable};
use crate::limits::{REMOVAL_PAUSE, REPLACEMENT_POLL, TRIM_AFTER_IDLE};
use crate::log::cleaner::{self, CleanError, Cleaned, Dirt, Means};
use crate::log::{self, Admission, Doomed, Expiry, Log, ProducerError, Seal, StorageError};
use crate::message::{AppendPart, AppendResult, LogDirIndex};
use crate::record::{TimestampType, ValidBatch};
use crate::runtime::sync::Notify;
use crate::runtime::{self, Class};
use crate::types::{LeaderEpoch, Offset, Timestamp, TopicPartition};
use segment_driver::Wants;
use std::cell::{Cell, Ref, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

type CleanResult = Result<Cleaned, CleanError>;

/// Who a replica lives with: told what became of requests. Called with nothing borrowed.
pub trait Host {
    fn decided(&self, ticket: Ticket, result: AppendResult);
    fn arrived(&self, wait: WaitId, bytes: u64);
    fn disturbed(&self, wait: WaitId);
    /// The log has taken a batch.
    fn appended(&self, replica: &Rc<Replica>);
    /// What is pending is to be made stable: by [`Replica::journaled`], or by [`Replica::write_through`].
    fn commit(&self, replica: &Rc<Replica>);
    /// How many journaled bytes may wait before they are written to the segment.
    fn write_back_bytes(&self) -> usize;
    /// What is on its way from journaled batches to segments.
    fn writing_back(&self) -> &Budget;
    /// More of the log may be on stable storage in its segments.
    fn flushed(&self, replica: &Replica);
    /// The log's tail takes another amount of memory.
    fn tail_changed(&self, replica: &Replica);
    /// These files are to be removed after so long.
    fn doomed(&self, doomed: Doomed, delay: Duration);
    /// The process is out of descriptors or memory; what is to be done waits.
    fn short(&self, home: &Home, cause: &StorageError);
    /// Said once per replica.
    fn went_offline(&self, home: &Home, cause: &StorageError);
}

/// Where a partition lives.
#[derive(Clone, Debug)]
pub struct Home {
    pub partition: TopicPartition,
    pub topic: Arc<str>,
    pub log_dir: LogDirIndex,
    /// Name of its directory in the log directory.
    pub directory: String,
}

/// A partition with its log.
pub struct Replica {
    home: Home,
    machine: RefCell<Partition>,
    log: RefCell<Log>,
    /// A list for the next step, so that steps do not allocate.
    spare: Cell<Outputs>,
    failure: RefCell<Option<StorageError>>,
    quiet: Notify,
    sealing: Cell<bool>,
    seals: Notify,
    wants: Cell<Wants>,
    writing_through: Cell<bool>,
    ios: Notify,
    /// Rung when somebody waits for what is being written back.
    hurry: Notify,
    /// In the list that its host's sweep walks.
    pub listed: Cell<bool>,
    /// In the list of those that are to be flushed at some time.
    pub flush_listed: Cell<bool>,
    /// In the line of a journal.
    pub in_line: Cell<bool>,
    /// Unwritten bytes that its host has counted.
    pub unwritten: Cell<usize>,
    /// The recovery point that was last told to be recorded.
    pub told_point: Cell<Offset>,
    /// Appends that wait while the partition is taken to another log directory.
    held: RefCell<Option<Vec<(Ticket, AppendPart)>>>,
}

impl Replica {
    pub fn new(home: Home, leader_epoch: LeaderEpoch, mut log: Log) -> Self {
        if log.epochs().latest().is_none_or(|latest| latest.epoch < leader_epoch) {
            log.assign_epoch(leader_epoch);
        }
        let (start, end) = (log.start_offset(), log.end_offset());
        let mut state = State::opened(leader_epoch, start, log.last_stable_offset(end), end);
        state.untrimmed_since = (!log.is_tidy()).then(runtime::now);
        Self {
            home,
            machine: RefCell::new(Partition::new(state)),
            log: RefCell::new(log),
            spare: Cell::default(),
            failure: RefCell::default(),
            quiet: Notify::new(),
            sealing: Cell::new(false),
            seals: Notify::new(),
            wants: Cell::default(),
            writing_through: Cell::default(),
            ios: Notify::new(),
            hurry: Notify::new(),
            listed: Cell::new(false),
            flush_listed: Cell::new(false),
            in_line: Cell::new(false),
            unwritten: Cell::new(0),
            told_point: Cell::new(Offset::ZERO),
            held: RefCell::default(),
        }
    }

    pub fn home(&self) -> &Home {
        &self.home
    }

    pub fn machine(&self) -> Ref<'_, Partition> {
        self.machine.borrow()
    }

    pub fn log(&self) -> Ref<'_, Log> {
        self.log.borrow()
    }

    pub fn log_mut(&self) -> RefMut<'_, Log> {
        self.log.borrow_mut()
    }

    /// Moves the log start past segments that retention lets go; they are removed later.
    pub async fn retain(self: &Rc<Self>, host: &Rc<dyn Host>) -> Result<Option<Expiry>, StorageError> {
        let high_watermark = self.machine().state().high_watermark;
        let expiry = log::expired(&self.log, high_watermark, runtime::wall_clock()).await?;
        if let Some(expiry) = expiry {
            return Ok(self.delete_records(host, Some(expiry.start)).is_ok().then_some(expiry));
        }
        if self.log.borrow().has_removable() {
            self.step(host, Input::Remove);
        }
        Ok(None)
    }

    /// Offers a batch to the partition; the host hears the decision, now or when the batch is on disk.
    pub fn append(self: &Rc<Self>, host: &Rc<dyn Host>, ticket: Ticket, part: &AppendPart) {
        self.notice_failure(host);
        if let Some(held) = &mut *self.held.borrow_mut() {
            return held.push((ticket, part.clone()));
        }
        let arrival = self.arrival(ticket, part);
        self.step_with(host, Input::Append(arrival), Some(&part.batch));
    }

    /// From now on appends wait for [`Replica::release`].
    pub fn hold(&self) {
        self.held.borrow_mut().get_or_insert_default();
    }

    pub fn is_held(&self) -> bool {
        self.held.borrow().is_some()
    }

    /// What waits is not appended anywhere.
    pub fn refuse_held(&self, host: &Rc<dyn Host>, reason: Unavailable) {
        for (ticket, _) in self.held.take().into_iter().flatten() {
            host.decided(ticket, Err(reason.into()));
        }
    }

    /// Takes over what waits at the one it replaces.
    pub fn take_held(&self, from: &Self) {
        *self.held.borrow_mut() = from.held.take();
    }

    /// Appends what waits, in its order.
    pub fn release(self: &Rc<Self>, host: &Rc<dyn Host>) {
        for (ticket, part) in self.held.take().into_iter().flatten() {
            self.append(host, ticket, &part);
        }
    }

    /// The log may have failed outside of a write, at sealing a segment or removing one.
    fn notice_failure(self: &Rc<Self>, host: &Rc<dyn Host>) {
        let failure = self.log.borrow().failure().cloned();
        if let Some(error) = failure.filter(|_| !self.machine().state().offline) {
            self.fail(host, Input::StorageFailed, error);
        }
    }

    fn arrival(&self, ticket: Ticket, part: &AppendPart) -> Arrival {
        let header = &part.batch.header;
        let stamped = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
        let log = self.log.borrow();
        Arrival {
            ticket,
            offsets: i64::from(header.last_offset_delta) + 1,
            bytes: part.batch.bytes.len() as u64,
            log_append_time: if stamped { header.max_timestamp } else { Timestamp::NONE },
            leader_epoch_expected: part.leader_epoch_expected,
            sequence: sequence(&log, &part.batch),
            too_large: part.batch.bytes.len() > log.config().segment_bytes as usize,
        }
    }

    /// Moves the log start and returns it; files below it go later.
    pub fn delete_records(self: &Rc<Self>, host: &Rc<dyn Host>, before: Option<Offset>) -> Result<Offset, ReadError> {
        self.step(host, Input::DeleteRecords { before }).expect("deleting records has a result")
    }

    /// Takes no more requests, answering them with `reason`, and ends what is under way.
    pub async fn close(self: &Rc<Self>, host: &Rc<dyn Host>, reason: Unavailable) {
        let quiet = self.quiet.notified();
        self.step(host, Input::Close(reason));
        quiet.await;
        self.sealed().await;
        self.replaced().await;
    }

    /// One step of the machine, and all it asks for. Returns what [`Output::Deleted`] brought.
    pub fn step(self: &Rc<Self>, host: &Rc<dyn Host>, input: Input) -> Option<Result<Offset, ReadError>> {
        self.step_with(host, input, None)
    }

    fn step_with(
        self: &Rc<Self>,
        host: &Rc<dyn Host>,
        input: Input,
        batch: Option<&ValidBatch>,
    ) -> Option<Result<Offset, ReadError>> {
        let mut outputs = self.spare.take();
        self.machine.borrow_mut().step(runtime::now(), input, &mut outputs);
        let mut deleted = None;
        for output in outputs.drain(..) {
            match output {
                Output::Append { base, leader_epoch } => {
                    self.append_to_log(base, leader_epoch, batch.expect("only a batch at hand is appended"));
                    host.appended(self);
                }
                Output::Deleted { result } => deleted = Some(result),
                other => self.run(host, other),
            }
        }
        self.spare.set(outputs);
        deleted
    }

    fn run(self: &Rc<Self>, host: &Rc<dyn Host>, output: Output) {
        match output {
            Output::Commit => host.commit(self),
            Output::StartWrite => {
                let class = if self.wants.get().through { Class::Data } else { Class::Background };
                runtime::spawn_in(class, self.clone().write(host.clone()));
            }
            Output::StartTrim => runtime::spawn_in(Class::Background, self.clone().trim(host.clone())),
            Output::Answer { ticket, result } => host.decided(ticket, result),
            Output::Arrived { wait, bytes } => host.arrived(wait, bytes),
            Output::Disturbed { wait } => host.disturbed(wait),
            Output::StartRemoval => runtime::spawn_in(Class::Background, self.clone().remove(host.clone())),
            Output::AdvanceStart { to } => {
                self.log.borrow_mut().advance_start(to);
            }
            Output::BeginEpoch(epoch) => self.log.borrow_mut().assign_epoch(epoch),
            Output::WentOffline => self.say_offline(host),
            Output::Quiet => self.quiet.notify_all(),
            Output::Append { .. } | Output::Deleted { .. } => unreachable!("handled by the step itself"),
        }
    }

    fn append_to_log(&self, base: Offset, leader_epoch: LeaderEpoch, batch: &ValidBatch) {
        let appended = self.log.borrow_mut().append(batch, leader_epoch, runtime::wall_clock());
        let appended = appended.expect("the log is sound and the batch was checked against it in this very turn");
        assert!(appended.first == base && !appended.duplicate, "the log and its partition agree where it ends");
    }

    async fn trim(self: Rc<Self>, host: Rc<dyn Host>) {
        let result = self.until_supplied(&host, async || log::trim(&self.log).await).await;
        self.io_ended(&host, result);
    }

    async fn remove(self: Rc<Self>, host: Rc<dyn Host>) {
        let result = self.until_supplied(&host, async || self.remove_segments(&host).await).await;
        let more = matches!(result, Ok(true)) && self.log.borrow().has_removable();
        self.io_ended(&host, result.map(drop));
        if more {
            runtime::sleep(REMOVAL_PAUSE).await;
            self.step(&host, Input::Remove);
        }
    }

    /// Removes some of what lies below the log start; returns whether it did. What of that is in memory only is written
    /// first and sealed, and where it is everything, the new segment gets its file.
    async fn remove_segments(&self, host: &Rc<dyn Host>) -> Result<bool, StorageError> {
        self.sealed().await;
        self.replaced().await;
        while !self.remove_settled(host).await? {
            let write = { self.log.borrow_mut().begin_write_below_start() };
            if let Some(write) = write {
                self.run_write(write).await?;
                continue;
            }
            let seal = { self.log.borrow_mut().begin_seal() };
            let Some(seal) = seal else { return Ok(false) };
            let sealed = seal.run().await;
            self.log.borrow_mut().finish_seal(sealed)?;
        }
        Ok(true)
    }

    /// Returns whether there was something to remove.
    async fn remove_settled(&self, host: &Rc<dyn Host>) -> Result<bool, StorageError> {
        let deletion = self.log.borrow_mut().begin_deletion(runtime::wall_clock());
        let Some(deletion) = deletion else { return Ok(false) };
        let deleted = deletion.run().await;
        let doomed = self.log.borrow_mut().finish_deletion(deleted)?;
        self.remove_later(host, doomed);
        Ok(true)
    }

    /// How dirty its log is; `None` when it is not compacted.
    pub async fn survey(&self) -> Result<Option<Dirt>, StorageError> {
        let high_watermark = self.machine().state().high_watermark;
        cleaner::survey(&self.log, high_watermark, runtime::wall_clock()).await
    }

    /// Compacts its log.
    pub async fn clean(self: &Rc<Self>, host: &Rc<dyn Host>, dirt: &Dirt, means: &Means<'_>) -> CleanResult {
        let result = cleaner::clean(&self.log, dirt, means).await;
        host.tail_changed(self);
        self.notice_failure(host);
        result
    }

    /// Whoever reads the segments now may go on meanwhile.
    pub fn remove_later(&self, host: &Rc<dyn Host>, doomed: Doomed) {
        let delay = Duration::from_millis(self.log.borrow().config().file_delete_delay_ms);
        host.doomed(doomed, delay);
    }

    fn io_ended(self: &Rc<Self>, host: &Rc<dyn Host>, result: Result<(), StorageError>) {
        match result {
            Err(error) => {
                self.wants.take();
                self.fail(host, Input::IoFailed, error);
            }
            Ok(()) => {
                host.tail_changed(self);
                host.flushed(self);
                self.seal_if_due(host);
                let (stable, last_stable) = self.stable();
                self.step(host, Input::IoDone { stable, last_stable });
                self.go_on(host);
            }
        }
        self.ios.notify_all();
    }

    /// How far the log is stable, and below where no transaction is open.
    fn stable(&self) -> (Offset, Offset) {
        let mut log = self.log.borrow_mut();
        let stable = log.stable_offset();
        log.advance_high_watermark(stable);
        (stable, log.last_stable_offset(stable))
    }

    /// What was wanted meanwhile has its turn; without any, files that are idle are trimmed.
    fn go_on(self: &Rc<Self>, host: &Rc<dyn Host>) {
        let (settled, wants) = (self.log().is_settled(), self.wants.get() != Wants::default());
        let idle = { self.machine().state().io == Io::Idle };
        if wants && idle {
            self.step(host, Input::WriteDue);
        } else if settled && !wants {
            self.step(host, Input::Sweep);
        }
    }

    /// Rolled segments get their final form beside the writes that follow.
    fn seal_if_due(self: &Rc<Self>, host: &Rc<dyn Host>) {
        if !self.sealing.get()
            && let Some(seal) = self.log.borrow_mut().begin_seal()
        {
            self.sealing.set(true);
            runtime::spawn_in(Class::Background, self.clone().seal(host.clone(), seal));
        }
    }

    async fn seal(self: Rc<Self>, host: Rc<dyn Host>, first: Seal) {
        let mut next = Some(first);
        let mut result = Ok(());
        while let Some(seal) = next {
            let sealed = seal.run().await;
            result = self.log.borrow_mut().finish_seal(sealed);
            if result.is_err() {
                if !self.is_short(&host, &result).await {
                    break;
                }
                result = Ok(());
            }
            next = self.log.borrow_mut().begin_seal();
        }
        self.sealing.set(false);
        self.seals.notify_all();
        host.flushed(&self);
        if let Err(error) = result {
            self.fail(&host, Input::StorageFailed, error);
        }
    }

    async fn sealed(&self) {
        while self.sealing.get() {
            self.seals.notified().await;
        }
    }

    /// The cleaner puts one segment in the place of others in a moment.
    async fn replaced(&self) {
        while self.log.borrow().is_replacing() {
            runtime::sleep(REPLACEMENT_POLL).await;
        }
    }

    fn fail(self: &Rc<Self>, host: &Rc<dyn Host>, input: Input, error: StorageError) {
        *self.failure.borrow_mut() = Some(error);
        self.step(host, input);
    }

    /// Its log directory failed: whatever waits is answered with KAFKA_STORAGE_ERROR, and nothing more is begun.
    pub fn abandon(self: &Rc<Self>, host: &Rc<dyn Host>) {
        self.log.borrow_mut().abandon();
        self.failure.borrow_mut().get_or_insert_with(StorageError::elsewhere);
        self.step(host, Input::StorageFailed);
        self.step(host, Input::Close(Unavailable::Storage));
        self.release(host);
    }

    fn say_offline(&self, host: &Rc<dyn Host>) {
        let failure = self.failure.borrow().clone();
        host.went_offline(&self.home, &failure.expect("a failure came before going offline"));
    }

    /// Leaves the files as a clean stop must, after [`Replica::close`].
    pub async fn close_log(&self) -> Result<(), StorageError> {
        log::close(&self.log).await
    }

    /// As `close_log`, but for a sync of the file system and [`Log::finish_close`].
    pub async fn close_log_unsynced(&self) -> Result<(), StorageError> {
        log::close_unsynced(&self.log).await
    }

    /// Time to look whether the files should be trimmed. Returns whether it will be time again.
    pub fn sweep(self: &Rc<Self>, host: &Rc<dyn Host>) -> bool {
        let since = self.machine().state().untrimmed_since;
        let is_idle = since.is_some_and(|since| runtime::now() >= since + TRIM_AFTER_IDLE);
        let (settled, behind) = (self.log().is_settled(), self.log().is_behind());
        if settled || self.log().failure().is_some() {
            self.step(host, Input::Sweep);
        } else if is_idle && behind {
            self.write_back(host);
        }
        self.machine().state().untrimmed_since.is_some()
    }
}

fn sequence(log: &Log, batch: &ValidBatch) -> Sequence {
    match log.producers().check(&batch.header) {
        Ok(Admission::New) => Sequence::Follows,
        Ok(Admission::Duplicate(before)) => {
            Sequence::Duplicate { base: before.first_offset(), last: before.last_offset, timestamp: before.timestamp }
        }
        Err(ProducerError::OutOfOrderSequence { .. }) => Sequence::OutOfOrder,
        Err(ProducerError::InvalidEpoch { .. }) => Sequence::Fenced,
    }
}
