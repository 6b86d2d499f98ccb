//! Owns the partitions of one core: takes requests in order, from this core and from others, and answers each once.
//!
//! What can be answered at once is, without a task; what must wait is parked in a table or, when it reads from disk,
//! continued in a task of its own.

mod append;
mod appends;
mod change;
mod cleaner;
mod deadlines;
mod flushes;
mod journals;
mod lookup;
mod metrics;
mod moves;
mod news;
mod notes;
mod offline;
mod read;
mod removal_pace;
mod removals;
mod responder;
mod restore;
mod retention;
mod scrub;
mod shortage;
mod shutdown;
mod sweep;
mod tails;
mod waits;
mod write_back;

use crate::budget::Budget;
use crate::error::Unavailable;
use crate::journal::{self, Journal, Leftovers, Notes, Reader};
use crate::limits;
use crate::log::{OpenFiles, ReadAhead};
use crate::mailbox::Port;
use crate::message::{CleanerSettings, LogDirIndex, PartitionChange, PartitionCheckpoint, Reply, Request};
use crate::partition::driver::{Host, Replica};
use crate::runtime::sync::Notify;
use crate::runtime::{self, Class, Directory};
use crate::types::{ShardId, TopicPartition};
use appends::Appends;
use change::{Recovery, Slot};
use cleaner::Cleaner;
use flushes::Flushes;
use futures_util::future::{Either, select};
use journals::{Journaling, Member};
use moves::Moves;
use news::NewsDesk;
use removals::Removals;
use responder::Responder;
use rustc_hash::FxHashMap;
pub use scrub::ScrubSettings;
use scrub::Scrubber;
use shortage::Shortages;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;
use tails::Tails;
use waits::Waits;
use write_back::WriteBack;

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
    /// And how long after the start first.
    pub retention_first_check: Duration,
    pub cleaner: CleanerSettings,
    pub scrub: ScrubSettings,
    /// Bytes per second that partitions on their way to another log directory may read.
    pub move_rate: f64,
    /// Of its journal in each log directory.
    pub journal: journal::Settings,
    /// Of its notes beside each journal.
    pub notes: journal::Settings,
    /// Smaller batches are not noted.
    pub noted_batch_bytes: usize,
    /// When so many bytes of a partition wait, they are written and synced where they belong instead of being journaled.
    pub journal_bypass_bytes: usize,
    /// Journaled batches of a partition are written to its segment when so many bytes wait.
    pub write_back_bytes: usize,
    /// Bytes that its partitions may have in a journal and in no segment.
    pub unwritten_bytes_max: usize,
    /// When so many partitions are to be synced, one sync of their file system does it.
    pub synced_together_from: usize,
    /// Segment files open for reading, and as many for writing.
    pub open_files_max: usize,
    /// Bytes past the recovery points of its logs when those are recorded.
    pub scan_bytes_max: u64,
    /// What a crash left in the journals of each log directory; none where there was none.
    pub leftovers: Vec<Arc<Leftovers>>,
}

impl Settings {
    pub fn new(id: ShardId, log_dirs: Vec<Directory>) -> Self {
        Self {
            id,
            log_dirs,
            tail_bytes_max: limits::TAIL_BYTES_MAX_DEFAULT,
            request_bytes_max: limits::REQUEST_BYTES_MAX_DEFAULT,
            retention_check: limits::RETENTION_CHECK_DEFAULT,
            retention_first_check: limits::RETENTION_FIRST_CHECK_DEFAULT,
            cleaner: CleanerSettings::default(),
            scrub: ScrubSettings::default(),
            move_rate: f64::MAX,
            journal: journal::Settings::default(),
            notes: journal::Settings::new(journal::NOTES_BYTES_DEFAULT),
            noted_batch_bytes: limits::NOTED_BATCH_BYTES,
            journal_bypass_bytes: limits::JOURNAL_BYPASS_BYTES,
            write_back_bytes: limits::WRITE_BACK_BYTES,
            unwritten_bytes_max: limits::UNWRITTEN_BYTES_MAX,
            synced_together_from: limits::SYNCED_TOGETHER_FROM,
            open_files_max: limits::OPEN_FILES_DEFAULT,
            scan_bytes_max: limits::SCAN_BYTES_MAX,
            leftovers: Vec::new(),
        }
    }
}

/// Hashed without a seed: topic ids are ours, and a simulation must repeat itself.
type Slots = FxHashMap<TopicPartition, Slot>;

/// The partitions of one core.
pub struct Shard {
    settings: Settings,
    slots: RefCell<Slots>,
    /// By log directory.
    journals: Vec<Journaling>,
    /// By log directory, where a crash left something.
    readers: Vec<Reader>,
    appends: RefCell<Appends>,
    waits: RefCell<Waits<Responder>>,
    /// Rung when the next deadline became an earlier one.
    deadline: Notify,
    tails: RefCell<Tails>,
    write_back: WriteBack,
    writing_back: Budget,
    /// Memory for reads from disk under way: readers of old data wait for each other and for nobody else.
    disk_reads: Budget,
    read_ahead: Rc<ReadAhead>,
    open_files: Rc<OpenFiles>,
    /// Replicas whose files may have to be trimmed; the sweep runs while there are any.
    unswept: RefCell<Vec<Rc<Replica>>>,
    cleaner: Cleaner,
    scrubber: Scrubber,
    flushes: Flushes,
    changes: RefCell<VecDeque<(Vec<PartitionChange>, Responder)>>,
    changing: Cell<bool>,
    recovery: Recovery,
    changes_made: Notify,
    sweeping: Cell<bool>,
    stopping: Cell<bool>,
    stopped: Notify,
    /// Log directories that are offline until the process starts again.
    failed_dirs: RefCell<BTreeSet<LogDirIndex>>,
    /// Partitions that are not served, in log directories that are: those must not be marked clean.
    unsound: RefCell<BTreeMap<TopicPartition, PartitionCheckpoint>>,
    news: NewsDesk,
    shortages: Shortages,
    moves: Moves,
    removals: Removals,
    myself: Weak<Self>,
}

impl Shard {
    /// Must be called on the shard itself: it starts the tasks that go on as long as it runs.
    pub fn new(settings: Settings) -> Rc<Self> {
        let shard = Rc::new_cyclic(|myself| Self {
            slots: RefCell::default(),
            journals: journals(&settings),
            readers: readers(&settings),
            appends: RefCell::default(),
            waits: RefCell::default(),
            deadline: Notify::new(),
            tails: RefCell::new(Tails::new(settings.tail_bytes_max)),
            write_back: WriteBack::default(),
            writing_back: Budget::new(limits::WRITING_BACK_BYTES_MAX),
            disk_reads: Budget::new(limits::DISK_READ_BYTES_MAX),
            read_ahead: ReadAhead::new(limits::READ_AHEAD_BYTES_MAX),
            open_files: OpenFiles::new(settings.open_files_max),
            unswept: RefCell::default(),
            cleaner: Cleaner::new(settings.cleaner),
            scrubber: Scrubber::new(settings.scrub),
            flushes: Flushes::default(),
            changes: RefCell::default(),
            changing: Cell::new(false),
            recovery: Recovery::default(),
            changes_made: Notify::new(),
            sweeping: Cell::new(false),
            stopping: Cell::new(false),
            stopped: Notify::new(),
            failed_dirs: RefCell::default(),
            unsound: RefCell::default(),
            news: NewsDesk::default(),
            shortages: Shortages::default(),
            moves: Moves::new(settings.move_rate),
            removals: Removals::new(),
            myself: myself.clone(),
            settings,
        });
        runtime::spawn(deadlines::run(shard.clone()));
        runtime::spawn_in(Class::Background, retention::run(shard.clone()));
        runtime::spawn_in(Class::Background, cleaner::run(shard.clone()));
        runtime::spawn_in(Class::Background, scrub::run(shard.clone()));
        runtime::spawn_in(Class::Background, flushes::run(shard.clone()));
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
            Request::Metrics => runtime::spawn_in(Class::Background, self.clone().tell_metrics(responder)),
            Request::Change(changes) => self.change(changes, responder),
            Request::Checkpoint => runtime::spawn_in(Class::Background, self.clone().checkpoint(responder)),
            Request::Cleaner(settings) => {
                self.cleaner.reconfigure(settings);
                responder.reply(Reply::Cleaner);
            }
            Request::Synced(log_dir) => {
                runtime::spawn_in(Class::Background, self.clone().note_found(log_dir, responder));
            }
            Request::MoveRate(bytes_per_second) => {
                self.moves.set_rate(bytes_per_second);
                responder.reply(Reply::MoveRate);
            }
            Request::News => self.news.wanted(responder),
            Request::Move(parts) => {
                responder.reply(Reply::Move(parts.iter().map(|part| self.move_partition(part)).collect()));
            }
            Request::Assigned { partition, is_recorded } => {
                self.assigned(partition, is_recorded);
                responder.reply(Reply::Assigned);
            }
            Request::FailLogDir(log_dir) => {
                self.take_offline(log_dir);
                responder.reply(Reply::FailLogDir);
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

fn journals(settings: &Settings) -> Vec<Journaling> {
    let start = |at: usize| settings.leftovers.get(at).map_or(1, |leftovers| leftovers.next_start());
    let journaling = |(at, dir): (usize, &Directory)| {
        let journal = Journal::<Member>::new(dir.clone(), settings.journal, start(at));
        Journaling::new(journal, Notes::new(dir.clone(), settings.notes, start(at)))
    };
    settings.log_dirs.iter().enumerate().map(journaling).collect()
}

fn readers(settings: &Settings) -> Vec<Reader> {
    let both = settings.leftovers.iter().zip(&settings.log_dirs);
    both.map(|(leftovers, dir)| Reader::new(leftovers.clone(), dir.clone())).collect()
}

#[cfg(test)]
mod tests;
