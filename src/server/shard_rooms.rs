//! The rooms of one shard: its partitions, its connections, its context; opened, fed and closed by shard 0's word.

use super::control::{Control, ControlPort, Done, Published};
use crate::config::BrokerConfig;
use crate::console;
use crate::controller::Controller;
use crate::coordinator::Scene;
use crate::exchange::{Dispatch, Peer, Serving};
use crate::group::Groups;
use crate::handlers::{self, Context, Identity, Ways};
use crate::network::{Connections, Settings};
use bytes::Bytes;
use odradek_shards::Shards;
use odradek_shards::budget::Budget;
use odradek_shards::journal::{self, Leftovers};
use odradek_shards::limits;
use odradek_shards::mailbox::Port;
use odradek_shards::message::{Reply, Request};
use odradek_shards::runtime::net::Listener;
use odradek_shards::runtime::{self, Class, Directory, checks};
use odradek_shards::shard::{self, Shard};
use odradek_shards::types::ShardId;
use std::cell::{OnceCell, RefCell};
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// One shard's part of the broker.
pub struct ShardRooms {
    id: ShardId,
    count: u16,
    config: Arc<BrokerConfig>,
    port: Rc<Port<Request, Reply>>,
    controller: Controller,
    groups: Groups,
    shards: OnceCell<Shards>,
    published: RefCell<Published>,
    serving: OnceCell<(Rc<Context>, Rc<Connections>)>,
}

impl ShardRooms {
    pub fn new(
        id: ShardId,
        count: u16,
        config: Arc<BrokerConfig>,
        port: Port<Request, Reply>,
        controller: Controller,
        groups: Groups,
    ) -> Rc<Self> {
        let published = Published {
            image: Arc::default(),
            config: config.clone(),
            changed_topics: Arc::new([]),
            deleted_topics: Arc::new([]),
            brokers_changed: false,
        };
        Rc::new(Self {
            id,
            count,
            config,
            port: Rc::new(port),
            controller,
            groups,
            shards: OnceCell::new(),
            published: RefCell::new(published),
            serving: OnceCell::new(),
        })
    }

    /// The way to all shards; there once the directories are open.
    pub fn shards(&self) -> &Shards {
        self.shards.get().expect("shard 0 opens the rooms before it uses them")
    }

    /// Does what shard 0 says until it says to end.
    pub async fn obey(self: Rc<Self>, port: Rc<ControlPort>) {
        loop {
            let (envelope, control) = port.receive().await;
            let last = matches!(control, Control::End);
            envelope.reply(self.act(control).await);
            if last {
                return;
            }
        }
    }

    async fn act(self: &Rc<Self>, control: Control) -> Done {
        match control {
            Control::Open { log_dirs, leftovers } => self.open(log_dirs, leftovers).await?,
            Control::Begin(identity) => self.begin(identity),
            Control::Publish(published) => self.publish(published),
            Control::Connection(incoming) => {
                if let Some((_, connections)) = self.serving.get() {
                    connections.adopt(incoming);
                }
            }
            Control::Hush => {
                if let Some((_, connections)) = self.serving.get() {
                    connections.stop();
                }
                self.groups.close();
            }
            Control::End => {}
        }
        Ok(())
    }

    async fn open(&self, paths: Vec<PathBuf>, leftovers: Vec<Arc<Leftovers>>) -> Done {
        let mut log_dirs = Vec::with_capacity(paths.len());
        for path in paths {
            log_dirs.push(Directory::open(&path).await?);
        }
        let engine = &self.config.engine;
        let settings = shard::Settings {
            tail_bytes_max: usize::try_from(engine.odradek_tail_cache_bytes).unwrap_or(usize::MAX),
            request_bytes_max: self.memory_half(),
            cleaner: self.config.cleaner_settings(),
            scrub: self.config.scrub_settings(),
            retention_check: milliseconds(self.config.storage.log_retention_check_interval_ms),
            retention_first_check: milliseconds(self.config.storage.log_initial_task_delay_ms),
            journal: journal::Settings::new(engine.odradek_journal_bytes),
            open_files_max: open_files_max(self.count),
            leftovers,
            ..shard::Settings::new(self.id, log_dirs)
        };
        let shard = Shard::new(settings);
        runtime::spawn(shard.clone().serve(self.port.clone()));
        let shards = Shards::new(shard, self.port.clone(), self.count);
        self.groups.open(shards.clone());
        assert!(self.shards.set(shards).is_ok(), "rooms are opened once");
        Ok(())
    }

    /// Coordinators read their partitions only now: registration takes the leaders away and gives them back.
    fn begin(&self, identity: Identity) {
        let published = self.published.borrow().clone();
        self.publish_to_groups(published.clone());
        let Published { image, config, .. } = published;
        let replies = Budget::new(self.memory_half());
        let context = Context::new(identity, config, image, self.shards().clone(), self.ways(), replies.clone());
        let network = &self.config.network;
        let settings = Settings {
            request_bytes_max: network.socket_request_max_bytes,
            idle_max: milliseconds(network.connections_max_idle_ms),
        };
        let dispatch = Rc::new(Handlers(context.clone()));
        let connections = Connections::new(settings, dispatch, self.shards().budget().clone(), replies);
        runtime::spawn(connections.clone().sweep());
        assert!(self.serving.set((context, connections)).is_ok(), "a shard begins to serve once");
    }

    /// Answers whoever fetches metrics from now on.
    pub fn tell_metrics(&self, listener: Listener) {
        let (context, _) = self.serving.get().expect("the shard serves before it tells how");
        runtime::spawn_in(Class::Background, console::serve(listener, context.clone()));
    }

    fn ways(&self) -> Ways {
        Ways { controller: self.controller.clone(), groups: self.groups.clone() }
    }

    /// One half of `odradek.request.memory.bytes` is for requests, the other for replies.
    fn memory_half(&self) -> usize {
        usize::try_from(self.config.engine.odradek_request_memory_bytes / 2).unwrap_or(usize::MAX)
    }

    fn publish(&self, published: Published) {
        *self.published.borrow_mut() = published.clone();
        if let Some((context, _)) = self.serving.get() {
            context.publish(published.image.clone(), published.config.clone());
            self.publish_to_groups(published);
        }
    }

    fn publish_to_groups(&self, published: Published) {
        let Published { image, config, changed_topics, deleted_topics, brokers_changed } = published;
        self.groups.publish(&Scene { image, config, changed_topics, deleted_topics, brokers_changed });
    }
}

/// A shard's share of the files that the process may have open.
fn open_files_max(shards: u16) -> usize {
    let share = checks::open_files() / (limits::OPEN_FILES_SHARE * u64::from(shards));
    usize::try_from(share).unwrap_or(usize::MAX).max(limits::OPEN_FILES_MIN)
}

/// Negative is for ever.
fn milliseconds(value: i64) -> Duration {
    u64::try_from(value).map_or(Duration::MAX, Duration::from_millis)
}

/// Leads frames to the handlers.
struct Handlers(Rc<Context>);

impl Dispatch for Handlers {
    fn serve(&self, frame: Bytes, from: &Rc<Peer>) -> Serving {
        handlers::dispatch(&self.0, frame, from)
    }

    fn may_wait(&self, frame: &Bytes) -> bool {
        handlers::may_wait(frame)
    }

    fn has_room(&self) -> bool {
        self.0.shards.is_ready()
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(self.0.shards.ready())
    }
}
