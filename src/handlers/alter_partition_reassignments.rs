//! AlterPartitionReassignments, versions 0-1: where there is one broker, a partition can only be assigned to where it is.

use super::answer::Call;
use super::context::Context;
use crate::metadata::image::Image;
use crate::metadata::topics::ids;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::alter_partition_reassignments_request::ReassignablePartition;
use odradek_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use odradek_protocol::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};
use odradek_protocol::primitives::Str;
use odradek_shards::types::{NodeId, PartitionIndex};
use std::rc::Rc;

pub async fn handle(
    context: &Rc<Context>,
    _call: &Call,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let image = context.image();
    let responses = request.topics.iter().map(|topic| ReassignableTopicResponse {
        name: topic.name.clone(),
        partitions: topic.partitions.iter().map(|asked| answer(&image, &topic.name, asked)).collect(),
    });
    AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        responses: responses.collect(),
        ..Default::default()
    }
}

fn answer(image: &Image, topic: &str, asked: &ReassignablePartition) -> ReassignablePartitionResponse {
    let (code, message) = match check(image, topic, asked) {
        Ok(()) => (ErrorCode::None, None),
        Err((code, message)) => (code, Some(Str::from(message))),
    };
    ReassignablePartitionResponse {
        partition_index: asked.partition_index,
        error_code: code.code(),
        error_message: message,
    }
}

/// Kafka's words.
fn check(image: &Image, topic: &str, asked: &ReassignablePartition) -> Result<(), (ErrorCode, String)> {
    let index = PartitionIndex(asked.partition_index);
    let partition = image.topics().by_name(topic).and_then(|topic| topic.partition(index)).ok_or_else(|| {
        let message = format!("Unable to find a partition named {topic}:{index}.");
        (ErrorCode::UnknownTopicOrPartition, message)
    })?;
    let refuse = |message: String| Err((ErrorCode::InvalidReplicaAssignment, message));
    let Some(replicas) = &asked.replicas else {
        let message = "No partition reassignment is in progress.".to_owned();
        return Err((ErrorCode::NoReassignmentInProgress, message));
    };
    if replicas.is_empty() {
        return refuse("The manual partition assignment includes an empty replica list.".into());
    }
    for (at, id) in replicas.iter().enumerate() {
        if image.cluster().broker(NodeId(*id)).is_none() {
            let message = "but no such broker is registered.";
            return refuse(format!("The manual partition assignment includes broker {id}, {message}"));
        }
        if replicas[..at].contains(id) {
            return refuse(format!("The manual partition assignment includes the broker {id} more than once."));
        }
    }
    if *replicas == ids(&partition.replicas) {
        return Ok(());
    }
    refuse("Replicas cannot be moved between brokers yet.".into())
}
