//! Metadata, versions 0-13: brokers and topics as the image has them; creates missing topics when asked. v1 null = all,
//! v4 auto-creation flag, v10 topic ids, v12 lookup by id, v13 top-level error.

use super::answer::Call;
use super::context::Context;
use super::{authorized_operations, create_topics, topic_name};
use crate::metadata::cluster::BrokerRegistration;
use crate::metadata::image::Image;
use crate::metadata::topics::{PartitionImage, TopicImage, ids};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::metadata_request::MetadataRequestTopic;
use odradek_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use odradek_protocol::messages::{MetadataRequest, MetadataResponse};
use odradek_protocol::primitives::Str;
use odradek_shards::types::{PartitionIndex, TopicId};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

pub async fn handle(context: &Rc<Context>, call: &Call, request: MetadataRequest) -> MetadataResponse {
    let operations = request.include_topic_authorized_operations;
    let wanted = match Wanted::of(&request, call.version) {
        Ok(wanted) => wanted,
        Err(error) => return refuse(&request, error),
    };
    let failed = match &wanted {
        Wanted::Names(names) if request.allow_auto_topic_creation => create_missing(context, names).await,
        _ => HashMap::new(),
    };
    let image = context.image();
    let teller = Teller { image: &image, listener: &call.peer.listener, version: call.version, operations };
    let cluster_operations = call.version <= 10 && request.include_cluster_authorized_operations;
    MetadataResponse {
        brokers: teller.brokers(),
        cluster_id: Some(context.identity.cluster.clone()),
        controller_id: context.identity.node.0,
        topics: teller.topics(&wanted, &failed),
        cluster_authorized_operations: authorized_operations::of_cluster(cluster_operations),
        ..Default::default()
    }
}

/// Which topics a request means, without repetitions.
enum Wanted {
    All,
    Names(Vec<Str>),
    Ids(Vec<TopicId>),
}

impl Wanted {
    fn of(request: &MetadataRequest, version: i16) -> Result<Self, ErrorCode> {
        let Some(topics) = &request.topics else { return Ok(Self::All) };
        if version == 0 && topics.is_empty() {
            return Ok(Self::All);
        }
        let by_id = |topic: &MetadataRequestTopic| !topic.topic_id.is_nil();
        if version < 12 && topics.iter().any(|topic| topic.name.is_none() || by_id(topic)) {
            return Err(ErrorCode::InvalidRequest);
        }
        if topics.iter().any(by_id) {
            let mut seen = HashSet::new();
            let ids = topics.iter().filter(|topic| by_id(topic)).map(|topic| TopicId(topic.topic_id));
            return Ok(Self::Ids(ids.filter(|id| seen.insert(*id)).collect()));
        }
        if topics.iter().any(|topic| topic.name.is_none()) {
            return Err(ErrorCode::InvalidRequest);
        }
        let names: BTreeSet<Str> = topics.iter().filter_map(|topic| topic.name.clone()).collect();
        Ok(Self::Names(names.into_iter().collect()))
    }
}

fn refuse(request: &MetadataRequest, error: ErrorCode) -> MetadataResponse {
    let topics = request.topics.iter().flatten().map(|topic| MetadataResponseTopic {
        error_code: error.code(),
        name: Some(topic.name.clone().unwrap_or_default()),
        topic_id: topic.topic_id,
        ..Default::default()
    });
    MetadataResponse { topics: topics.collect(), error_code: error.code(), ..Default::default() }
}

/// Creates the topics that do not exist; answers which could not be, and why.
async fn create_missing(context: &Rc<Context>, names: &[Str]) -> HashMap<Str, ErrorCode> {
    if !context.config().topics.auto_create_topics_enable {
        return HashMap::new();
    }
    let is_missing = |name: &&Str| topic_name::is_valid(name) && context.look().topics().by_name(name).is_none();
    let missing: Vec<Str> = names.iter().filter(is_missing).cloned().collect();
    if missing.is_empty() { HashMap::new() } else { create_topics::create_by_default(context, missing).await }
}

/// Describes an image to one client.
struct Teller<'a> {
    image: &'a Image,
    listener: &'a str,
    version: i16,
    operations: bool,
}

impl Teller<'_> {
    fn brokers(&self) -> Vec<MetadataResponseBroker> {
        let unfenced = self.image.cluster().unfenced_brokers();
        let reachable = unfenced.filter_map(|broker| broker.listener(self.listener).map(|endpoint| (broker, endpoint)));
        reachable
            .map(|(broker, endpoint)| MetadataResponseBroker {
                node_id: broker.id.0,
                host: endpoint.host.clone(),
                port: i32::from(endpoint.port),
                rack: broker.rack.clone(),
                ..Default::default()
            })
            .collect()
    }

    fn topics(&self, wanted: &Wanted, failed: &HashMap<Str, ErrorCode>) -> Vec<MetadataResponseTopic> {
        let topics = self.image.topics();
        match wanted {
            Wanted::All => topics.iter().map(|topic| self.topic(topic)).collect(),
            Wanted::Names(names) => names
                .iter()
                .map(|name| match topics.by_name(name) {
                    Some(topic) => self.topic(topic),
                    None => self.missing(name, failed.get(name).copied()),
                })
                .collect(),
            Wanted::Ids(ids) => ids
                .iter()
                .map(|id| topics.by_id(*id).map_or_else(|| missing_by_id(*id), |topic| self.topic(topic)))
                .collect(),
        }
    }

    fn topic(&self, topic: &TopicImage) -> MetadataResponseTopic {
        MetadataResponseTopic {
            name: Some(topic.name.clone()),
            topic_id: topic.id.0,
            is_internal: topic_name::is_internal(&topic.name),
            partitions: topic.partitions().map(|(index, partition)| self.partition(index, partition)).collect(),
            topic_authorized_operations: authorized_operations::of_topic(self.operations),
            ..Default::default()
        }
    }

    /// The operations are told for a name that no topic has, too: whoever asked learns whether to create it.
    fn missing(&self, name: &Str, failed: Option<ErrorCode>) -> MetadataResponseTopic {
        let error = match failed {
            Some(error) => error,
            None if topic_name::is_valid(name) => ErrorCode::UnknownTopicOrPartition,
            None => ErrorCode::InvalidTopicException,
        };
        MetadataResponseTopic {
            error_code: error.code(),
            name: Some(name.clone()),
            is_internal: topic_name::is_internal(name),
            topic_authorized_operations: authorized_operations::of_topic(self.operations),
            ..Default::default()
        }
    }

    fn partition(&self, index: PartitionIndex, partition: &PartitionImage) -> MetadataResponsePartition {
        let error = self.leader_error(partition);
        MetadataResponsePartition {
            error_code: error.map_or(0, |error| error.code()),
            partition_index: index.0,
            leader_id: if error.is_none() { partition.leader.0 } else { -1 },
            leader_epoch: partition.leader_epoch.0,
            replica_nodes: ids(&partition.replicas),
            isr_nodes: ids(&partition.isr),
            offline_replicas: self.offline(partition),
            ..Default::default()
        }
    }

    fn leader_error(&self, partition: &PartitionImage) -> Option<ErrorCode> {
        let leader = self.image.cluster().broker(partition.leader).filter(|broker| !broker.fenced);
        match leader {
            None => Some(ErrorCode::LeaderNotAvailable),
            Some(leader) if leader.listener(self.listener).is_some() => None,
            Some(_) if self.version >= 6 => Some(ErrorCode::ListenerNotFound),
            Some(_) => Some(ErrorCode::LeaderNotAvailable),
        }
    }

    fn offline(&self, partition: &PartitionImage) -> Vec<i32> {
        let cluster = self.image.cluster();
        let online =
            |id| cluster.broker(id).is_some_and(|broker| !broker.fenced && is_in_online_dir(broker, partition));
        partition.replicas.iter().filter(|id| !online(**id)).map(|id| id.0).collect()
    }
}

fn is_in_online_dir(broker: &BrokerRegistration, partition: &PartitionImage) -> bool {
    partition.directory_of(broker.id).is_none_or(|dir| broker.has_online_dir(dir))
}

fn missing_by_id(id: TopicId) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: ErrorCode::UnknownTopicId.code(),
        topic_id: id.0,
        name: None,
        ..Default::default()
    }
}
