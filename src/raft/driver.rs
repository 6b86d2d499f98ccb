//! Carries out what the quorum decides: the log and its small files in `__cluster_metadata-0`, and who waits for commits.

use super::accumulator::TooLarge;
use super::election_state::{self, ElectionState, ElectionStateError};
use super::format::Formatting;
use super::input::{Input, Moment, Output};
use super::log_reader::{CommittedBatch, Unreadable, read_batches};
use super::quorum::{LogEnd, Quorum};
use super::snapshot::{Snapshot, SnapshotError, SnapshotId, bootstrap_snapshot, kraft_version, quorum_snapshot};
use super::voters::{Voter, VoterSet};
use bytes::Bytes;
use odradek_protocol::records::metadata::MetadataRecord;
use odradek_shards::limits::SHORTAGE_PAUSE;
use odradek_shards::log::{self, Durability, Log, LogConfig, Opening, ReadPlan, partition_metadata};
use odradek_shards::record::ControlRecordType;
use odradek_shards::runtime::sync::Notify;
use odradek_shards::runtime::{Class, Directory, sleep, spawn_in, wall_clock};
use odradek_shards::types::{LeaderEpoch, NodeId, Offset, PartitionIndex, TopicId};
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use uuid::Uuid;

const TOPIC: &str = "__cluster_metadata";
const TOPIC_ID: TopicId = TopicId(Uuid::from_u128(1));
const BOOTSTRAP_FILE: &str = "bootstrap.checkpoint";
/// Bytes of the log that are decoded at a time.
const READ_BYTES: usize = 1 << 20;
const SNAPSHOT_BYTES_MAX: usize = 1 << 30;
/// How long the log must be idle before its files are tidied.
const IDLE: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub struct RaftSettings {
    pub node: NodeId,
    /// Of the log directory that holds the metadata log.
    pub directory_id: Uuid,
    /// What to begin with where there is nothing.
    pub formatting: Formatting,
    /// Recorded by a new cluster, unless the directory brings its own `bootstrap.checkpoint`.
    pub bootstrap: Vec<MetadataRecord>,
    /// `metadata.log.segment.bytes` and `metadata.log.segment.ms`.
    pub segment_bytes: u32,
    pub segment_ms: i64,
    /// The directory was closed in order.
    pub clean: bool,
}

/// The metadata log cannot go on; without it the node cannot either.
#[derive(Debug, thiserror::Error)]
pub enum RaftError {
    #[error("{doing}: {source}")]
    Io { doing: &'static str, source: io::Error },
    #[error("the metadata log: {0}")]
    Open(#[from] log::OpenError),
    #[error("the metadata log: {0}")]
    Storage(#[from] log::StorageError),
    #[error("the metadata log {0}")]
    Unreadable(#[from] Unreadable),
    #[error("the metadata log: a control record: {0}")]
    Control(#[from] odradek_protocol::codec::DecodeError),
    #[error("the metadata log does not reach back to offset {0}, and no snapshot does")]
    Gap(Offset),
    #[error("{file}: {error}")]
    Snapshot { file: String, error: SnapshotError },
    #[error(transparent)]
    Election(#[from] ElectionStateError),
}

/// Why records were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// NOT_CONTROLLER (41).
    #[error("this node does not lead the quorum")]
    NotLeader,
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

/// The local replica of the metadata log; clones share it. Lives on shard 0.
#[derive(Clone)]
pub struct Raft {
    inner: Rc<Inner>,
}

struct Inner {
    dir: Directory,
    log: RefCell<Log>,
    quorum: RefCell<Quorum>,
    snapshot: Snapshot,
    bootstrap: Vec<MetadataRecord>,
    leading: Cell<Option<(LeaderEpoch, Offset)>>,
    /// The writer has something to do.
    work: Notify,
    /// The high watermark moved, the role changed, or the log failed.
    progress: Notify,
    failure: RefCell<Option<log::StorageError>>,
    closing: Cell<bool>,
    closed: Cell<bool>,
}

impl Raft {
    /// Opens the metadata log below `log_dir`, or begins one; nobody leads yet.
    pub async fn open(log_dir: &Directory, settings: &RaftSettings) -> Result<Self, RaftError> {
        let dir = format_if_new(log_dir, settings).await?;
        let snapshot = newest_snapshot(&dir).await?;
        let bootstrap = bootstrap_records(log_dir, settings).await?;
        let opening = Opening {
            clean: settings.clean,
            recovery_point: Offset::ZERO,
            log_start: Offset::ZERO,
            synced_later: false,
            now: wall_clock(),
        };
        let log = RefCell::new(Log::open(dir.clone(), Arc::new(log_config(settings)), opening).await?);
        let stored = stored_election(&dir).await?;
        let voting = scan_voting(&log, &snapshot, settings).await?;
        let end = LogEnd { offset: log.borrow().end_offset(), epoch: last_epoch(&log, &snapshot) };
        let me = Voter { id: settings.node, directory: settings.directory_id };
        let Voting { voters, kraft_version, recorded } = voting;
        let quorum = RefCell::new(Quorum::new(me, voters, kraft_version, recorded, stored, end));
        let inner = Inner {
            dir,
            log,
            quorum,
            snapshot,
            bootstrap,
            leading: Cell::new(None),
            work: Notify::new(),
            progress: Notify::new(),
            failure: RefCell::new(None),
            closing: Cell::new(false),
            closed: Cell::new(false),
        };
        Ok(Self { inner: Rc::new(inner) })
    }

    /// Stands for election and writes from now on, in a task of its own.
    pub fn start(&self) {
        spawn_in(Class::Control, self.clone().write());
    }

    /// What the log builds on; to be replayed before the first committed batch.
    pub fn snapshot(&self) -> &Snapshot {
        &self.inner.snapshot
    }

    /// What a cluster without any record begins with.
    pub fn bootstrap(&self) -> &[MetadataRecord] {
        &self.inner.bootstrap
    }

    /// The offset of the first batch after the snapshot.
    pub fn first_offset(&self) -> Offset {
        self.inner.snapshot.id.map_or(Offset::ZERO, |id| id.end)
    }

    /// The epoch this node leads and the offset it began at.
    pub fn leading(&self) -> Option<(LeaderEpoch, Offset)> {
        self.inner.leading.get()
    }

    pub fn high_watermark(&self) -> Option<Offset> {
        self.inner.quorum.borrow().high_watermark()
    }

    /// The offset the next record will get, if this node leads.
    pub fn next_offset(&self) -> Option<Offset> {
        self.inner.quorum.borrow().next_offset()
    }

    /// Takes records into one batch and promises their offsets; gives the last one. Committed once [`Raft::committed`] shows it.
    pub fn append(&self, values: &[Bytes]) -> Result<Offset, AppendError> {
        if self.inner.failure.borrow().is_some() {
            return Err(AppendError::NotLeader);
        }
        let mut out = Vec::new();
        let last = self.inner.quorum.borrow_mut().append(moment(), values, &mut out)?;
        let last = last.ok_or(AppendError::NotLeader)?;
        out.into_iter().for_each(|output| self.apply(output));
        Ok(last)
    }

    /// Waits until something from `from` on is committed, and gives the next batches.
    pub async fn committed(&self, from: Offset) -> Result<Vec<CommittedBatch>, RaftError> {
        loop {
            let notified = self.inner.progress.notified();
            if let Some(failure) = self.inner.failure.borrow().clone() {
                return Err(failure.into());
            }
            let below = self.high_watermark().unwrap_or(Offset::ZERO);
            if from < below {
                return Ok(read_batches(&read(&self.inner.log, from, below).await?)?);
            }
            notified.await;
        }
    }

    /// Waits until the role may have changed or more may be committed.
    pub async fn progress(&self) {
        self.inner.progress.notified().await;
    }

    /// Leads no more, writes what was taken, and leaves the files as a clean stop must.
    pub async fn close(&self) -> Result<(), RaftError> {
        self.inner.closing.set(true);
        self.inner.work.notify_one();
        while !self.inner.closed.get() {
            self.inner.progress.notified().await;
        }
        match self.inner.failure.borrow().clone() {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }

    /// The writer: the only task that syncs the log and stores elections.
    async fn write(self) {
        if let Err(error) = self.clone().write_until_closed().await {
            tracing::error!(%error, "the metadata log failed; this node cannot go on without it");
            self.inner.leading.set(None);
            self.inner.failure.replace(Some(error));
        }
        self.inner.closed.set(true);
        self.inner.progress.notify_all();
    }

    async fn write_until_closed(self) -> Result<(), log::StorageError> {
        let log = &self.inner.log;
        self.step(Input::Tick).await?;
        loop {
            let (written, end) = { (log.borrow().written_offset(), log.borrow().end_offset()) };
            if written < end {
                match log::settle(log).await {
                    Err(error) if error.is_shortage() => wait_for_supplies(&error).await,
                    synced => self.step(Input::Synced(synced?)).await?,
                }
            } else if self.inner.closing.get() {
                self.step(Input::Resign).await?;
                return log::close(log).await;
            } else if !heard_within(&self.inner.work, IDLE).await {
                match log::trim(log).await {
                    Err(error) if error.is_shortage() => {
                        wait_for_supplies(&error).await;
                        continue;
                    }
                    trimmed => trimmed?,
                }
                self.inner.work.notified().await;
            }
        }
    }

    /// One input and everything that follows from it.
    async fn step(&self, input: Input) -> Result<(), log::StorageError> {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut out = Vec::new();
            self.inner.quorum.borrow_mut().step(moment(), input, &mut out);
            for output in out {
                if let Output::StoreElection(state) = output {
                    self.store_election(&state).await?;
                    inputs.push(Input::ElectionStored(state));
                } else {
                    self.apply(output);
                }
            }
        }
        Ok(())
    }

    async fn store_election(&self, state: &ElectionState) -> Result<(), log::StorageError> {
        let text = {
            let quorum = self.inner.quorum.borrow();
            state.format(quorum.kraft_version(), quorum.voters())
        };
        loop {
            let written = self.inner.dir.write_whole(election_state::FILE_NAME, &text).await;
            match written.map_err(|error| log::storage_error("writing quorum-state", &error)) {
                Err(error) if error.is_shortage() => wait_for_supplies(&error).await,
                written => return written,
            }
        }
    }

    /// Carries out an effect that takes no waiting.
    fn apply(&self, output: Output) {
        match output {
            Output::Append { base_offset, epoch, batch } => {
                let appended = self.inner.log.borrow_mut().append(&batch, epoch, wall_clock());
                match appended {
                    Ok(appended) => assert!(appended.first == base_offset, "the log and the quorum count alike"),
                    // The writer meets the same failure and reports it.
                    Err(error) => tracing::error!(%error, "the metadata log takes nothing more"),
                }
                self.inner.work.notify_one();
            }
            Output::Leading { epoch, start } => {
                tracing::info!(%epoch, %start, "leading the metadata quorum");
                self.inner.leading.set(Some((epoch, start)));
                self.inner.progress.notify_all();
            }
            Output::HighWatermark(offset) => {
                self.inner.log.borrow_mut().advance_high_watermark(offset);
                self.inner.progress.notify_all();
            }
            Output::Resigned { .. } => {
                self.inner.leading.set(None);
                self.inner.progress.notify_all();
            }
            Output::StoreElection(_) => unreachable!("elections are stored where there is time to wait"),
        }
    }
}

/// Whether the bell rang in time.
async fn heard_within(bell: &Notify, time: Duration) -> bool {
    let (mut heard, mut late) = (pin!(bell.notified()), pin!(sleep(time)));
    poll_fn(|cx| match (heard.as_mut().poll(cx), late.as_mut().poll(cx)) {
        (Poll::Ready(()), _) => Poll::Ready(true),
        (Poll::Pending, Poll::Ready(())) => Poll::Ready(false),
        (Poll::Pending, Poll::Pending) => Poll::Pending,
    })
    .await
}

fn moment() -> Moment {
    Moment { wall_clock: wall_clock() }
}

fn log_config(settings: &RaftSettings) -> LogConfig {
    LogConfig {
        segment_bytes: settings.segment_bytes,
        segment_ms: settings.segment_ms,
        max_message_bytes: u32::MAX,
        retention_ms: -1,
        retention_bytes: -1,
        durability: Durability::Synced,
        ..LogConfig::default()
    }
}

/// Whole batches from `from` on, as many as fit one read, but at least one.
async fn read(log: &RefCell<Log>, from: Offset, below: Offset) -> Result<Bytes, RaftError> {
    let plan = log.borrow().plan_read(from, READ_BYTES, below, true).map_err(|_| RaftError::Gap(from))?;
    let records = match plan {
        ReadPlan::Ready(records) => records,
        ReadPlan::Disk(read) => read.run().await?,
    };
    if records.is_empty() {
        return Err(RaftError::Gap(from));
    }
    Ok(records.into_bytes())
}

/// The directory of the log; where there was none, first what a format writes.
async fn format_if_new(log_dir: &Directory, settings: &RaftSettings) -> Result<Directory, RaftError> {
    let io = |doing| move |source| RaftError::Io { doing, source };
    let name = log::names::directory(TOPIC, PartitionIndex(0));
    if !log_dir.exists(BOOTSTRAP_FILE).await.map_err(io("looking for bootstrap.checkpoint"))? {
        let bytes = bootstrap_snapshot(&settings.bootstrap, wall_clock());
        log_dir.write_whole(BOOTSTRAP_FILE, &bytes).await.map_err(io("writing bootstrap.checkpoint"))?;
    }
    let is_new = !log_dir.exists(&name).await.map_err(io("looking for the metadata log"))?;
    let dir = match is_new {
        true => {
            let dir = log_dir.create_dir(&name).await.map_err(io("creating the metadata log"))?;
            log_dir.sync().await.map_err(io("creating the metadata log"))?;
            dir
        }
        false => log_dir.open_dir(&name).await.map_err(io("opening the metadata log"))?,
    };
    let entries = dir.list().await.map_err(io("listing the metadata log"))?;
    let has_begun = entries.iter().any(|e| e.name.ends_with(".log") || SnapshotId::parse(&e.name).is_some());
    if !has_begun && settings.formatting.kraft_version() >= 1 {
        let voters = settings.formatting.voters(settings.node, settings.directory_id);
        let bytes = quorum_snapshot(&voters, wall_clock());
        let file = SnapshotId::BOOTSTRAP.file_name();
        dir.write_whole(&file, &bytes).await.map_err(io("writing the first snapshot"))?;
    }
    if partition_metadata::read_topic_id(&dir).await?.is_none() {
        partition_metadata::write_topic_id(&dir, TOPIC_ID).await?;
    }
    Ok(dir)
}

async fn newest_snapshot(dir: &Directory) -> Result<Snapshot, RaftError> {
    let io = |doing| move |source| RaftError::Io { doing, source };
    let entries = dir.list().await.map_err(io("listing the metadata log"))?;
    let Some(id) = entries.iter().filter_map(|entry| SnapshotId::parse(&entry.name)).max() else {
        return Ok(Snapshot::default());
    };
    let file = id.file_name();
    let bytes = dir.read_whole(&file, SNAPSHOT_BYTES_MAX).await.map_err(io("reading the newest snapshot"))?;
    Snapshot::parse(id, &Bytes::from(bytes)).map_err(|error| RaftError::Snapshot { file, error })
}

async fn bootstrap_records(log_dir: &Directory, settings: &RaftSettings) -> Result<Vec<MetadataRecord>, RaftError> {
    let io = |source| RaftError::Io { doing: "reading bootstrap.checkpoint", source };
    if !log_dir.exists(BOOTSTRAP_FILE).await.map_err(io)? {
        return Ok(settings.bootstrap.clone());
    }
    let bytes = log_dir.read_whole(BOOTSTRAP_FILE, SNAPSHOT_BYTES_MAX).await.map_err(io)?;
    let snapshot = Snapshot::parse(SnapshotId::BOOTSTRAP, &Bytes::from(bytes));
    let file = BOOTSTRAP_FILE.to_owned();
    snapshot.map(|snapshot| snapshot.records).map_err(|error| RaftError::Snapshot { file, error })
}

async fn stored_election(dir: &Directory) -> Result<ElectionState, RaftError> {
    let io = |source| RaftError::Io { doing: "reading quorum-state", source };
    if !dir.exists(election_state::FILE_NAME).await.map_err(io)? {
        return Ok(ElectionState::NEW);
    }
    let bytes = dir.read_whole(election_state::FILE_NAME, election_state::FILE_BYTES_MAX).await.map_err(io)?;
    Ok(ElectionState::parse(&bytes)?)
}

fn last_epoch(log: &RefCell<Log>, snapshot: &Snapshot) -> LeaderEpoch {
    let of_log = log.borrow().epochs().latest().map_or(LeaderEpoch::NONE, |start| start.epoch);
    of_log.max(snapshot.id.map_or(LeaderEpoch::NONE, |id| id.epoch))
}

/// Descriptors or memory are missing, the disk is not to blame.
async fn wait_for_supplies(error: &log::StorageError) {
    tracing::error!("the metadata log waits: {error}");
    sleep(SHORTAGE_PAUSE).await;
}

/// Who votes by what the log and its snapshot say; the configuration where they say nothing.
struct Voting {
    voters: VoterSet,
    kraft_version: i16,
    /// The log itself holds the voters.
    recorded: bool,
}

/// Reads the whole log once for its control records: a voter set holds from the moment it is written.
async fn scan_voting(log: &RefCell<Log>, snapshot: &Snapshot, settings: &RaftSettings) -> Result<Voting, RaftError> {
    let mut voters = snapshot.voters.clone();
    let mut level = snapshot.kraft_version;
    let mut recorded = voters.is_some() && snapshot.id.is_some_and(|id| id.end > Offset::ZERO);
    let end = log.borrow().end_offset();
    let mut next = snapshot.id.map_or(Offset::ZERO, |id| id.end);
    while next < end {
        for batch in read_batches(&read(log, next, end).await?)? {
            for control in &batch.controls {
                match control.kind {
                    ControlRecordType::KRaftVersion => level = Some(kraft_version(control)?),
                    ControlRecordType::KRaftVoters => {
                        voters = Some(VoterSet::from_record(control.value.clone())?);
                        recorded = true;
                    }
                    _ => {}
                }
            }
            next = Offset(batch.last.offset.0 + 1);
        }
    }
    let fixed = || match &settings.formatting {
        Formatting::Static(voters) => voters.clone(),
        Formatting::Standalone { .. } => VoterSet::from_ids([settings.node]),
    };
    Ok(Voting { voters: voters.unwrap_or_else(fixed), kraft_version: level.unwrap_or(0), recorded })
}

#[cfg(test)]
mod tests;
