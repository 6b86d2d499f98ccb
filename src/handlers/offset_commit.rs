//! OffsetCommit, versions 2-10: a group's place in partitions that exist. v2-4 may say when it expires, v6 leader epochs,
//! v7 static members, v9 member epochs, v10 topic ids.

use super::answer::Call;
use super::context::Context;
use super::pace::{Pace, pieces};
use crate::group::{Reply, Request};
use crate::metadata::topics::TopicImage;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use odradek_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use odradek_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use odradek_shards::types::{PartitionIndex, TopicId};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;
use std::sync::Arc;

/// Partitions looked at between two pauses: a commit that a batch takes has none, and stays in order.
const STEPS_PER_TURN: usize = 20_000;
/// Partitions of one request: more fit into no batch that a topic may reasonably take.
const PARTITIONS_MAX: usize = 100_000;
/// First version that names topics by their id.
const TOPIC_IDS_SINCE: i16 = 10;

pub async fn handle(context: &Rc<Context>, call: &Call, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let Sorted { known, unknown } = Sorted::of(context, call.version, &request).await;
    if known.is_empty() {
        return OffsetCommitResponse { topics: unknown, ..Default::default() };
    }
    let group = request.group_id.clone();
    let request = Arc::new(OffsetCommitRequest { topics: known, ..request });
    if request.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>() > PARTITIONS_MAX {
        return merged(refuse(&request).await, unknown).await;
    }
    let asked = Request::CommitOffsets { version: call.version, request };
    let Reply::CommitOffsets(response) = context.ask_group(&group, asked).await else {
        return OffsetCommitResponse { topics: unknown, ..Default::default() };
    };
    merged(response, unknown).await
}

/// So many fit into no batch.
async fn refuse(request: &OffsetCommitRequest) -> OffsetCommitResponse {
    let mut refused = OffsetCommitResponse::default();
    let mut pace = Pace::default();
    for topic in &request.topics {
        let mut told = Vec::new();
        for some in pieces(&topic.partitions) {
            let one = |at: &OffsetCommitRequestPartition| told_of(at.partition_index, ErrorCode::UnknownServerError);
            told.extend(some.iter().map(one));
            pace.step(some.len()).await;
        }
        let (name, topic_id) = (topic.name.clone(), topic.topic_id);
        refused.topics.push(OffsetCommitResponseTopic { name, topic_id, partitions: told, ..Default::default() });
    }
    refused
}

/// One answer per topic, if it was named once.
async fn merged(mut response: OffsetCommitResponse, unknown: Vec<OffsetCommitResponseTopic>) -> OffsetCommitResponse {
    let named = response.topics.iter().enumerate();
    let mut places: HashMap<_, _> = named.map(|(at, topic)| ((topic.name.clone(), topic.topic_id), at)).collect();
    let mut pace = Pace::default();
    for other in unknown {
        pace.step(1 + other.partitions.len()).await;
        match places.entry((other.name.clone(), other.topic_id)) {
            Entry::Occupied(place) => response.topics[*place.get()].partitions.extend(other.partitions),
            Entry::Vacant(place) => {
                place.insert(response.topics.len());
                response.topics.push(other);
            }
        }
    }
    response
}

fn told_of(partition_index: i32, error: ErrorCode) -> OffsetCommitResponsePartition {
    OffsetCommitResponsePartition { partition_index, error_code: error.code(), ..Default::default() }
}

/// A request's partitions by whether they exist.
#[derive(Default)]
struct Sorted {
    known: Vec<OffsetCommitRequestTopic>,
    unknown: Vec<OffsetCommitResponseTopic>,
}

impl Sorted {
    async fn of(context: &Context, version: i16, request: &OffsetCommitRequest) -> Self {
        let image = context.image();
        let (mut sorted, mut pace) = (Self::default(), Pace::of(STEPS_PER_TURN));
        for topic in &request.topics {
            pace.step(1).await;
            let (state, error) = if version >= TOPIC_IDS_SINCE {
                (image.topics().by_id(TopicId(topic.topic_id)), ErrorCode::UnknownTopicId)
            } else {
                (image.topics().by_name(&topic.name), ErrorCode::UnknownTopicOrPartition)
            };
            sorted.add(topic, state, error, &mut pace).await;
        }
        sorted
    }

    async fn add(
        &mut self,
        topic: &OffsetCommitRequestTopic,
        state: Option<&TopicImage>,
        error: ErrorCode,
        pace: &mut Pace,
    ) {
        let exists = |index: i32| state.is_some_and(|state| state.partition(PartitionIndex(index)).is_some());
        let told = if state.is_some() { ErrorCode::UnknownTopicOrPartition } else { error };
        let (mut there, mut absent) = (Vec::new(), Vec::new());
        for some in pieces(&topic.partitions) {
            for partition in some {
                match exists(partition.partition_index) {
                    true => there.push(partition.clone()),
                    false => absent.push(told_of(partition.partition_index, told)),
                }
            }
            pace.step(some.len()).await;
        }
        if let Some(state) = state.filter(|_| !there.is_empty()) {
            let (name, topic_id) = (state.name.clone(), state.id.0);
            self.known.push(OffsetCommitRequestTopic { name, topic_id, partitions: there, ..Default::default() });
        }
        if absent.is_empty() && (state.is_some() || !topic.partitions.is_empty()) {
            return;
        }
        self.unknown.push(OffsetCommitResponseTopic {
            name: state.map_or_else(|| topic.name.clone(), |state| state.name.clone()),
            topic_id: state.map_or(topic.topic_id, |state| state.id.0),
            partitions: absent,
            ..Default::default()
        });
    }
}
