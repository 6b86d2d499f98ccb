//! What each shard runs from its start to its end. Shard 0 leads: it starts the others' rooms, publishes, and stops all.

use super::checkpoints::Checkpoints;
use super::control::{Control, ControlPort, Done, tell_all};
use super::journals::Journals;
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
use crate::log_dirs::LogDirs;
use crate::metadata::{Image, ResourceType};
use crate::network::{Incoming, accept_loop};
use crate::raft::Raft;
use futures_util::future::{Either, select};
use odradek_shards::mailbox::{Berth, Mesh};
use odradek_shards::message::{Reply, Request};
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
            match select(pin!(signals.received()), &mut running.failure).await {
                Either::Left((signal, _)) => info!("stopping: {signal:?} received"),
                Either::Right((failure, _)) => {
                    let error = failure.expect("the controller ends by failing");
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
}

impl Leader {
    async fn start(&self, started: Instant, sockets: &Sockets, log_dirs: LogDirs) -> Result<Running, StartError> {
        let Bound { listeners, endpoints } = sockets.bind(&self.config).await?;
        let paths: Vec<PathBuf> = log_dirs.dirs.iter().map(|dir| dir.path.clone()).collect();
        let dirs = open_all(&paths).await.map_err(StartError::Shard)?;
        let journals = Journals::find(&dirs, &log_dirs).await.map_err(StartError::Journal)?;
        let open = || Control::Open { log_dirs: paths.clone(), leftovers: journals.leftovers() };
        tell_all(&self.port, self.count, open).await.map_err(StartError::Shard)?;
        let shards = self.rooms.shards().clone();
        let raft = metadata_log::open(&self.config, &log_dirs, &dirs).await?;
        let checkpoints = Checkpoints::new(shards.clone(), dirs);
        let identity = Identity { node: self.config.node_id, cluster: (&log_dirs.cluster_id).into() };
        let directory_ids = log_dirs.dirs.iter().map(|dir| dir.directory_id).collect();
        let closed_at = log_dirs.dirs.iter().find_map(|dir| dir.broker_epoch);
        let publication =
            Publication::new(self.config.node_id, self.config.clone(), shards.clone(), self.port.clone(), log_dirs);
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
        journals.remove().await.map_err(StartError::Journal)?;
        let registrant = Registrant {
            config: &self.config,
            cluster_id: &identity.cluster,
            log_dirs: directory_ids,
            endpoints,
            previous_epoch: self.previous_epoch(&image, closed_at),
        };
        let registration = Rc::new(Registration::new(self.controller.clone(), registrant).await?);
        tell_all(&self.port, self.count, || Control::Begin(identity.clone())).await.map_err(StartError::Shard)?;
        self.listen(listeners, sockets);
        self.keep(&registration, &checkpoints);
        self.say_ready(started, sockets, &paths, publication.partitions());
        Ok(Running { checkpoints, registration, raft, failure })
    }

    /// Of the run before, when all it acknowledged is here: it ended in order (`closed_at`), or it synced every record
    /// before it acknowledged it.
    fn previous_epoch(&self, image: &Image, closed_at: Option<i64>) -> Option<i64> {
        let is_written = |config: &TopicConfig| config.odradek_durability == Durability::Written;
        let any_written = is_written(&self.config.topic_defaults)
            || image.topics().iter().any(|topic| {
                let overrides = image.configs().of(ResourceType::Topic, &topic.name);
                !overrides.is_empty() && is_written(&TopicConfig::resolve(overrides, &self.config))
            });
        let registered = image.cluster().broker(self.config.node_id).map(|broker| broker.epoch);
        closed_at.or(registered.filter(|_| !any_written))
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
    fn keep(&self, registration: &Rc<Registration>, checkpoints: &Rc<Checkpoints>) {
        let heartbeat = milliseconds(i64::from(self.config.quorum.broker_heartbeat_interval_ms));
        let registration = registration.clone();
        runtime::spawn_in(Class::Control, async move { registration.keep(heartbeat).await });
        let interval =
            milliseconds(self.config.storage.log_flush_offset_checkpoint_interval_ms).min(CHECKPOINT_INTERVAL_MAX);
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

async fn open_all(paths: &[PathBuf]) -> std::io::Result<Vec<Directory>> {
    let mut dirs = Vec::with_capacity(paths.len());
    for path in paths {
        dirs.push(Directory::open(path).await?);
    }
    Ok(dirs)
}

fn milliseconds(configured: i64) -> Duration {
    u64::try_from(configured).map_or(Duration::MAX, Duration::from_millis).max(Duration::from_millis(1))
}
