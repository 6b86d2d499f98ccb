//! Log directories that fail while the broker runs: said once, offline on every shard, told to the controller; and the end
//! of the process when the metadata log's is among them, or no other is left.

use super::StartError;
use super::arrivals::{Arrival, Arrivals};
use super::assignments::Assignments;
use super::publication::Publication;
use super::registration::Registration;
use crate::log_dirs::LogDirTable;
use odradek_shards::Shards;
use odradek_shards::message::{LogDirIndex, News, Reply, Request};
use odradek_shards::runtime::sync::{Notify, Receiver, Sender, oneshot};
use odradek_shards::runtime::{self, Class};
use odradek_shards::types::{ShardId, TopicPartition};
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use tracing::{error, info, warn};
use uuid::Uuid;

/// Shard 0's ear at the shards.
pub struct LogDirWatch {
    shards: Shards,
    table: Arc<LogDirTable>,
    metadata: LogDirIndex,
    publication: Rc<Publication>,
    assignments: Rc<Assignments>,
    pub arrivals: Rc<Arrivals>,
    /// There once the broker is registered.
    registration: OnceCell<Rc<Registration>>,
    fatal: RefCell<Option<Sender<StartError>>>,
    moved: Notify,
}

impl LogDirWatch {
    /// The receiver brings the failure that the broker does not survive.
    pub fn new(
        shards: Shards,
        table: Arc<LogDirTable>,
        metadata: LogDirIndex,
        publication: Rc<Publication>,
        assignments: Rc<Assignments>,
    ) -> (Rc<Self>, Receiver<StartError>) {
        let (fatal, end) = oneshot();
        let (registration, fatal) = (OnceCell::new(), RefCell::new(Some(fatal)));
        let (arrivals, moved) = (Arrivals::new(), Notify::new());
        let watch = Self { shards, table, metadata, publication, assignments, arrivals, registration, fatal, moved };
        (Rc::new(watch), end)
    }

    /// Listens to every shard until it ends.
    pub fn start(self: &Rc<Self>) {
        for shard in self.shards.shards() {
            runtime::spawn_in(Class::Control, self.clone().listen(shard));
        }
    }

    /// From now on the controller is told.
    pub fn registered(&self, registration: Rc<Registration>) {
        assert!(self.registration.set(registration).is_ok(), "a broker registers once");
    }

    async fn listen(self: Rc<Self>, shard: ShardId) {
        loop {
            self.shards.credit().await;
            match self.shards.call(shard, Request::News).await {
                Reply::News(News::LogDirFailed { log_dir, cause }) => self.failed(log_dir, &cause),
                Reply::News(News::Assign { partition, topic, log_dir, log_start }) => {
                    let arrival = Arrival { topic, log_dir, log_start };
                    runtime::spawn_in(Class::Control, self.clone().assign(shard, partition, arrival));
                }
                Reply::News(News::Moved { partition, topic, log_dir }) => {
                    info!("{topic}-{} lies in {} now", partition.partition, self.table.row(log_dir).path.display());
                    self.publication.moved(&topic, partition.partition, usize::from(log_dir.0));
                    self.moved.notify_all();
                }
                _ => return,
            }
        }
    }

    /// A partition goes there as soon as the controller has recorded it.
    async fn assign(self: Rc<Self>, shard: ShardId, partition: TopicPartition, arrival: Arrival) {
        let log_dir = arrival.log_dir;
        self.arrivals.expect(partition, arrival).await;
        let told = self.assignments.ask(partition, self.table.row(log_dir).directory_id);
        let Ok(is_recorded) = told.await else { return };
        if !is_recorded {
            self.arrivals.forget(partition);
        }
        self.shards.credit().await;
        self.shards.call(shard, Request::Assigned { partition, is_recorded }).await;
    }

    /// A partition has moved: the checkpoint files should say so soon.
    pub fn moves(&self) -> impl Future<Output = ()> + '_ {
        self.moved.notified()
    }

    /// To be called by whoever sees a directory fail.
    pub fn failed(self: &Rc<Self>, log_dir: LogDirIndex, cause: &str) {
        let row = self.table.row(log_dir);
        if !row.fail() {
            return;
        }
        let path = row.path.display();
        error!(
            "log directory {path} failed: {cause}; it is offline with all its partitions, which answer \
             KAFKA_STORAGE_ERROR; repair the disk or make room, then restart the broker"
        );
        let works = |index: Option<LogDirIndex>| index.is_some_and(|index| self.table.row(index).is_online());
        let any_left = self.table.rows().any(|row| row.holds_topics && works(row.index));
        if log_dir == self.metadata {
            self.end(StartError::MetadataLogDir(row.path.clone()));
        } else if !any_left {
            self.end(StartError::LogDirs);
        }
        runtime::spawn_in(Class::Control, self.clone().spread(log_dir));
    }

    fn end(&self, error: StartError) {
        if let Some(fatal) = self.fatal.take() {
            drop(fatal.send(error));
        }
    }

    async fn spread(self: Rc<Self>, log_dir: LogDirIndex) {
        self.shards.credit().await;
        let told: Vec<_> =
            self.shards.shards().map(|shard| self.shards.call(shard, Request::FailLogDir(log_dir))).collect();
        for reply in told {
            reply.await;
        }
        if let Some(registration) = self.registration.get()
            && let Err(error) = registration.beat().await
        {
            warn!("the controller has not taken note of a failed log directory yet: {}", error.name());
        }
    }

    /// By index in `LogDirs::dirs`.
    pub fn is_online(&self, index: usize) -> bool {
        self.table.row(LogDirIndex(u16::try_from(index).expect("log.dirs names few directories"))).is_online()
    }
}

/// Ids of the directories that failed since the start.
pub fn failed_ids(table: &LogDirTable) -> Vec<Uuid> {
    table.rows().filter(|row| row.index.is_some() && !row.is_online()).map(|row| row.directory_id).collect()
}
