//! CreatePartitions: more partitions for topics that exist.

use super::request::ControllerReply;
use super::result::{Decision, Dice, Moment, Refusal};
use super::state::State;
use super::topic_creation::{
    PARTITIONS_MAX, Placed, check_assignment, excessive, partition_record, place_new, repeated,
};
use crate::metadata::topics::TopicImage;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use odradek_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use odradek_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use odradek_protocol::records::metadata::MetadataRecord;
use odradek_shards::types::PartitionIndex;
use std::collections::BTreeSet;

pub(super) fn create(state: &State, at: &Moment, request: &CreatePartitionsRequest) -> Decision {
    let mut dice = Dice::new(at.seed);
    let mut records = Vec::new();
    let mut results = Vec::new();
    let repeated = repeated(request.topics.iter().map(|topic| &topic.name));
    let mut answered = BTreeSet::new();
    for topic in request.topics.iter().filter(|topic| answered.insert(&topic.name)) {
        let outcome = match repeated.contains(&topic.name) {
            true => Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name.")),
            false => grow(state, topic, PARTITIONS_MAX - records.len(), &mut dice),
        };
        let mut result = CreatePartitionsTopicResult { name: topic.name.clone(), ..Default::default() };
        match outcome {
            Ok(partitions) => records.extend(partitions),
            Err(refusal) => {
                result.error_code = refusal.code.code();
                result.error_message = Some(refusal.message);
            }
        }
        results.push(result);
    }
    if request.validate_only {
        records.clear();
    }
    let response = CreatePartitionsResponse { results, ..Default::default() };
    Decision::new(records, ControllerReply::CreatePartitions(response))
}

fn grow(
    state: &State,
    topic: &CreatePartitionsTopic,
    room: usize,
    dice: &mut Dice,
) -> Result<Vec<MetadataRecord>, Refusal> {
    let unknown = || {
        let message = "This server does not host this topic-partition.";
        Refusal::new(ErrorCode::UnknownTopicOrPartition, message)
    };
    let image = state.image().topics().by_name(&topic.name).ok_or_else(unknown)?;
    let additional = additional(image, topic.count)?;
    if additional > room {
        return Err(excessive());
    }
    let factor = image.partition(PartitionIndex(0)).map_or(1, |partition| partition.replicas.len());
    let placed = match &topic.assignments {
        Some(assignments) => assigned(state, image, assignments, additional, factor)?,
        None => place_new(state, additional, factor as i16, dice)?,
    };
    let first = image.partition_count();
    let record = |(at, placed): (usize, &Placed)| partition_record(state, image.id.0, first + at, placed);
    Ok(placed.iter().enumerate().map(record).collect())
}

fn additional(image: &TopicImage, count: i32) -> Result<usize, Refusal> {
    let current = image.partition_count();
    let refuse = |message: String| Err(Refusal::new(ErrorCode::InvalidPartitions, message));
    match usize::try_from(count) {
        Ok(count) if count == current => refuse(format!("Topic already has {current} partition(s).")),
        Ok(count) if count > current => Ok(count - current),
        _ => refuse(format!(
            "The topic {} currently has {current} partition(s); {count} would not be an increase.",
            image.name
        )),
    }
}

fn assigned(
    state: &State,
    image: &TopicImage,
    assignments: &[CreatePartitionsAssignment],
    additional: usize,
    factor: usize,
) -> Result<Vec<Placed>, Refusal> {
    if assignments.len() != additional {
        let message = format!(
            "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
            assignments.len()
        );
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    let first = image.partition_count();
    let check = |(at, assignment): (usize, &CreatePartitionsAssignment)| {
        check_assignment(state, (first + at) as i64, &assignment.broker_ids, Some(factor))
    };
    assignments.iter().enumerate().map(check).collect()
}
