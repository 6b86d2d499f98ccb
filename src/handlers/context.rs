//! What a handler may touch: the image, the shards, the controller, and this shard's own small stores.

use super::fetch_session::FetchSessions;
use super::producer_ids::ProducerIds;
use super::repacker::Repacker;
use super::topic_rules::TopicRules;
use crate::config::BrokerConfig;
use crate::controller::Controller;
use crate::group::{self, Groups};
use crate::log_dirs::LogDirTable;
use crate::metadata::image::Image;
use crate::metadata::topics::{PartitionImage, TopicImage};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::primitives::Str;
use odradek_shards::Shards;
use odradek_shards::budget::Budget;
use odradek_shards::types::{NodeId, PartitionIndex, TopicPartition};
use std::cell::{Ref, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// Who this broker is.
#[derive(Clone, Debug)]
pub struct Identity {
    pub node: NodeId,
    pub cluster: Str,
    pub log_dirs: Arc<LogDirTable>,
}

/// The rooms beside the shards that handlers ask.
pub struct Ways {
    pub controller: Controller,
    pub groups: Groups,
}

/// One per shard, for as long as the shard runs.
pub struct Context {
    pub identity: Identity,
    config: RefCell<Arc<BrokerConfig>>,
    pub shards: Shards,
    pub controller: Controller,
    pub groups: Groups,
    pub fetch_sessions: RefCell<FetchSessions>,
    pub producer_ids: ProducerIds,
    pub topic_rules: TopicRules,
    pub repacker: Repacker,
    /// What large answers hold until they are sent.
    pub replies: Budget,
    image: RefCell<Arc<Image>>,
}

impl Context {
    pub fn new(
        identity: Identity,
        config: Arc<BrokerConfig>,
        image: Arc<Image>,
        shards: Shards,
        Ways { controller, groups }: Ways,
        replies: Budget,
    ) -> Rc<Self> {
        let slots = config.fetch.max_incremental_fetch_session_cache_slots / usize::from(shards.count());
        Rc::new(Self {
            identity,
            fetch_sessions: RefCell::new(FetchSessions::new(slots.max(1))),
            producer_ids: ProducerIds::default(),
            topic_rules: TopicRules::default(),
            repacker: Repacker::default(),
            replies,
            config: RefCell::new(config),
            shards,
            controller,
            groups,
            image: RefCell::new(image),
        })
    }

    /// The metadata as of now; a handler that awaits should ask again.
    pub fn image(&self) -> Arc<Image> {
        self.image.borrow().clone()
    }

    /// The same for a look that ends before the next await.
    pub fn look(&self) -> Ref<'_, Arc<Image>> {
        self.image.borrow()
    }

    /// The configuration as of now, dynamic settings included.
    pub fn config(&self) -> Arc<BrokerConfig> {
        self.config.borrow().clone()
    }

    /// Swaps the image that requests see from now on, and the configuration that goes with it.
    pub fn publish(&self, image: Arc<Image>, config: Arc<BrokerConfig>) {
        self.topic_rules.forget();
        *self.image.borrow_mut() = image;
        *self.config.borrow_mut() = config;
    }

    /// Asks a group's coordinator; the request is on its way when this returns.
    pub fn ask_group(&self, group: &str, request: group::Request) -> impl Future<Output = group::Reply> + use<> {
        self.groups.ask((&self.look(), &self.config.borrow()), group, request)
    }

    /// The coordinator's answer to a request that decides nothing, if it can be had without waiting.
    pub fn ask_group_at_once(&self, group: &str, request: &group::Request) -> Option<group::Reply> {
        self.groups.answer_at_once((&self.look(), &self.config.borrow()), group, request)
    }

    /// The partition, if this broker leads it.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER or, when our replica's log directory failed,
    /// KAFKA_STORAGE_ERROR.
    pub fn led<'a>(
        &self,
        topic: &'a TopicImage,
        index: i32,
    ) -> Result<(TopicPartition, &'a PartitionImage), ErrorCode> {
        let index = PartitionIndex(index);
        let partition = topic.partition(index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if partition.leader != self.identity.node {
            return Err(self.not_leading(partition));
        }
        Ok((TopicPartition { topic: topic.id, partition: index }, partition))
    }

    fn not_leading(&self, partition: &PartitionImage) -> ErrorCode {
        let image = self.look();
        let me = image.cluster().broker(self.identity.node);
        let is_offline = |dir| me.is_some_and(|me| !me.has_online_dir(dir));
        match partition.directory_of(self.identity.node).is_some_and(is_offline) {
            true => ErrorCode::KafkaStorageError,
            false => ErrorCode::NotLeaderOrFollower,
        }
    }
}
