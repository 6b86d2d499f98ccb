//! All the controller knows: the image with uncommitted records, and what is only in memory because it concerns the living.

use super::heartbeats::Heartbeats;
use super::request::ControllerRequest;
use super::result::{Decision, Moment};
use super::topic_name::collision_form;
use super::{brokers, configs, directories, features, partitions, producer_ids, topic_creation, topic_deletion};
use crate::config::BrokerConfig;
use crate::metadata::features::{BOOTSTRAP, ELIGIBLE_LEADER_REPLICAS_VERSION};
use crate::metadata::{Image, ReplayError, Replayer, ResourceType};
use odradek_protocol::primitives::Str;
use odradek_protocol::records::metadata::{
    AbortTransactionRecord, BeginTransactionRecord, ConfigRecord, EndTransactionRecord, FeatureLevelRecord,
    MetadataRecord,
};
use odradek_shards::clock::Instant;
use odradek_shards::types::{NodeId, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What never changes while the process lives.
#[derive(Clone)]
pub struct Settings {
    pub cluster_id: Str,
    /// The node this controller runs in: an earlier incarnation of its broker is surely dead.
    pub node: NodeId,
    /// server.properties, before anything dynamic.
    pub config: Arc<BrokerConfig>,
}

pub struct State {
    settings: Settings,
    replayer: Replayer,
    /// `settings.config` with what was set for all brokers and for this one.
    config: Arc<BrokerConfig>,
    /// Topic names with a dot or an underscore, by the form they share with those they collide with.
    collisions: BTreeMap<String, BTreeSet<Str>>,
    pub(super) heartbeats: Heartbeats,
}

impl State {
    /// A new leader's state: everything committed so far has been replayed by `replayer`.
    pub fn new(settings: Settings, replayer: Replayer, at: &Moment) -> Self {
        let session_ms = settings.config.quorum.broker_session_timeout_ms;
        let mut state = Self {
            config: settings.config.clone(),
            collisions: BTreeMap::new(),
            heartbeats: Heartbeats::new(session_ms),
            settings,
            replayer,
        };
        state.refresh_config();
        let names: Vec<Str> = state.image().topics().iter().map(|topic| topic.name.clone()).collect();
        names.iter().for_each(|name| state.index_name(name));
        let brokers: Vec<_> = state.replayer.latest().cluster().brokers().map(|b| (b.id, b.epoch, b.fenced)).collect();
        for (id, epoch, fenced) in brokers {
            state.heartbeats.expect(id, epoch, fenced, at.now);
        }
        state
    }

    /// With uncommitted records: what decisions are based on.
    pub fn image(&self) -> &Image {
        self.replayer.latest()
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// With dynamic settings applied.
    pub(super) fn config(&self) -> &BrokerConfig {
        &self.config
    }

    pub(super) fn is_elr_enabled(&self) -> bool {
        self.image().features().level(ELIGIBLE_LEADER_REPLICAS_VERSION) >= 1
    }

    /// Names of existing topics that `name` could not be told from in metrics.
    pub(super) fn colliding_topics(&self, name: &str) -> impl Iterator<Item = &Str> {
        let names = collision_form(name).and_then(|form| self.collisions.get(&form));
        names.into_iter().flatten().filter(move |other| other.as_str() != name)
    }

    /// The smallest ISR a topic's records are acknowledged by.
    pub(super) fn min_insync_replicas(&self, topic: &str) -> usize {
        const KEY: &str = "min.insync.replicas";
        let configs = self.image().configs();
        let of_topic = configs.of(ResourceType::Topic, topic).get(KEY);
        let text = of_topic.or_else(|| configs.of(ResourceType::Broker, "").get(KEY));
        let level = text.and_then(|text| text.trim().parse().ok());
        level.unwrap_or(self.config.topic_defaults.min_insync_replicas as usize).max(1)
    }

    /// What a new leader writes first: the end of a transaction its predecessor left open, and a new cluster's first records.
    pub fn activate(&self, bootstrap: &[MetadataRecord]) -> Vec<MetadataRecord> {
        let mut records = Vec::new();
        if self.replayer.in_transaction() {
            let reason = Some(Str::from_static("failover"));
            records.push(AbortTransactionRecord { reason }.into());
        }
        if self.replayer.settled().is_empty() {
            records.extend(first_records(bootstrap, self.config()));
        }
        records
    }

    /// When the next broker is due to be fenced, if none is heard of until then.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.heartbeats.next_expiry()
    }

    pub fn decide(&mut self, at: &Moment, request: &ControllerRequest) -> Decision {
        use ControllerRequest as R;
        match request {
            R::CreateTopics(request) => topic_creation::create(self, at, request),
            R::DeleteTopics(request) => topic_deletion::delete(self, request),
            R::CreatePartitions(request) => partitions::create(self, at, request),
            R::AlterConfigs(request) => configs::alter(self, request),
            R::IncrementalAlterConfigs(request) => configs::alter_incrementally(self, request),
            R::AllocateProducerIds(request) => producer_ids::allocate(self, request),
            R::UpdateFeatures(request) => features::update(self, request),
            R::ControllerRegistration(request) => brokers::register_controller(self, request),
            R::BrokerRegistration(request) => brokers::register(self, at, request),
            R::AssignReplicasToDirs(request) => directories::assign(self, request),
            R::BrokerHeartbeat(request) => brokers::heartbeat(self, at, request),
        }
    }

    /// What time alone brings: brokers that stopped sending heartbeats are fenced.
    pub fn tick(&mut self, at: &Moment) -> Vec<MetadataRecord> {
        brokers::fence_expired(self, at)
    }

    pub fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        let removed = match record {
            MetadataRecord::RemoveTopic(r) => self.image().topics().name_of(TopicId(r.topic_id)).cloned(),
            _ => None,
        };
        self.replayer.replay(record)?;
        match record {
            MetadataRecord::Topic(r) => self.index_name(&r.name),
            MetadataRecord::Config(r) if r.resource_type == ResourceType::Broker.code() => self.refresh_config(),
            MetadataRecord::AbortTransaction(_) => self.rebuild(),
            _ => {}
        }
        if let Some(name) = removed {
            self.forget_name(&name);
        }
        Ok(())
    }

    /// What was derived from records that an abort took back.
    fn rebuild(&mut self) {
        self.collisions.clear();
        let names: Vec<Str> = self.image().topics().iter().map(|topic| topic.name.clone()).collect();
        names.iter().for_each(|name| self.index_name(name));
        self.refresh_config();
    }

    fn refresh_config(&mut self) {
        let configs = self.replayer.latest().configs();
        let cluster = configs.of(ResourceType::Broker, "");
        let node = configs.of(ResourceType::Broker, &self.settings.node.to_string());
        self.config = Arc::new(self.settings.config.with_dynamic(cluster, node));
    }

    fn index_name(&mut self, name: &Str) {
        if let Some(form) = collision_form(name) {
            self.collisions.entry(form).or_default().insert(name.clone());
        }
    }

    fn forget_name(&mut self, name: &Str) {
        let Some(form) = collision_form(name) else { return };
        if let Some(names) = self.collisions.get_mut(&form) {
            names.remove(name);
            if names.is_empty() {
                self.collisions.remove(&form);
            }
        }
    }
}

/// Production feature levels of Kafka 4.3: what `bootstrap.checkpoint` of a new cluster holds.
pub fn bootstrap_features() -> Vec<MetadataRecord> {
    let feature = |(name, level): (&'static str, i16)| {
        FeatureLevelRecord { name: Str::from_static(name), feature_level: level }.into()
    };
    BOOTSTRAP.into_iter().map(feature).collect()
}

/// The first records of a cluster: those of its bootstrap, and the cluster-wide min.insync.replicas that ELR requires.
fn first_records(bootstrap: &[MetadataRecord], config: &BrokerConfig) -> Vec<MetadataRecord> {
    let name = Some(Str::from_static("Bootstrap records"));
    let mut records = vec![BeginTransactionRecord { name }.into()];
    records.extend(bootstrap.iter().cloned());
    let is_elr = |record: &MetadataRecord| {
        matches!(record, MetadataRecord::FeatureLevel(level)
            if level.name == ELIGIBLE_LEADER_REPLICAS_VERSION && level.feature_level > 0)
    };
    if bootstrap.iter().any(is_elr) {
        let min_isr = config.topic_defaults.min_insync_replicas.to_string();
        let record = ConfigRecord {
            resource_type: ResourceType::Broker.code(),
            resource_name: Str::default(),
            name: Str::from_static("min.insync.replicas"),
            value: Some(min_isr.into()),
        };
        records.push(record.into());
    }
    records.push(EndTransactionRecord {}.into());
    records
}

#[cfg(test)]
mod tests;
