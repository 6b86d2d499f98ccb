//! What each shard runs from its start to its end. Shard 0 leads: it starts the others' rooms, publishes, and stops all.

use super::assignments::Assignments;
use super::checkpoints::Checkpoints;
use super::control::{Control, ControlPort, Done, tell_all};
use super::journals::{Journals, look};
use super::log_dir_watch::LogDirWatch;
use super::metadata_log;
use super::publication::Publication;
use super::registration::{Registrant, Registration};
use super::shard_rooms::ShardRooms;
use super::sockets::{Bound, Sockets};
use super::{Fate, StartError};
use crate::config::topic::Durability;
use crate::config::{BrokerConfig, TopicConfig};
use crate::controller::{self, Controller};
use crate::group;
use crate::handlers::Identity;
use crate::log_dirs::{LogDirError, LogDirTable, LogDirs};
use crate::metadata::{Image, ResourceType};
use crate::network::{Incoming, accept_loop};
use crate::raft::Raft;
use futures_util::future::{Either, select};
use odradek_shards::mailbox::{Berth, Mesh};
use odradek_shards::message::{LogDirIndex, Reply, Request};
use odradek_shards::runtime::signals::Signals;
use odradek_shards::runtime::sync::{Receiver, oneshot};
use odradek_shards::runtime::{self, Class, Directory, Instant};
use odradek_shards::types::ShardId;
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tracing::{error, info};

/// What is written between two checkpoints is scanned after a crash.
const CHECKPOINT_INTERVAL_MAX: Duration = Duration::from_secs(10);

/// What shard 0 starts the broker with.
pub struct Start {
    pub started: Instant,
    pub sockets: Sockets,
    pub log_dirs: LogDirs,
    pub signals: Signals,
    pub fate: Fate,
}

/// What a shard is given on its way to its thread.
pub struct Belongings {
    config: Arc<BrokerConfig>,
    count: u16,
    engine: Berth<Request, Reply>,
    control: Berth<Control, Done>,
    controller: controller::Berth,
    groups: group::Berth,
    /// Shard 0's.
    start: Option<Start>,
}

impl Belongings {
    pub fn of_each(config: &Arc<BrokerConfig>, start: Start) -> Vec<Self> {
        let count = super::shards(config);
        let engine = Mesh::new(count).into_iter();
        let control = Mesh::new(count).into_iter();
        let controllers = controller::mesh(count).into_iter();
        let groups = group::mesh(count).into_iter();
        let mut start = Some(start);
        let each = engine.zip(control).zip(controllers).zip(groups);
        each.map(|(((engine, control), controller), groups)| Self {
            config: config.clone(),
            count,
            engine,
            control,
            controller,
            groups,
            start: start.take(),
        })
        .collect()
    }
}

/// The life of a shard.
pub async fn main(id: ShardId, belongings: Belongings) {
    let Belongings { config, count, engine, control, controller, groups, start } = belongings;
    let port = Rc::new(control.attach());
    let controller = controller.attach();
    let groups = groups.attach(config.node_id);
    let rooms = ShardRooms::new(id, count, config.clone(), engine.attach(), controller.clone(), groups);
    let Some(start) = start else { return rooms.obey(port).await };
    let obeying = runtime::spawn_joined(rooms.clone().obey(port.clone()));
    lead(Leader { config, count, port: port.clone(), rooms, controller }, start).await;
    if let Err(error) = tell_all(&port, count, || Control::End).await {
        error!("a shard did not end: {error}");
    }
    obeying.await;
}

/// Shard 0 at work.
struct Leader {
    config: Arc<BrokerConfig>,
    count: u16,
    port: Rc<ControlPort>,
    rooms: Rc<ShardRooms>,
    controller: Controller,
}

async fn lead(leader: Leader, start: Start) {
    let Start { started, sockets, log_dirs, signals, fate } = start;
    match leader.start(started, &sockets, log_dirs).await {
        Ok(mut running) => {
            let failed = select(&mut running.failure, &mut running.lost);
            match select(pin!(signals.received()), failed).await {
                Either::Left((signal, _)) => info!("stopping: {signal:?} received"),
                Either::Right((Either::Left((failure, _)) | Either::Right((failure, _)), _)) => {
                    let error = failure.expect("the controller and the watch end by failing");
                    error!("stopping: {error}");
                    *fate.lock().expect("nothing panics while it holds the error") = Some(error);
                }
            }
            running.stop(&leader).await;
            info!("stopped");
        }
        Err(error) => *fate.lock().expect("nothing panics while it holds the error") = Some(error),
    }
}

/// What has to be stopped again.
struct Running {
    checkpoints: Rc<Checkpoints>,
    registration: Rc<Registration>,
    raft: Raft,
    /// Of the metadata log.
    failure: Receiver<StartError>,
    /// Of a log directory that the broker cannot do without.
    lost: Receiver<StartError>,
}

impl Leader {
    async fn start(&self, started: Instant, sockets: &Sockets, log_dirs: LogDirs) -> Result<Running, StartError> {
        let Bound { listeners, endpoints, metrics } = sockets.bind(&self.config).await?;
        let (log_dirs, dirs, journals) = open_all(log_dirs).await?;
        let paths: Vec<PathBuf> = log_dirs.dirs.iter().map(|dir| dir.path.clone()).collect();
        let open = || Control::Open { log_dirs: paths.clone(), leftovers: journals.leftovers() };
        tell_all(&self.port, self.count, open).await.map_err(StartError::Shard)?;
        let shards = self.rooms.shards().clone();
        let raft = metadata_log::open(&self.config, &log_dirs, &dirs).await?;
        let table = Arc::new(LogDirTable::new(&log_dirs));
        let cluster = (&log_dirs.cluster_id).into();
        let identity = Identity { node: self.config.node_id, cluster, log_dirs: table.clone() };
        let past = Past::of(&log_dirs);
        let metadata = LogDirIndex(u16::try_from(log_dirs.metadata).expect("log.dirs names few directories"));
        let assignments = Assignments::new(self.controller.clone(), self.config.node_id);
        let (config, port) = (self.config.clone(), self.port.clone());
        let publication = Publication::new(config, shards.clone(), port, log_dirs, table.clone(), assignments.clone());
        let (watch, lost) =
            LogDirWatch::new(shards.clone(), table.clone(), metadata, publication.clone(), assignments.clone());
        watch.start();
        let checkpoints = Checkpoints::new(shards.clone(), dirs, watch.clone());
        let settings = controller::Settings {
            cluster_id: identity.cluster.clone(),
            node: self.config.node_id,
            config: self.config.clone(),
        };
        let (failed, mut failure) = oneshot();
        let leading = metadata_log::lead(self.controller.clone(), raft.clone(), settings, publication.clone());
        runtime::spawn_in(Class::Control, async move { drop(failed.send(leading.await)) });
        let image = match select(pin!(publication.image()), &mut failure).await {
            Either::Left((image, _)) => image,
            Either::Right((failure, _)) => return Err(failure.expect("the controller ends by failing")),
        };
        for (index, error) in journals.remove(&shards, |index| watch.is_online(index)).await {
            watch.failed(LogDirIndex(index as u16), &format!("removing a journal of the run before: {error}"));
        }
        let registrant = Registrant {
            config: &self.config,
            cluster_id: &identity.cluster,
            log_dirs: table,
            endpoints,
            previous_epoch: self.previous_epoch(&image, past),
        };
        let registration = Rc::new(Registration::new(self.controller.clone(), registrant).await?);
        watch.registered(registration.clone());
        runtime::spawn_in(Class::Control, assignments.run(registration.epoch));
        tell_all(&self.port, self.count, || Control::Begin(identity.clone())).await.map_err(StartError::Shard)?;
        self.listen(listeners, sockets);
        if let Some(metrics) = metrics {
            info!("metrics are at http://{}/metrics", metrics.local_address());
            self.rooms.tell_metrics(metrics);
        }
        self.keep(&registration, &checkpoints, &publication);
        self.say_ready(started, sockets, &paths, publication.partitions());
        Ok(Running { checkpoints, registration, raft, failure, lost })
    }

    /// Of the run before, when all it acknowledged is here: it ended in order, or it synced every record before it
    /// acknowledged it.
    fn previous_epoch(&self, image: &Image, past: Past) -> Option<i64> {
        let is_written = |config: &TopicConfig| config.odradek_durability == Durability::Written;
        let any_written = is_written(&self.config.topic_defaults)
            || image.topics().iter().any(|topic| {
                let overrides = image.configs().of(ResourceType::Topic, &topic.name);
                !overrides.is_empty() && is_written(&TopicConfig::resolve(overrides, &self.config))
            });
        let registered = image.cluster().broker(self.config.node_id).map(|broker| broker.epoch);
        match past {
            Past::Gone => None,
            Past::Closed(epoch) => Some(epoch),
            Past::Broken => registered.filter(|_| !any_written),
        }
    }

    fn listen(&self, listeners: Vec<(Arc<str>, runtime::net::Listener)>, sockets: &Sockets) {
        for (name, listener) in listeners {
            let port = self.port.clone();
            let hand_off = move |incoming: Incoming| {
                let shard = incoming.place.shard;
                drop(port.call(shard, Control::Connection(incoming)));
            };
            runtime::spawn(accept_loop(listener, name, sockets.counts.clone(), hand_off));
        }
    }

    /// Starts what goes on as long as the broker runs.
    fn keep(&self, registration: &Rc<Registration>, checkpoints: &Rc<Checkpoints>, publication: &Rc<Publication>) {
        let heartbeat = milliseconds(i64::from(self.config.quorum.broker_heartbeat_interval_ms));
        let (registration, publication) = (registration.clone(), publication.clone());
        runtime::spawn_in(Class::Control, async move { registration.keep(heartbeat, &publication).await });
        let storage = &self.config.storage;
        let intervals =
            [storage.log_flush_offset_checkpoint_interval_ms, storage.log_flush_start_offset_checkpoint_interval_ms];
        let interval = intervals.map(milliseconds).into_iter().fold(CHECKPOINT_INTERVAL_MAX, Duration::min);
        runtime::spawn_in(Class::Background, checkpoints.clone().run(interval));
    }

    fn say_ready(&self, started: Instant, sockets: &Sockets, log_dirs: &[PathBuf], partitions: usize) {
        let listeners: Vec<String> =
            sockets.addresses.iter().map(|(listener, address)| format!("{}://{address}", listener.name)).collect();
        info!(
            "odradek {} ready: listeners {}, shards {}, data {}, {partitions} partitions, took {} ms",
            env!("CARGO_PKG_VERSION"),
            listeners.join(","),
            self.count,
            log_dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(","),
            started.elapsed().as_millis()
        );
    }
}

impl Running {
    async fn stop(&self, leader: &Leader) {
        if let Err(error) = tell_all(&leader.port, leader.count, || Control::Hush).await {
            error!("connections did not close: {error}");
        }
        let metadata = self.raft.close().await.inspect_err(|error| error!("the metadata log did not close: {error}"));
        self.checkpoints.close(self.registration.epoch, metadata.is_ok()).await;
    }
}

/// What the run before left behind.
#[derive(Clone, Copy)]
enum Past {
    /// Every directory was closed in order, by the broker of this epoch.
    Closed(i64),
    /// One at least was not.
    Broken,
    /// A directory is new or cannot be used: what was in it may be lost.
    Gone,
}

impl Past {
    fn of(log_dirs: &LogDirs) -> Self {
        let first = log_dirs.dirs.first().and_then(|dir| dir.broker_epoch);
        let is_lost = !log_dirs.offline.is_empty() || log_dirs.dirs.iter().any(|dir| dir.is_new);
        match first {
            _ if is_lost => Self::Gone,
            Some(epoch) if log_dirs.dirs.iter().all(|dir| dir.broker_epoch == first) => Self::Closed(epoch),
            _ => Self::Broken,
        }
    }
}

/// Opens all directories and looks up what is in their journals. One that cannot be is left out, unless it is the
/// metadata log's or the last.
async fn open_all(mut log_dirs: LogDirs) -> Result<(LogDirs, Vec<Directory>, Journals), StartError> {
    let mut found = Vec::with_capacity(log_dirs.dirs.len());
    while let Some(log_dir) = log_dirs.dirs.get(found.len()) {
        let index = found.len();
        let opened = match Directory::open(&log_dir.path).await {
            Ok(dir) => look(&dir, log_dir).await.map(|leftovers| (dir, leftovers)).map_err(StartError::Journal),
            Err(error) => Err(StartError::Shard(error)),
        };
        match opened {
            Ok((dir, leftovers)) => {
                log_dirs.dirs[index].journaled = leftovers.partitions().collect();
                found.push((dir, leftovers));
            }
            Err(error) if index == log_dirs.metadata => return Err(error),
            Err(error) => {
                let path = log_dir.path.display();
                error!("log directory {path}: {error}; until a start finds it usable, its partitions are offline");
                log_dirs.leave_out(index);
            }
        }
    }
    if !log_dirs.holds_topics(0) {
        return Err(LogDirError::AllUnusable.into());
    }
    let dirs = found.iter().map(|(dir, _)| dir.clone()).collect();
    Ok((log_dirs, dirs, Journals::new(found)))
}

fn milliseconds(configured: i64) -> Duration {
    u64::try_from(configured).map_or(Duration::MAX, Duration::from_millis).max(Duration::from_millis(1))
}
