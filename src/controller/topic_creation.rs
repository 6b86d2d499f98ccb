//! CreateTopics, versions 2 to 7: what may be created, where it goes, what is recorded; nothing is half created.

use super::placer;
use super::request::ControllerReply;
use super::result::{Decision, Dice, Moment, Refusal};
use super::state::State;
use super::topic_name::validate_topic_name;
use crate::config::{TopicConfig, describe};
use crate::metadata::ResourceType;
use crate::metadata::topics::ids;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use odradek_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use odradek_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use odradek_protocol::primitives::Str;
use odradek_protocol::records::metadata::{ConfigRecord, MetadataRecord, PartitionRecord, TopicRecord};
use odradek_shards::types::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Partitions one request may create, over all its topics.
pub(super) const PARTITIONS_MAX: usize = 10_000;
const METADATA_TOPIC: &str = "__cluster_metadata";

pub(super) fn create(state: &State, at: &Moment, request: &CreateTopicsRequest) -> Decision {
    let mut records = Vec::new();
    let mut dice = Dice::new(at.seed);
    let repeated = repeated(request.topics.iter().map(|topic| &topic.name));
    let too_many = partitions_asked(state, request) > PARTITIONS_MAX;
    let mut answered = BTreeSet::new();
    let mut topics = Vec::new();
    for topic in request.topics.iter().filter(|topic| answered.insert(&topic.name)) {
        let outcome = match () {
            () if too_many => Err(excessive()),
            () if repeated.contains(&topic.name) => {
                Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
            }
            () => create_one(state, topic, &mut dice),
        };
        topics.push(match outcome {
            Ok(plan) => {
                records.extend(plan.records);
                plan.result
            }
            Err(refusal) => refused(topic.name.clone(), refusal),
        });
    }
    if request.validate_only {
        records.clear();
    }
    let response = CreateTopicsResponse { topics, ..Default::default() };
    Decision::new(records, ControllerReply::CreateTopics(response))
}

pub(super) fn excessive() -> Refusal {
    Refusal::new(ErrorCode::PolicyViolation, "Excessively large number of partitions per request.")
}

/// Names that stand in a request more than once.
pub(super) fn repeated<'a>(names: impl Iterator<Item = &'a Str>) -> BTreeSet<Str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).cloned().collect()
}

fn partitions_asked(state: &State, request: &CreateTopicsRequest) -> usize {
    let of_topic = |topic: &CreatableTopic| match (topic.assignments.len(), topic.num_partitions) {
        (0, -1) => default_partitions(state),
        (0, count) => usize::try_from(count).unwrap_or(0),
        (assigned, _) => assigned,
    };
    request.topics.iter().map(of_topic).fold(0, usize::saturating_add)
}

fn default_partitions(state: &State) -> usize {
    usize::try_from(state.config().topics.num_partitions).unwrap_or(1)
}

fn refused(name: Str, refusal: Refusal) -> CreatableTopicResult {
    CreatableTopicResult {
        name,
        error_code: refusal.code.code(),
        error_message: Some(refusal.message),
        ..Default::default()
    }
}

struct Plan {
    records: Vec<MetadataRecord>,
    result: CreatableTopicResult,
}

fn create_one(state: &State, topic: &CreatableTopic, dice: &mut Dice) -> Result<Plan, Refusal> {
    check_name(state, &topic.name)?;
    let configs = check_configs(state, topic)?;
    let placement = match topic.assignments.is_empty() {
        true => place(state, topic, dice)?,
        false => assigned(state, topic)?,
    };
    let id = dice.id();
    let mut records = vec![TopicRecord { name: topic.name.clone(), topic_id: id }.into()];
    records.extend(configs.iter().map(|(name, value)| config_record(&topic.name, name, value)));
    records.extend(placement.iter().enumerate().map(|(index, p)| partition_record(state, id, index, p)));
    let shown = describe::topic(&configs, state.config());
    let result = CreatableTopicResult {
        name: topic.name.clone(),
        topic_id: id,
        error_message: None,
        num_partitions: placement.len() as i32,
        replication_factor: placement.first().map_or(-1, |p| p.replicas.len() as i16),
        configs: Some(shown.into_iter().map(shown_config).collect()),
        ..Default::default()
    };
    Ok(Plan { records, result })
}

fn check_name(state: &State, name: &Str) -> Result<(), Refusal> {
    if name == METADATA_TOPIC {
        let message = format!("Creation of internal topic {METADATA_TOPIC} is prohibited.");
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    validate_topic_name(name).map_err(|message| Refusal::new(ErrorCode::InvalidTopicException, message))?;
    if state.image().topics().by_name(name).is_some() {
        return Err(Refusal::new(ErrorCode::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
    }
    if let Some(other) = state.colliding_topics(name).next() {
        let message = format!("Topic '{name}' collides with existing topic: {other}");
        return Err(Refusal::new(ErrorCode::InvalidTopicException, message));
    }
    Ok(())
}

fn check_configs(state: &State, topic: &CreatableTopic) -> Result<BTreeMap<String, String>, Refusal> {
    let nulls: Vec<&str> = topic.configs.iter().filter(|c| c.value.is_none()).map(|c| c.name.as_str()).collect();
    let invalid = |message: String| Refusal::new(ErrorCode::InvalidConfig, message);
    if !nulls.is_empty() {
        return Err(invalid(format!("Null value not supported for topic configs: {}", nulls.join(","))));
    }
    let pair = |name: &Str, value: &Option<Str>| Some((name.to_string(), value.as_ref()?.to_string()));
    let configs = topic.configs.iter().filter_map(|config| pair(&config.name, &config.value)).collect();
    TopicConfig::validate(&configs, state.config()).map_err(|error| invalid(error.to_string()))?;
    Ok(configs)
}

/// Replicas of one partition, and those of them that are in sync from the start.
pub(super) struct Placed {
    pub replicas: Vec<NodeId>,
    pub isr: Vec<NodeId>,
}

fn place(state: &State, topic: &CreatableTopic, dice: &mut Dice) -> Result<Vec<Placed>, Refusal> {
    if topic.replication_factor < -1 || topic.replication_factor == 0 {
        let message = "Replication factor must be larger than 0, or -1 to use the default value.";
        return Err(Refusal::new(ErrorCode::InvalidReplicationFactor, message));
    }
    if topic.num_partitions < -1 || topic.num_partitions == 0 {
        let message = "Number of partitions was set to an invalid non-positive value.";
        return Err(Refusal::new(ErrorCode::InvalidPartitions, message));
    }
    let count = usize::try_from(topic.num_partitions).unwrap_or_else(|_| default_partitions(state));
    let default_factor = state.config().topics.default_replication_factor;
    let factor = match topic.replication_factor {
        -1 => i16::try_from(default_factor).unwrap_or(i16::MAX),
        factor => factor,
    };
    place_new(state, count, factor, dice)
}

/// Lets the placer choose; INVALID_REPLICATION_FACTOR when it cannot.
pub(super) fn place_new(state: &State, count: usize, factor: i16, dice: &mut Dice) -> Result<Vec<Placed>, Refusal> {
    let refusal = |message: String| {
        let message = format!("Unable to replicate the partition {factor} time(s): {message}");
        Refusal::new(ErrorCode::InvalidReplicationFactor, message)
    };
    let chosen = placer::place(state.image().cluster(), count, factor, dice).map_err(refusal)?;
    let in_sync = |replicas: Vec<NodeId>| {
        let isr = active(state, &replicas);
        let nobody = || refusal("All brokers are currently fenced or in controlled shutdown.".into());
        if isr.is_empty() { Err(nobody()) } else { Ok(Placed { replicas, isr }) }
    };
    chosen.into_iter().map(in_sync).collect()
}

fn assigned(state: &State, topic: &CreatableTopic) -> Result<Vec<Placed>, Refusal> {
    let request = |message: &'static str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    if topic.replication_factor != -1 {
        return request("A manual partition assignment was specified, but replication factor was not set to -1.");
    }
    if topic.num_partitions != -1 {
        return request("A manual partition assignment was specified, but numPartitions was not set to -1.");
    }
    let mut placed: BTreeMap<i32, Placed> = BTreeMap::new();
    let mut factor = None;
    for CreatableReplicaAssignment { partition_index, broker_ids } in &topic.assignments {
        if placed.contains_key(partition_index) {
            let message = format!("Found multiple manual partition assignments for partition {partition_index}");
            return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
        }
        let one = check_assignment(state, i64::from(*partition_index), broker_ids, factor)?;
        factor = Some(one.replicas.len());
        placed.insert(*partition_index, one);
    }
    if !placed.keys().copied().eq(0..placed.len() as i32) {
        let message = "partitions should be a consecutive 0-based integer sequence";
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    Ok(placed.into_values().collect())
}

/// A list of replicas someone chose by hand; INVALID_REPLICA_ASSIGNMENT when it cannot be.
pub(super) fn check_assignment(
    state: &State,
    partition: i64,
    brokers: &[i32],
    factor: Option<usize>,
) -> Result<Placed, Refusal> {
    let refuse = |message: String| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    if brokers.is_empty() {
        return refuse("The manual partition assignment includes an empty replica list.".into());
    }
    let mut sorted = brokers.to_vec();
    sorted.sort_unstable();
    for (at, id) in sorted.iter().enumerate() {
        if state.image().cluster().broker(NodeId(*id)).is_none() {
            let message = "but no such broker is registered.";
            return refuse(format!("The manual partition assignment includes broker {id}, {message}"));
        }
        if at > 0 && sorted[at - 1] == *id {
            return refuse(format!("The manual partition assignment includes the broker {id} more than once."));
        }
    }
    if let Some(factor) = factor.filter(|factor| *factor != brokers.len()) {
        return refuse(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent \
             with previous partitions, which have {factor} replica(s).",
            brokers.len()
        ));
    }
    let replicas: Vec<NodeId> = brokers.iter().copied().map(NodeId).collect();
    let isr = active(state, &replicas);
    if isr.is_empty() {
        return refuse(format!(
            "All brokers specified in the manual partition assignment for partition {partition} are fenced or in \
             controlled shutdown."
        ));
    }
    Ok(Placed { replicas, isr })
}

fn active(state: &State, replicas: &[NodeId]) -> Vec<NodeId> {
    replicas.iter().copied().filter(|node| super::leadership::is_active(state, *node)).collect()
}

pub(super) fn partition_record(state: &State, topic: Uuid, index: usize, placed: &Placed) -> MetadataRecord {
    let directory = |node: &NodeId| {
        let broker = state.image().cluster().broker(*node).expect("replicas are placed on registered brokers");
        broker.directory_for_new_replica()
    };
    let record = PartitionRecord {
        partition_id: index as i32,
        topic_id: topic,
        replicas: ids(&placed.replicas),
        isr: ids(&placed.isr),
        leader: placed.isr[0].0,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: placed.replicas.iter().map(directory).collect(),
        ..Default::default()
    };
    record.into()
}

fn config_record(topic: &Str, name: &str, value: &str) -> MetadataRecord {
    let record = ConfigRecord {
        resource_type: ResourceType::Topic.code(),
        resource_name: topic.clone(),
        name: name.into(),
        value: Some(value.into()),
    };
    record.into()
}

fn shown_config(entry: crate::config::ConfigEntry) -> CreatableTopicConfigs {
    CreatableTopicConfigs {
        name: entry.name.into(),
        value: entry.value.filter(|_| !entry.is_sensitive).map(Str::from),
        read_only: entry.is_read_only,
        config_source: entry.source.code(),
        is_sensitive: entry.is_sensitive,
    }
}
