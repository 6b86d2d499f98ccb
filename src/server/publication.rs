//! From one metadata image to the next: first the logs, on the shards that own them, then the image, on every shard.

use super::assignments::Assignments;
use super::control::{Control, ControlPort, Published, tell_all};
use crate::config::BrokerConfig;
use crate::log_dirs::{Home, LogDirTable, LogDirs, Whereabouts};
use crate::metadata::topics::{DIRECTORIES_RESERVED, TopicImage};
use crate::metadata::{Delta, Image, ResourceType};
use odradek_shards::Shards;
use odradek_shards::log::LogConfig;
use odradek_shards::message::{LogDirIndex, OpenPartition, PartitionChange, Reply, Request};
use odradek_shards::runtime::sync::Notify;
use odradek_shards::types::{NodeId, PartitionIndex, ShardId, TopicPartition};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use tracing::error;

/// Shard 0's means of publishing.
pub struct Publication {
    node: NodeId,
    /// As configured at start; dynamic settings come from the image.
    started_with: Arc<BrokerConfig>,
    in_force: RefCell<Arc<BrokerConfig>>,
    shards: Shards,
    port: Rc<ControlPort>,
    log_dirs: RefCell<LogDirs>,
    table: Arc<LogDirTable>,
    /// Rung when other log directories are cordoned.
    cordoned: Notify,
    assignments: Rc<Assignments>,
    has_begun: Cell<bool>,
    partitions: Cell<usize>,
    last: RefCell<Option<Arc<Image>>>,
    published: Notify,
}

const MOVE_RATE: &str = "replica.alter.log.dirs.io.max.bytes.per.second";

type Changes = BTreeMap<ShardId, Vec<PartitionChange>>;

impl Publication {
    pub fn new(
        config: Arc<BrokerConfig>,
        shards: Shards,
        port: Rc<ControlPort>,
        log_dirs: LogDirs,
        table: Arc<LogDirTable>,
        assignments: Rc<Assignments>,
    ) -> Rc<Self> {
        let in_force = RefCell::new(config.clone());
        let publication = Rc::new(Self {
            node: config.node_id,
            started_with: config,
            in_force,
            shards,
            port,
            log_dirs: RefCell::new(log_dirs),
            table,
            cordoned: Notify::new(),
            assignments,
            has_begun: Cell::default(),
            partitions: Cell::default(),
            last: RefCell::default(),
            published: Notify::new(),
        });
        publication.cordon();
        publication
    }

    fn cordon(&self) {
        let config = self.in_force.borrow();
        if self.table.cordon(|path| config.is_cordoned(path)) {
            self.cordoned.notify_one();
        }
    }

    /// Other log directories are cordoned than before.
    pub async fn cordoned(&self) {
        self.cordoned.notified().await;
    }

    /// Makes a committed change real here; when it returns, every request sees it. The first one brings all that the
    /// metadata log said at start, and with it goes what earlier runs left to be deleted.
    pub async fn publish(&self, delta: &Delta, image: Arc<Image>) {
        let reconfigured = self.renew_config(delta, &image);
        if reconfigured {
            self.reconfigure_shards(&image).await;
        }
        let changes = self.changes(delta, &image, reconfigured);
        self.change(changes).await;
        self.spread(delta, image.clone()).await;
        *self.last.borrow_mut() = Some(image);
        self.published.notify_all();
    }

    /// What was published last; waits for the first.
    pub async fn image(&self) -> Arc<Image> {
        loop {
            let published = self.published.notified();
            if let Some(image) = &*self.last.borrow() {
                return image.clone();
            }
            published.await;
        }
    }

    /// The partition has moved there.
    pub fn moved(&self, topic: &str, partition: PartitionIndex, index: usize) {
        self.log_dirs.borrow_mut().moved(topic, partition, index);
    }

    /// How many partitions are here.
    pub fn partitions(&self) -> usize {
        self.partitions.get()
    }

    async fn spread(&self, delta: &Delta, image: Arc<Image>) {
        let deleted_topics = delta.topics().deleted.values().map(|topic| topic.name.clone()).collect();
        let changed = delta.topics().changed.keys().filter_map(|id| image.topics().name_of(*id));
        let published = Published {
            changed_topics: changed.cloned().collect(),
            deleted_topics,
            brokers_changed: !delta.cluster().changed_brokers.is_empty(),
            image,
            config: self.in_force.borrow().clone(),
        };
        let told = tell_all(&self.port, self.shards.count(), || Control::Publish(published.clone())).await;
        if let Err(error) = told {
            error!("an image did not reach every shard: {error}");
        }
    }

    /// Sends each shard its changes and waits for all of them. What fails is told by the shard; requests for such a
    /// partition hear of it too.
    async fn change(&self, changes: Changes) {
        let sent: Vec<_> =
            changes.into_iter().map(|(shard, changes)| self.shards.call(shard, Request::Change(changes))).collect();
        for reply in sent {
            if let Reply::Closed = reply.await {
                error!("a shard ended before it changed its partitions");
            }
        }
    }

    async fn reconfigure_shards(&self, image: &Image) {
        let settings = self.in_force.borrow().cleaner_settings();
        let rate = self.move_rate(image) / f64::from(self.shards.count());
        let cleaner = self.shards.shards().map(|shard| self.shards.call(shard, Request::Cleaner(settings)));
        let mut sent: Vec<_> = cleaner.collect();
        sent.extend(self.shards.shards().map(|shard| self.shards.call(shard, Request::MoveRate(rate))));
        for reply in sent {
            reply.await;
        }
    }

    fn changes(&self, delta: &Delta, image: &Image, reconfigured: bool) -> Changes {
        let is_first = !self.has_begun.replace(true);
        let mut changes = if is_first { self.doomed() } else { Changes::new() };
        let local = delta.local_changes(self.node);
        self.partitions.set(self.partitions.get() + local.added.len() - local.removed.len());
        for partition in local.removed {
            self.add(&mut changes, partition, PartitionChange::Delete { partition });
            if let Some(topic) = delta.base().topics().by_id(partition.topic) {
                self.log_dirs.borrow_mut().forget(&topic.name, partition.partition);
            }
        }
        for partition in local.added {
            if let Some(topic) = image.topics().by_id(partition.topic) {
                let config = self.log_config(image, &topic.name);
                self.open(partition, topic, &config, is_first, &mut changes);
            }
        }
        for partition in local.changed {
            self.lead(partition, image, &mut changes);
        }
        self.reconfigure(delta, image, reconfigured, &mut changes);
        changes
    }

    fn open(
        &self,
        partition: TopicPartition,
        topic: &TopicImage,
        config: &Arc<LogConfig>,
        is_first: bool,
        changes: &mut Changes,
    ) {
        let Some(home) = self.home(partition, topic, is_first) else {
            return self.add(changes, partition, PartitionChange::Absent { partition });
        };
        for (index, name) in &home.stale {
            let discard = PartitionChange::Discard { log_dir: log_dir(*index), name: name.clone() };
            self.add(changes, partition, discard);
        }
        let image = topic.partition(partition.partition).expect("a partition that is to be opened stands in its topic");
        let directory = self.log_dirs.borrow().dirs[home.log_dir].directory_id;
        if image.directory_of(self.node) != Some(directory) {
            self.assignments.add(partition, directory);
        }
        let open = OpenPartition {
            partition,
            topic: Arc::from(topic.name.as_str()),
            log_dir: log_dir(home.log_dir),
            config: config.clone(),
            leader_epoch: image.leader_epoch,
            clean: home.is_clean,
            recovery_point: home.recovery_point,
            log_start: home.log_start,
            cleaned: home.cleaned,
            promote: home.promote,
            future: home.future.map(|(index, name)| (log_dir(index), name)),
        };
        self.add(changes, partition, PartitionChange::Open(open));
    }

    /// Where it lies, or where it will; none where that cannot be used, said at once.
    fn home(&self, partition: TopicPartition, topic: &TopicImage, is_first: bool) -> Option<Home> {
        let index = partition.partition;
        let recorded = topic.partition(index).and_then(|image| image.directory_of(self.node));
        let assigned = recorded.filter(|directory| directory.as_u128() >= DIRECTORIES_RESERVED);
        let mut log_dirs = self.log_dirs.borrow_mut();
        match log_dirs.locate(&topic.name, index, assigned) {
            Whereabouts::Here(home) => Some(home),
            Whereabouts::Nowhere => match log_dirs.belongs(partition, assigned) {
                // A crash may have come before its place was recorded, so it may lie where nobody can look.
                None if is_first && !log_dirs.offline.is_empty() => None,
                wanted => log_dirs.place(&topic.name, index, wanted, &self.table),
            },
            Whereabouts::Offline => None,
            Whereabouts::Twice(first, second) => {
                error!(
                    "{}-{index} lies in {} and in {}, and is offline; remove the one that is known to have failed",
                    topic.name,
                    first.display(),
                    second.display()
                );
                None
            }
        }
    }

    fn lead(&self, partition: TopicPartition, image: &Image, changes: &mut Changes) {
        let Some(state) = image.topics().partition(partition) else { return };
        if state.leader == self.node {
            self.add(changes, partition, PartitionChange::LeaderEpoch { partition, epoch: state.leader_epoch });
        }
    }

    /// Topics whose settings changed, or all of them when the broker's defaults did.
    fn reconfigure(&self, delta: &Delta, image: &Image, all: bool, changes: &mut Changes) {
        let topics: Vec<&TopicImage> = if all {
            image.topics().iter().collect()
        } else {
            let changed = delta.configs().changed.iter().filter(|resource| resource.kind == ResourceType::Topic);
            changed.filter_map(|resource| image.topics().by_name(&resource.name)).collect()
        };
        for topic in topics {
            let config = self.log_config(image, &topic.name);
            for (partition, _) in topic.partitions().filter(|(_, partition)| partition.replicas.contains(&self.node)) {
                let partition = TopicPartition { topic: topic.id, partition };
                let change = PartitionChange::Reconfigure { partition, config: config.clone() };
                self.add(changes, partition, change);
            }
        }
    }

    fn add(&self, changes: &mut Changes, partition: TopicPartition, change: PartitionChange) {
        changes.entry(self.shards.owner(partition)).or_default().push(change);
    }

    /// Directories that a past run had renamed for deletion, spread over the shards.
    fn doomed(&self) -> Changes {
        let log_dirs = self.log_dirs.borrow();
        let named = log_dirs.dirs.iter().enumerate().flat_map(|(index, dir)| {
            let log_dir = log_dir(index);
            dir.doomed.iter().map(move |name| PartitionChange::Discard { log_dir, name: name.clone() })
        });
        let mut changes = Changes::new();
        for (discard, shard) in named.zip(self.shards.shards().collect::<Vec<_>>().into_iter().cycle()) {
            changes.entry(shard).or_default().push(discard);
        }
        changes
    }

    fn log_config(&self, image: &Image, topic: &str) -> Arc<LogConfig> {
        let broker = self.in_force.borrow();
        let overrides = image.configs().of(ResourceType::Topic, topic);
        Arc::new(crate::config::TopicConfig::resolve(overrides, &broker).log_config(&broker))
    }

    /// True when the broker's own settings changed.
    fn renew_config(&self, delta: &Delta, image: &Image) -> bool {
        let touched = delta.configs().changed.iter().any(|resource| resource.kind == ResourceType::Broker);
        if touched {
            self.renew_from(image);
        }
        touched
    }

    /// Bytes per second. Kafka knows this key as a dynamic one only, of a broker or of all; without it there is no bound.
    fn move_rate(&self, image: &Image) -> f64 {
        let of = |name: &str| image.configs().of(ResourceType::Broker, name).get(MOVE_RATE)?.parse::<u64>().ok();
        of(&self.node.to_string()).or_else(|| of("")).map_or(f64::MAX, |rate| rate as f64)
    }

    fn renew_from(&self, image: &Image) {
        let of = |name: &str| image.configs().of(ResourceType::Broker, name);
        let config = self.started_with.with_dynamic(of(""), of(&self.node.to_string()));
        *self.in_force.borrow_mut() = Arc::new(config);
        self.cordon();
    }
}

fn log_dir(index: usize) -> LogDirIndex {
    LogDirIndex(u16::try_from(index).expect("log.dirs names few directories"))
}
