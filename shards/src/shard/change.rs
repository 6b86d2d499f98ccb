//! Changes of which partitions live here: opened, reconfigured, led at a new epoch, deleted. Made in the order they
//! came, by one task that is there only while there are any.

use super::Shard;
use super::responder::Responder;
use crate::error::{ChangeError, Unavailable};
use crate::journal::RENOTED_BYTES_MAX;
use crate::limits::{OPENS_AT_ONCE, RECOVERY_SAID_EVERY, SHORTAGE_PAUSE, SHORTAGE_TRIES, TAIL_SHARE};
use crate::log::{self, Doomed, Footing, Log, OpenError, Opening, StorageError, names, partition_metadata};
use crate::message::{LogDirIndex, OpenPartition, PartitionChange, PartitionCheckpoint, Reply};
use crate::partition::Input;
use crate::partition::driver::{Home, Replica};
use crate::runtime::{self, Class, Directory, Instant};
use crate::types::{Offset, ShardId, TopicId, TopicPartition};
use futures_util::stream::{self, StreamExt};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// A partition that the shard was told of.
pub(super) enum Slot {
    Opening,
    Open(Rc<Replica>),
    /// Its log could not be opened, said when it was tried; or its log directory failed. None where nobody knows where
    /// it lies.
    Failed(Option<Home>),
}

impl Slot {
    pub(super) fn replica(&self) -> Option<&Rc<Replica>> {
        match self {
            Self::Open(replica) => Some(replica),
            Self::Opening | Self::Failed(_) => None,
        }
    }
}

impl Shard {
    pub(super) fn change(self: &Rc<Self>, changes: Vec<PartitionChange>, responder: Responder) {
        self.announce(&changes);
        self.changes.borrow_mut().push_back((changes, responder));
        if !self.changing.replace(true) {
            runtime::spawn_in(Class::Control, self.clone().make_changes());
        }
    }

    /// From now on requests for a partition to be opened hear that it is not ready, and not that it is unknown.
    fn announce(&self, changes: &[PartitionChange]) {
        let mut slots = self.slots.borrow_mut();
        for change in changes {
            if let PartitionChange::Open(open) = change {
                slots.entry(open.partition).or_insert(Slot::Opening);
            }
        }
    }

    async fn make_changes(self: Rc<Self>) {
        loop {
            let next = self.changes.borrow_mut().pop_front();
            let Some((changes, responder)) = next else { break };
            let mut results = Vec::with_capacity(changes.len());
            self.recovery.begin(changes.iter().filter(|change| self.recovers(change)).count());
            for run in changes.chunk_by(|a, b| is_open(a) && is_open(b)) {
                let run = stream::iter(run).map(|change| self.make_change(change));
                results.extend(run.buffered(OPENS_AT_ONCE).collect::<Vec<_>>().await);
            }
            // Nobody may keep a journal open that is about to be removed.
            for reader in &self.readers {
                reader.rest().await;
            }
            responder.reply(Reply::Change(results));
        }
        self.changing.set(false);
        self.changes_made.notify_all();
    }

    async fn make_change(&self, change: &PartitionChange) -> Result<(), ChangeError> {
        if self.stopping.get() {
            return Err(ChangeError::ShuttingDown);
        }
        match change {
            PartitionChange::Open(open) => self.open(open).await,
            PartitionChange::Reconfigure { partition, config } => {
                let replica = self.known(*partition)?;
                replica.log_mut().reconfigure(config.clone());
                self.flush_anew(&replica);
                Ok(())
            }
            PartitionChange::LeaderEpoch { partition, epoch } => {
                self.known(*partition)?.step(&self.host(), Input::LeaderEpoch(*epoch));
                Ok(())
            }
            PartitionChange::Delete { partition } => self.delete(*partition).await,
            PartitionChange::Absent { partition } => {
                // What journals have of it is for the start that finds its log.
                self.readers.iter().for_each(|reader| reader.leftovers().keep(*partition));
                self.slots.borrow_mut().insert(*partition, Slot::Failed(None));
                Ok(())
            }
            PartitionChange::Discard { log_dir, name } => self.discard(*log_dir, name).await,
        }
    }

    fn recovers(&self, change: &PartitionChange) -> bool {
        matches!(change, PartitionChange::Open(open) if self.is_recovering(open))
    }

    fn known(&self, partition: TopicPartition) -> Result<Rc<Replica>, ChangeError> {
        self.replica(partition).map_err(|_| ChangeError::UnknownPartition)
    }

    pub(super) fn log_dir(&self, index: LogDirIndex) -> Result<&Directory, ChangeError> {
        let missing = || ChangeError::Storage(format!("there is no log directory {}", index.0));
        self.settings.log_dirs.get(usize::from(index.0)).ok_or_else(missing)
    }

    /// A partition that is open already stays as it is.
    async fn open(&self, open: &OpenPartition) -> Result<(), ChangeError> {
        if self.replica(open.partition).is_ok() {
            return Ok(());
        }
        let home = Home {
            partition: open.partition,
            topic: open.topic.clone(),
            log_dir: open.log_dir,
            directory: names::directory(&open.topic, open.partition.partition),
        };
        let opened = match self.is_offline(open.log_dir) {
            true => Err(ChangeError::Storage("its log directory failed".into())),
            false => self.open_log(open, &home).await,
        };
        if self.is_recovering(open) {
            self.recovery.opened(self.settings.id);
        }
        if opened.is_err() {
            self.keep_leftovers(open);
        }
        match opened {
            Ok(log) => {
                let replica = Rc::new(Replica::new(home, open.leader_epoch, log));
                self.slots.borrow_mut().insert(open.partition, Slot::Open(replica.clone()));
                if self.is_offline(open.log_dir) {
                    self.give_up(&replica);
                    return Ok(());
                }
                if !replica.log().is_tidy() {
                    self.list_for_sweep(&replica);
                }
                if let Some((to, name)) = &open.future {
                    self.begin_move(&replica, *to, name.clone());
                }
                Ok(())
            }
            Err(error) => {
                tracing::error!("{} does not open: {error}", home.directory);
                if let ChangeError::LogDir(cause) = &error {
                    self.log_dir_failed(open.log_dir, format!("{}: {cause}", home.directory));
                }
                self.slots.borrow_mut().insert(open.partition, Slot::Failed(Some(home)));
                self.unsound.borrow_mut().insert(open.partition, unopened_checkpoint(open));
                Err(error)
            }
        }
    }

    async fn open_log(&self, open: &OpenPartition, home: &Home) -> Result<Log, ChangeError> {
        let log_dir = self.log_dir(open.log_dir)?;
        if let Some(name) = &open.promote {
            log_dir.rename(name, &home.directory).await.map_err(refused)?;
            log_dir.sync().await.map_err(refused)?;
        }
        let mut tries = 1..SHORTAGE_TRIES;
        let mut is_new = false;
        loop {
            match self.open_at(log_dir, open, home, &mut is_new).await {
                Err(ChangeError::Shortage(cause)) if tries.next().is_some() => {
                    tracing::warn!("{} is not opened yet: {cause}", home.directory);
                    runtime::sleep(SHORTAGE_PAUSE).await;
                }
                opened => return opened,
            }
        }
    }

    /// Sets `is_new` when the partition's directory had to be made; who tries again says so.
    async fn open_at(
        &self,
        log_dir: &Directory,
        open: &OpenPartition,
        home: &Home,
        is_new: &mut bool,
    ) -> Result<Log, ChangeError> {
        let directory = own_directory(log_dir, home, self.is_after_us(open), is_new).await?;
        let how = Opening {
            clean: open.clean,
            recovery_point: open.recovery_point,
            log_start: open.log_start,
            synced_later: self.is_recovering(open),
            now: runtime::wall_clock(),
        };
        let log = Log::open_noted(directory, open.config.clone(), how, self.noted(open)).await.map_err(unopened)?;
        let mut log = self.restore(open, log).await?;
        if *is_new && !how.synced_later {
            log.set_footing(Footing::new(log_dir.clone()));
        }
        if !self.recovery.may_note(log.found_notes_bytes()) {
            log.drop_found_notes();
        }
        self.equip(&mut log);
        if let Some(found) = log.take_found() {
            self.remove_later(found, Duration::ZERO);
        }
        log.set_cleaned(open.cleaned);
        Ok(log)
    }

    /// Gives the log its share in what those of a shard have together.
    pub(super) fn equip(&self, log: &mut Log) {
        log.set_read_ahead(self.read_ahead.clone());
        log.set_open_files(self.open_files.clone());
        log.set_tail_share(self.settings.tail_bytes_max / TAIL_SHARE);
        log.set_noted(self.settings.noted_batch_bytes);
    }

    /// Serves the partition no more, and renames its directory; the files go after `file.delete.delay.ms`.
    async fn delete(&self, partition: TopicPartition) -> Result<(), ChangeError> {
        let slot = self.slots.borrow_mut().remove(&partition).ok_or(ChangeError::UnknownPartition)?;
        self.tails.borrow_mut().removed(partition);
        self.unsound.borrow_mut().remove(&partition);
        self.cleaner.forget(partition);
        self.scrubber.forget(partition);
        let (home, replica) = match slot {
            Slot::Opening | Slot::Failed(None) => return Ok(()),
            Slot::Failed(Some(home)) => (home, None),
            Slot::Open(replica) => {
                replica.close(&self.host(), Unavailable::UnknownPartition).await;
                let journaling = self.journaling(replica.home().log_dir);
                journaling.journal.forget(partition);
                journaling.notes.forget(partition);
                self.forget_unwritten(&replica);
                (replica.home().clone(), Some(replica))
            }
        };
        let log_dir = self.log_dir(home.log_dir)?;
        let name = log::retire(log_dir, &home.topic, partition.partition, unique()).await.map_err(lost)?;
        match replica {
            Some(replica) => self.remove_log_later(log_dir, name, &replica),
            None => self.remove_later(Doomed::log(log_dir.clone(), name, None), Duration::ZERO),
        }
        Ok(())
    }

    /// A directory that has not been renamed for deletion yet is first, so that its name is free.
    async fn discard(&self, log_dir: LogDirIndex, name: &str) -> Result<(), ChangeError> {
        let parent = self.log_dir(log_dir)?;
        let mut doomed = name.to_owned();
        if let Some((topic, partition)) = names::parse_directory(name) {
            doomed = log::retire(parent, topic, partition, unique()).await.map_err(lost)?;
        }
        self.remove_later(Doomed::log(parent.clone(), doomed, None), Duration::ZERO);
        Ok(())
    }

    /// The replica was served from the directory that has this name now.
    pub(super) fn remove_log_later(&self, log_dir: &Directory, name: String, replica: &Replica) {
        let log = replica.log();
        let delay = Duration::from_millis(log.config().file_delete_delay_ms);
        self.remove_later(Doomed::log(log_dir.clone(), name, Some(&log)), delay);
    }
}

/// Says now and then how far a long recovery has come.
#[derive(Default)]
pub(super) struct Recovery {
    left: Cell<usize>,
    /// Bytes of notes that the logs wait to make.
    notes: Cell<usize>,
    said: Cell<Option<Instant>>,
}

impl Recovery {
    fn begin(&self, logs: usize) {
        self.left.set(logs);
        self.said.set(Some(runtime::now()));
    }

    /// A log has found so many bytes of notes to be made anew.
    fn may_note(&self, bytes: usize) -> bool {
        let notes = self.notes.get() + bytes;
        let may = notes <= RENOTED_BYTES_MAX;
        if may {
            self.notes.set(notes);
        }
        may
    }

    /// They are made.
    pub fn noted(&self) {
        self.notes.set(0);
    }

    fn opened(&self, shard: ShardId) {
        self.left.set(self.left.get().saturating_sub(1));
        let is_time = self.said.get().is_some_and(|said| said.elapsed() >= RECOVERY_SAID_EVERY);
        if is_time {
            self.said.set(Some(runtime::now()));
            tracing::info!("shard {shard}: {} logs left to recover after an unclean stop", self.left.get());
        }
    }
}

fn is_open(change: &PartitionChange) -> bool {
    matches!(change, PartitionChange::Open(_))
}

/// The partition's directory, new or its own; what lies there of another topic of that name is put aside. So is what has no
/// topic id, when it was us that crashed: nothing in it was durable yet, and it may be of a topic that was deleted.
async fn own_directory(
    log_dir: &Directory,
    home: &Home,
    is_after_us: bool,
    is_new: &mut bool,
) -> Result<Directory, ChangeError> {
    let name = &home.directory;
    let mut directory = log_dir.create_dir(name).await.map_err(refused)?;
    let written = match partition_metadata::read_topic_id(&directory).await.map_err(lost)? {
        Some(Ok(topic)) => Some(topic),
        Some(Err(malformed)) => return Err(ChangeError::Storage(format!("{name}/partition.metadata: {malformed}"))),
        None => None,
    };
    let is_foreign = match written {
        Some(topic) => topic != home.partition.topic,
        None => is_after_us && log::has_segments(&directory).await.map_err(lost)?,
    };
    if is_foreign {
        directory = put_aside(log_dir, home, written).await?;
    }
    if written != Some(home.partition.topic) {
        *is_new = true;
        partition_metadata::put_topic_id(&directory, home.partition.topic).await.map_err(lost)?;
    }
    Ok(directory)
}

/// Renames a directory that belongs to a topic the metadata does not know, as Kafka does, and makes a new one.
async fn put_aside(log_dir: &Directory, home: &Home, other: Option<TopicId>) -> Result<Directory, ChangeError> {
    let name = &home.directory;
    let stray = format!("{name}.{:032x}-stray", other.map_or_else(unique, |topic| topic.0.as_u128()));
    match other {
        Some(other) => {
            tracing::warn!("{name} belongs to topic id {other}, which is no longer this topic's: renamed to {stray}");
        }
        None => tracing::warn!(
            "{name} lost its topic id before anything in it was synced: renamed to {stray}, which can be removed; what \
             was acknowledged comes back from the journal"
        ),
    }
    log_dir.rename(name, &stray).await.map_err(refused)?;
    log_dir.sync().await.map_err(refused)?;
    log_dir.create_dir(name).await.map_err(refused)
}

/// What the checkpoint files said of a log that did not open, to be said again.
fn unopened_checkpoint(open: &OpenPartition) -> PartitionCheckpoint {
    PartitionCheckpoint {
        partition: open.partition,
        topic: open.topic.clone(),
        log_dir: open.log_dir,
        recovery_point: open.recovery_point,
        log_start_offset: open.log_start,
        high_watermark: open.recovery_point,
        cleaned: (open.cleaned > Offset::ZERO).then_some(open.cleaned),
        sound: false,
    }
}

/// For the name of a directory.
pub(super) fn unique() -> u128 {
    u128::from(runtime::random_u64()) << 64 | u128::from(runtime::random_u64())
}

fn unopened(error: OpenError) -> ChangeError {
    match error {
        OpenError::Storage(error) => lost(error),
        OpenError::OldFormat { .. } => ChangeError::Storage(error.to_string()),
    }
}

pub(super) fn lost(error: StorageError) -> ChangeError {
    match error {
        StorageError::Shortage { .. } => ChangeError::Shortage(error.to_string()),
        _ if error.is_of_disk() => ChangeError::LogDir(error.to_string()),
        _ => ChangeError::Storage(error.to_string()),
    }
}

/// Of a directory's own calls.
fn refused(error: io::Error) -> ChangeError {
    match runtime::is_shortage(&error) {
        true => lost(log::storage_error("using a log directory", &error)),
        false => ChangeError::LogDir(error.to_string()),
    }
}
