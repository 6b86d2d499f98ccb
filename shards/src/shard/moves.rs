//! Partitions on their way from one log directory to another (KIP-113): copied while they are served and appended to,
//! then put in the place of the original at once.
//!
//! ```text
//!  copy   B/t-0.<hash>-future grows behind A/t-0
//!  hold   appends wait; the copy takes the rest, is synced and closed in order
//!  tell   B's checkpoint file has the log start; the controller records that the partition lies in B: from here on the copy
//!         is the partition
//!  swap   B/t-0.<hash>-future becomes B/t-0, durably; it is opened and served, appends go on; A/t-0 becomes -delete
//! ```
//! A start finds by the controller's word which of both is right, and both are complete as long as appends wait. So nothing
//! is ever appended in another directory than the recorded one, and what A's journal has of the partition is needed no more
//! once the word is recorded.

mod table;

pub(super) use table::Moves;

use super::Shard;
use super::change::{Slot, unique};
use crate::error::{MoveError, Unavailable};
use crate::limits::{MOVE_CHUNK_BYTES, MOVE_PAUSE, MOVE_RETRY, MOVE_RETRY_MAX, SHORTAGE_PAUSE};
use crate::log::{self, Doomed, Log, OpenError, Opening, ReadPlan, StorageError, names, partition_metadata};
use crate::message::{FutureDescription, LogDirIndex, MovePart, News};
use crate::partition::driver::{Home, Replica};
use crate::record::BatchHeader;
use crate::runtime::sync::oneshot;
use crate::runtime::{self, Class, Directory};
use crate::types::{Offset, TopicPartition};
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;
use table::{Move, Stage};

/// Why a move does not go on.
enum Interruption {
    /// It was cancelled or suspended, or the partition closed.
    Over,
    /// The copy begins anew: its original starts past its end.
    Outrun,
    /// Of the copy's directory.
    Copy(StorageError),
    /// Of the original.
    Original(StorageError),
    /// The controller did not take it.
    Refused,
}

impl Shard {
    /// Begins, changes or cancels a move.
    pub(super) fn move_partition(&self, part: &MovePart) -> Result<(), MoveError> {
        let replica = match self.slots.borrow().get(&part.partition) {
            Some(Slot::Open(replica)) => replica.clone(),
            Some(Slot::Failed(Some(_))) => return Err(MoveError::Storage),
            Some(Slot::Failed(None) | Slot::Opening) | None => return Err(MoveError::NotAvailable),
        };
        if self.is_offline(part.to) {
            return Err(MoveError::Storage);
        }
        if let Some(under_way) = self.moves.get(part.partition) {
            if under_way.to == part.to {
                return Ok(());
            }
            if !under_way.cancel() {
                return Err(MoveError::NotAvailable);
            }
            self.moves.remove(part.partition, &under_way);
        }
        if replica.home().log_dir == part.to {
            return Ok(());
        }
        let home = replica.home();
        let name = names::future_directory(&home.topic, home.partition.partition, unique());
        let name = name.ok_or(MoveError::NameTooLong)?;
        if !part.may_begin {
            return Err(MoveError::Storage);
        }
        self.begin_move(&replica, part.to, name);
        Ok(())
    }

    /// Also goes on with what an earlier run began.
    pub(super) fn begin_move(&self, replica: &Rc<Replica>, to: LogDirIndex, name: String) {
        let Ok(parent) = self.log_dir(to) else { return };
        if self.is_offline(to) || to == replica.home().log_dir {
            return;
        }
        let moving = Rc::new(Move {
            to,
            name,
            stage: Cell::new(Stage::Copying),
            sure: Cell::new(replica.log().end_offset()),
            end: Cell::new(Offset::ZERO),
            size: Cell::default(),
            told: RefCell::default(),
        });
        self.moves.under_way.borrow_mut().insert(replica.home().partition, moving.clone());
        let shard = self.myself.upgrade().expect("a shard that runs is alive");
        let task = Mover { shard, replica: replica.clone(), moving, parent: parent.clone() };
        runtime::spawn_in(Class::Background, task.run());
    }

    /// The controller has, or has not, recorded where the partition lies.
    pub(super) fn assigned(&self, partition: TopicPartition, is_recorded: bool) {
        let told = self.moves.get(partition).and_then(|moving| moving.told.take());
        if let Some(told) = told {
            let _ = told.send(is_recorded);
        }
    }

    /// The copies there stay for the next start.
    pub(super) fn suspend_moves(&self, concerned: impl Fn(LogDirIndex) -> bool) {
        for moving in self.moves.under_way.borrow().values().filter(|moving| concerned(moving.to)) {
            moving.suspend();
        }
    }

    pub(super) async fn moves_rest(&self) {
        self.suspend_moves(|_| true);
        while !self.moves.under_way.borrow().is_empty() {
            runtime::sleep(MOVE_PAUSE).await;
        }
    }

    pub(super) fn describe_future(&self, replica: &Replica) -> Option<FutureDescription> {
        let moving = self.moves.get(replica.home().partition)?;
        if moving.to == replica.home().log_dir {
            // It has arrived, and the original is being put away.
            return None;
        }
        let lag = replica.log().end_offset() - moving.end.get();
        Some(FutureDescription { log_dir: moving.to, size: moving.size.get(), lag })
    }
}

/// The task of one move.
struct Mover {
    shard: Rc<Shard>,
    replica: Rc<Replica>,
    moving: Rc<Move>,
    /// The log directory it goes to.
    parent: Directory,
}

impl Mover {
    async fn run(self) {
        let partition = self.replica.home().partition;
        let mut patience = MOVE_RETRY;
        loop {
            let mut holds = false;
            let interruption = match self.try_once(&mut holds).await {
                Ok(()) => break,
                Err(interruption) => interruption,
            };
            if holds {
                self.replica.release(&self.shard.host());
            }
            match interruption {
                Interruption::Copy(error) | Interruption::Original(error) if error.is_shortage() => {
                    self.shard.say_short(&self.replica.home().directory, &error);
                    runtime::sleep(MOVE_RETRY).await;
                }
                Interruption::Over => break self.leave().await,
                Interruption::Copy(error) => break self.fail(self.moving.to, &error),
                Interruption::Original(error) => break self.fail(self.replica.home().log_dir, &error),
                Interruption::Outrun => {
                    self.discard().await;
                    runtime::sleep(MOVE_RETRY).await;
                }
                Interruption::Refused => {
                    runtime::sleep(patience).await;
                    patience = (patience * 2).min(MOVE_RETRY_MAX);
                }
            }
        }
        self.shard.moves.remove(partition, &self.moving);
    }

    async fn try_once(&self, holds: &mut bool) -> Result<(), Interruption> {
        while self.shard.cleaner.is_at(self.replica.home().partition) {
            runtime::sleep(MOVE_PAUSE).await;
        }
        let log = RefCell::new(self.open_copy().await?);
        self.catch_up(&log, MOVE_CHUNK_BYTES / 2).await?;
        self.complete(&log, holds).await?;
        drop(log);
        self.tell().await?;
        self.swap().await
    }

    /// The copy as far as it has come, or a new one.
    async fn open_copy(&self) -> Result<Log, Interruption> {
        let dir = self.parent.create_dir(&self.moving.name).await.map_err(of_copy)?;
        let topic = self.replica.home().partition.topic;
        match partition_metadata::read_topic_id(&dir).await.map_err(Interruption::Copy)? {
            // Of another topic that had this name.
            Some(written) if written != Ok(topic) => return Err(Interruption::Outrun),
            Some(_) | None => {}
        }
        partition_metadata::write_topic_id(&dir, topic).await.map_err(Interruption::Copy)?;
        self.parent.sync().await.map_err(of_copy)?;
        let log = self.open_log(dir.clone(), false, Offset::ZERO).await?;
        if log.end_offset() > self.moving.sure.get() {
            // Its original lost in a crash what the copy has.
            return Err(Interruption::Outrun);
        }
        let start = { self.replica.log().start_offset() };
        if log.end_offset() >= start && log.size() > 0 {
            return Ok(log);
        }
        drop(log);
        // The first batch may begin before the log start.
        let first = self.read(start).await?;
        let base = BatchHeader::parse(&first).map_or(start, |header| header.base_offset.min(start));
        self.open_log(dir, false, base).await
    }

    async fn open_log(&self, dir: Directory, clean: bool, log_start: Offset) -> Result<Log, Interruption> {
        let config = self.replica.log().config().clone();
        let how =
            Opening { clean, recovery_point: Offset::ZERO, log_start, synced_later: false, now: runtime::wall_clock() };
        let opened = Log::open(dir, config, how).await;
        opened.map_err(|error| match error {
            OpenError::Storage(error) => Interruption::Copy(error),
            OpenError::OldFormat { .. } => Interruption::Outrun,
        })
    }

    /// Until the copy has all that is stable, or all but what has come while `nearly` bytes at most were copied: more
    /// would come for ever.
    async fn catch_up(&self, log: &RefCell<Log>, nearly: usize) -> Result<(), Interruption> {
        loop {
            self.check()?;
            let (end, below) = (log.borrow().end_offset(), self.replica.machine().state().stable);
            let start = { self.replica.log().start_offset() };
            if end < start && log.borrow().size() > 0 {
                return Err(Interruption::Outrun);
            }
            if end >= below {
                return if end > below { Err(Interruption::Outrun) } else { Ok(()) };
            }
            let bytes = self.read(end.max(start)).await?;
            let taken = log.borrow_mut().take_copy(&bytes, runtime::wall_clock());
            if taken.map_err(Interruption::Original)? == end {
                return Err(Interruption::Outrun);
            }
            log::settle(log).await.map_err(Interruption::Copy)?;
            log.borrow_mut().shrink_tail(0);
            let end = log.borrow().end_offset();
            self.moving.end.set(end);
            self.moving.sure.set(self.moving.sure.get().max(end));
            self.moving.size.set(log.borrow().size());
            // A read also ends with its segment.
            if bytes.len() < nearly && end >= below {
                return Ok(());
            }
            // Nobody rests while appends wait.
            let rest = if nearly > 0 { self.pay(bytes.len()) } else { Duration::ZERO };
            self.rest(rest).await?;
        }
    }

    fn pay(&self, bytes: usize) -> Duration {
        self.shard.moves.pace.borrow_mut().spend(bytes, runtime::now())
    }

    /// Ends early when the move does.
    async fn rest(&self, pause: Duration) -> Result<(), Interruption> {
        runtime::yield_now().await;
        let until = runtime::now() + pause;
        while runtime::now() < until {
            self.check()?;
            runtime::sleep(until.saturating_since(runtime::now()).min(MOVE_RETRY)).await;
        }
        Ok(())
    }

    /// Whole batches from there on, at least one if there is any.
    async fn read(&self, from: Offset) -> Result<Bytes, Interruption> {
        let below = { self.replica.machine().state().stable };
        let plan = self.replica.log().plan_read(from, MOVE_CHUNK_BYTES, below, true);
        let records = match plan.map_err(|_| Interruption::Outrun)? {
            ReadPlan::Ready(records) => records,
            ReadPlan::Disk(disk) => {
                let _charge = self.shard.disk_reads.charge(disk.bytes_max()).await;
                disk.run().await.map_err(Interruption::Original)?
            }
        };
        Ok(records.into_bytes())
    }

    /// Holds appends, takes what is left, and leaves the copy as a clean stop would.
    async fn complete(&self, log: &RefCell<Log>, holds: &mut bool) -> Result<(), Interruption> {
        while self.replica.is_held() {
            // By a move that was cancelled a moment ago.
            self.check()?;
            runtime::sleep(MOVE_PAUSE).await;
        }
        self.replica.hold();
        *holds = true;
        while self.replica.machine().state().stable < self.replica.log().end_offset() {
            self.check()?;
            runtime::sleep(MOVE_PAUSE).await;
        }
        self.catch_up(log, 0).await?;
        log.borrow_mut().adopt(&self.replica.log());
        log::close(log).await.map_err(Interruption::Copy)?;
        self.parent.sync().await.map_err(of_copy)
    }

    /// Makes the controller's word the copy's. Whatever comes between, nothing is appended until it is known.
    async fn tell(&self) -> Result<(), Interruption> {
        self.check()?;
        self.moving.stage.set(Stage::Committing);
        let (sender, told) = oneshot();
        *self.moving.told.borrow_mut() = Some(sender);
        let Home { partition, topic, .. } = self.replica.home().clone();
        let log_start = { self.replica.log().start_offset() };
        self.shard.news.tell(News::Assign { partition, topic, log_dir: self.moving.to, log_start });
        match told.await {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.moving.stage.set(Stage::Copying);
                Err(Interruption::Refused)
            }
            Err(_) => {
                // Nobody knows what was recorded: both are complete, and the next start sees.
                match self.shard.stopping.get() {
                    true => self.replica.refuse_held(&self.shard.host(), Unavailable::ShuttingDown),
                    false => self.shard.give_up(&self.replica),
                }
                Err(Interruption::Over)
            }
        }
    }

    async fn swap(&self) -> Result<(), Interruption> {
        let old = self.replica.home();
        let host = self.shard.host();
        let opened = self.promote().await;
        let is_known = self.shard.slots.borrow().contains_key(&old.partition);
        if !is_known || self.shard.is_offline(self.moving.to) || opened.is_err() {
            return self.lose(opened.map(drop), is_known).await;
        }
        let mut log = opened?;
        let start = { self.replica.log().start_offset() };
        log.advance_start(start);
        // It may have changed while the copy was opened.
        log.reconfigure(self.replica.log().config().clone());
        self.shard.equip(&mut log);
        let epoch = self.replica.machine().state().leader_epoch;
        let home = Home { log_dir: self.moving.to, ..old.clone() };
        let new = Rc::new(Replica::new(home, epoch, log));
        self.shard.slots.borrow_mut().insert(old.partition, Slot::Open(new.clone()));
        self.shard.tails.borrow_mut().removed(old.partition);
        new.take_held(&self.replica);
        let (topic, log_dir) = (old.topic.clone(), self.moving.to);
        self.shard.news.tell(News::Moved { partition: old.partition, topic, log_dir });
        new.release(&host);
        self.replica.close(&host, Unavailable::NotReady).await;
        self.shard.forget_unwritten(&self.replica);
        let journaling = self.shard.journaling(old.log_dir);
        journaling.journal.forget(old.partition);
        journaling.notes.forget(old.partition);
        self.retire(old.log_dir).await;
        Ok(())
    }

    /// The partition was deleted meanwhile, or its copy, which is the partition now, cannot be served.
    async fn lose(&self, opened: Result<(), Interruption>, is_known: bool) -> Result<(), Interruption> {
        match is_known {
            true => self.shard.give_up(&self.replica),
            false => {
                // Closed: appends that waited hear that the partition is unknown.
                self.replica.release(&self.shard.host());
                self.retire(self.moving.to).await;
            }
        }
        opened
    }

    /// Gives the copy its name, durably, and opens it as it was closed.
    async fn promote(&self) -> Result<Log, Interruption> {
        let name = &self.replica.home().directory;
        self.parent.rename(&self.moving.name, name).await.map_err(of_copy)?;
        self.parent.sync().await.map_err(of_copy)?;
        loop {
            match self.open_promoted(name).await {
                Err(Interruption::Copy(error)) if error.is_shortage() && !self.shard.stopping.get() => {
                    self.shard.say_short(name, &error);
                    runtime::sleep(SHORTAGE_PAUSE).await;
                }
                opened => return opened,
            }
        }
    }

    async fn open_promoted(&self, name: &str) -> Result<Log, Interruption> {
        let dir = self.parent.open_dir(name).await.map_err(of_copy)?;
        let start = { self.replica.log().start_offset() };
        self.open_log(dir, true, start).await
    }

    /// Takes the partition's directory out of this log directory.
    async fn retire(&self, log_dir: LogDirIndex) {
        let old = self.replica.home();
        let Ok(parent) = self.shard.log_dir(log_dir) else { return };
        match log::retire(parent, &old.topic, old.partition.partition, unique()).await {
            Ok(name) => self.shard.remove_log_later(parent, name, &self.replica),
            Err(error) => self.shard.log_dir_failed(log_dir, format!("{}: {error}", old.directory)),
        }
    }

    fn check(&self) -> Result<(), Interruption> {
        let is_served = { self.replica.machine().state().is_served() };
        let goes_on = self.moving.stage.get() == Stage::Copying && !self.shard.stopping.get();
        if is_served && goes_on { Ok(()) } else { Err(Interruption::Over) }
    }

    /// A copy that nobody wants goes; one that waits for the next start stays.
    async fn leave(&self) {
        let is_gone = { self.replica.machine().state().closed == Some(Unavailable::UnknownPartition) };
        if self.moving.stage.get() == Stage::Cancelled || is_gone {
            self.discard().await;
        }
    }

    async fn discard(&self) {
        let home = self.replica.home();
        let doomed = names::deleted_directory(&home.topic, home.partition.partition, unique());
        let renamed = self.parent.rename(&self.moving.name, &doomed).await;
        match renamed {
            Ok(()) => self.shard.remove_later(Doomed::log(self.parent.clone(), doomed, None), Duration::ZERO),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.shard.log_dir_failed(self.moving.to, error.to_string()),
        }
    }

    fn fail(&self, log_dir: LogDirIndex, error: &StorageError) {
        let name = &self.replica.home().directory;
        tracing::error!("{name} does not move: {error}; it stays where it is, and the next start tries again");
        if error.is_of_disk() {
            self.shard.log_dir_failed(log_dir, format!("{name}: {error}"));
        }
    }
}

fn of_copy(error: io::Error) -> Interruption {
    Interruption::Copy(log::storage_error("moving a log", &error))
}
