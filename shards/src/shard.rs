//! Owns the partitions of one core: takes requests in order, from this core and from others, and answers each once.
//!
//! What can be answered at once is, without a task; what must wait is parked in a table or, when it reads from disk,
//! continued in a task of its own.

mod append;
mod appends;
mod change;
mod cleaner;
mod deadlines;
mod lookup;
mod read;
mod responder;
mod retention;
mod shutdown;
mod sweep;
mod tails;
mod waits;

use crate::budget::Budget;
use crate::error::Unavailable;
use crate::limits;
use crate::log::ReadAhead;
use crate::mailbox::Port;
use crate::message::{CleanerSettings, PartitionChange, Reply, Request};
use crate::partition::driver::{Host, Replica};
use crate::runtime::sync::Notify;
use crate::runtime::{self, Class, Directory};
use crate::types::{ShardId, TopicPartition};
use appends::Appends;
use change::Slot;
use cleaner::Cleaner;
use futures_util::future::{Either, select};
use responder::Responder;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::time::Duration;
use tails::Tails;
use waits::Waits;

/// What a shard is told at its start.
#[derive(Clone)]
pub struct Settings {
    pub id: ShardId,
    /// `log.dirs`, opened on this shard.
    pub log_dirs: Vec<Directory>,
    /// Bytes that the written tails of its logs may keep in memory for readers.
    pub tail_bytes_max: usize,
    /// Bytes that requests of its connections may hold ([`crate::Shards::budget`]).
    pub request_bytes_max: usize,
    /// How often segments whose time has come are looked for.
    pub retention_check: Duration,
    pub cleaner: CleanerSettings,
}

impl Settings {
    pub fn new(id: ShardId, log_dirs: Vec<Directory>) -> Self {
        Self {
            id,
            log_dirs,
            tail_bytes_max: limits::TAIL_BYTES_MAX_DEFAULT,
            request_bytes_max: limits::REQUEST_BYTES_MAX_DEFAULT,
            retention_check: limits::RETENTION_CHECK_DEFAULT,
            cleaner: CleanerSettings::default(),
        }
    }
}

/// Hashed without a seed: topic ids are ours, and a simulation must repeat itself.
type Slots = HashMap<TopicPartition, Slot, BuildHasherDefault<DefaultHasher>>;

/// The partitions of one core.
pub struct Shard {
    settings: Settings,
    slots: RefCell<Slots>,
    appends: RefCell<Appends>,
    waits: RefCell<Waits<Responder>>,
    /// Rung when the next deadline became an earlier one.
    deadline: Notify,
    tails: RefCell<Tails>,
    /// Memory for reads from disk under way: readers of old data wait for each other and for nobody else.
    disk_reads: Budget,
    read_ahead: Rc<ReadAhead>,
    /// Replicas whose files may have to be trimmed; the sweep runs while there are any.
    unswept: RefCell<Vec<Rc<Replica>>>,
    cleaner: Cleaner,
    changes: RefCell<VecDeque<(Vec<PartitionChange>, Responder)>>,
    changing: Cell<bool>,
    changes_made: Notify,
    sweeping: Cell<bool>,
    stopping: Cell<bool>,
    stopped: Notify,
    /// Log directories whose failure has been said.
    failed_dirs: RefCell<HashSet<u16>>,
    myself: Weak<Self>,
}

impl Shard {
    /// Must be called on the shard itself: it starts the tasks of the deadlines, of retention and of compaction.
    pub fn new(settings: Settings) -> Rc<Self> {
        let shard = Rc::new_cyclic(|myself| Self {
            slots: RefCell::default(),
            appends: RefCell::default(),
            waits: RefCell::default(),
            deadline: Notify::new(),
            tails: RefCell::new(Tails::new(settings.tail_bytes_max)),
            disk_reads: Budget::new(limits::DISK_READ_BYTES_MAX),
            read_ahead: ReadAhead::new(limits::READ_AHEAD_BYTES_MAX),
            unswept: RefCell::default(),
            cleaner: Cleaner::new(settings.cleaner),
            changes: RefCell::default(),
            changing: Cell::new(false),
            changes_made: Notify::new(),
            sweeping: Cell::new(false),
            stopping: Cell::new(false),
            stopped: Notify::new(),
            failed_dirs: RefCell::default(),
            myself: myself.clone(),
            settings,
        });
        runtime::spawn(deadlines::run(shard.clone()));
        runtime::spawn_in(Class::Background, retention::run(shard.clone()));
        runtime::spawn_in(Class::Background, cleaner::run(shard.clone()));
        shard
    }

    pub fn id(&self) -> ShardId {
        self.settings.id
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Serves other shards until [`Request::Shutdown`] has been answered.
    pub async fn serve(self: Rc<Self>, port: Rc<Port<Request, Reply>>) {
        let mut stopped = pin!(self.stopped.notified());
        while let Either::Left(((envelope, request), _)) = select(pin!(port.receive()), stopped.as_mut()).await {
            self.submit(request, Responder::Remote(envelope));
        }
    }

    /// Takes a request of this very shard; it runs before this returns, up to where it must wait.
    pub fn submit_local(self: &Rc<Self>, request: Request) -> impl Future<Output = Reply> + use<> {
        let (responder, reply) = Responder::local();
        self.submit(request, responder);
        async move { reply.await.unwrap_or(Reply::Closed) }
    }

    fn submit(self: &Rc<Self>, request: Request, responder: Responder) {
        if self.stopping.get() {
            return responder.reply(Reply::Closed);
        }
        match request {
            Request::Append { parts } => self.append(&parts, responder),
            Request::Read(read) => self.read(read, responder),
            Request::AwaitData(request) => self.await_data(request, responder),
            Request::CancelAwait(id) => {
                self.cancel_await(id);
                responder.reply(Reply::CancelAwait);
            }
            Request::ListOffsets(parts) => self.list_offsets(&parts, responder),
            Request::DeleteRecords(parts) => responder.reply(self.delete_records(&parts)),
            Request::EpochEnd(parts) => responder.reply(self.epoch_end(&parts)),
            Request::Describe(which) => responder.reply(self.describe(which)),
            Request::Change(changes) => self.change(changes, responder),
            Request::Checkpoint => responder.reply(Reply::Checkpoint(self.checkpoint())),
            Request::Cleaner(settings) => {
                self.cleaner.reconfigure(settings);
                responder.reply(Reply::Cleaner);
            }
            Request::Shutdown => self.shutdown(responder),
        }
    }

    /// The replica that serves requests for this partition.
    fn replica(&self, partition: TopicPartition) -> Result<Rc<Replica>, Unavailable> {
        match self.slots.borrow().get(&partition) {
            None => Err(Unavailable::UnknownPartition),
            Some(Slot::Opening) => Err(Unavailable::NotReady),
            Some(Slot::Failed(_)) => Err(Unavailable::Storage),
            Some(Slot::Open(replica)) => Ok(replica.clone()),
        }
    }

    fn replicas(&self) -> Vec<Rc<Replica>> {
        self.slots.borrow().values().filter_map(Slot::replica).cloned().collect()
    }

    fn host(&self) -> Rc<dyn Host> {
        self.myself.upgrade().expect("a shard that runs is alive")
    }
}

#[cfg(test)]
mod tests;
