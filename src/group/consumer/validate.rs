//! What a heartbeat must say, before any group is looked at.

use super::{JOINING, LEAVING, LEAVING_FOR_A_WHILE, Refusal};
use crate::config::BrokerConfig;
use crate::group::assignor::Assignor;
use crate::group::limits::{OWNED_MAX, STRING_BYTES_MAX, SUBSCRIPTION_BYTES_MAX};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::ConsumerGroupHeartbeatRequest;
use odradek_protocol::primitives::Str;

/// First version whose members make their ids themselves.
const OWN_ID_SINCE: i16 = 1;

pub fn validate(version: i16, request: &ConsumerGroupHeartbeatRequest, config: &BrokerConfig) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    if request.group_id.trim().is_empty() {
        return invalid("GroupId can't be empty.");
    }
    let has_id = !request.member_id.trim().is_empty();
    if !has_id && (version >= OWN_ID_SINCE || request.member_epoch != JOINING) {
        return invalid("MemberId can't be empty.");
    }
    let is_blank = |text: &Option<Str>| text.as_ref().is_some_and(|text| text.trim().is_empty());
    if is_blank(&request.instance_id) {
        return invalid("InstanceId can't be empty.");
    }
    if is_blank(&request.rack_id) {
        return invalid("RackId can't be empty.");
    }
    check_size(request)?;
    match request.member_epoch {
        JOINING => check_join(request)?,
        1.. | LEAVING => {}
        LEAVING_FOR_A_WHILE if request.instance_id.is_none() => return invalid("InstanceId can't be null."),
        LEAVING_FOR_A_WHILE => {}
        _ => return invalid("MemberEpoch is invalid."),
    }
    check_assignor(request, config)
}

fn check_join(request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    if request.rebalance_timeout_ms == -1 {
        return invalid("RebalanceTimeoutMs must be provided in first request.");
    }
    if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
        return invalid("TopicPartitions must be empty when (re-)joining.");
    }
    if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
        return invalid("SubscribedTopicNames or SubscribedTopicRegex must be set when (re-)joining.");
    }
    Ok(())
}

fn check_assignor(request: &ConsumerGroupHeartbeatRequest, config: &BrokerConfig) -> Result<(), Refusal> {
    let Some(name) = &request.server_assignor else { return Ok(()) };
    let is_offered = config.groups.group_consumer_assignors.iter().any(|offered| offered.as_str() == name.as_str());
    if is_offered && Assignor::by_name(name).is_some() {
        return Ok(());
    }
    let offered = config.groups.group_consumer_assignors.join(", ");
    let message = format!("ServerAssignor {name} is not supported. Supported assignors: {offered}.");
    Err(Refusal::new(ErrorCode::UnsupportedAssignor, message))
}

/// What a group keeps of a member has to fit into its records.
fn check_size(request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refusal> {
    let options = [&request.instance_id, &request.rack_id, &request.subscribed_topic_regex, &request.server_assignor];
    let mut texts = options.into_iter().flatten().chain([&request.group_id, &request.member_id]);
    let names = request.subscribed_topic_names.iter().flatten();
    let names_bytes: usize = names.map(|name| name.len() + 4).sum();
    let owned: usize = request.topic_partitions.iter().flatten().map(|topic| 1 + topic.partitions.len()).sum();
    let is_long = names_bytes > SUBSCRIPTION_BYTES_MAX || owned > OWNED_MAX;
    if is_long || texts.any(|text| text.len() > STRING_BYTES_MAX) {
        return Err(Refusal::new(ErrorCode::InvalidRequest, "The request is larger than a group can remember."));
    }
    Ok(())
}
