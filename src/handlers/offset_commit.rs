//! OffsetCommit, versions 2-10: a group's place in partitions that exist. v2-4 may say when it expires, v6 leader epochs,
//! v7 static members, v9 member epochs, v10 topic ids.

use super::answer::Call;
use super::context::Context;
use crate::group::{Reply, Request};
use crate::metadata::topics::TopicImage;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use odradek_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use odradek_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use odradek_shards::types::{PartitionIndex, TopicId};
use std::rc::Rc;
use std::sync::Arc;

/// First version that names topics by their id.
const TOPIC_IDS_SINCE: i16 = 10;

pub async fn handle(context: &Rc<Context>, call: &Call, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let Sorted { known, unknown } = Sorted::of(context, call.version, &request);
    if known.is_empty() {
        return OffsetCommitResponse { topics: unknown, ..Default::default() };
    }
    let group = request.group_id.clone();
    let request = Arc::new(OffsetCommitRequest { topics: known, ..request });
    let asked = Request::CommitOffsets { version: call.version, request };
    let Reply::CommitOffsets(mut response) = context.ask_group(&group, asked).await else {
        return OffsetCommitResponse { topics: unknown, ..Default::default() };
    };
    for other in unknown {
        let same =
            |topic: &&mut OffsetCommitResponseTopic| topic.name == other.name && topic.topic_id == other.topic_id;
        match response.topics.iter_mut().find(same) {
            Some(topic) => topic.partitions.extend(other.partitions),
            None => response.topics.push(other),
        }
    }
    response
}

/// A request's partitions by whether they exist.
#[derive(Default)]
struct Sorted {
    known: Vec<OffsetCommitRequestTopic>,
    unknown: Vec<OffsetCommitResponseTopic>,
}

impl Sorted {
    fn of(context: &Context, version: i16, request: &OffsetCommitRequest) -> Self {
        let image = context.look();
        let mut sorted = Self::default();
        for topic in &request.topics {
            let (state, error) = if version >= TOPIC_IDS_SINCE {
                (image.topics().by_id(TopicId(topic.topic_id)), ErrorCode::UnknownTopicId)
            } else {
                (image.topics().by_name(&topic.name), ErrorCode::UnknownTopicOrPartition)
            };
            sorted.add(topic, state, error);
        }
        sorted
    }

    fn add(&mut self, topic: &OffsetCommitRequestTopic, state: Option<&TopicImage>, error: ErrorCode) {
        let exists = |partition: &OffsetCommitRequestPartition| {
            state.is_some_and(|state| state.partition(PartitionIndex(partition.partition_index)).is_some())
        };
        let (there, absent): (Vec<_>, Vec<_>) = topic.partitions.iter().cloned().partition(exists);
        if let Some(state) = state.filter(|_| !there.is_empty()) {
            let (name, topic_id) = (state.name.clone(), state.id.0);
            self.known.push(OffsetCommitRequestTopic { name, topic_id, partitions: there, ..Default::default() });
        }
        if absent.is_empty() && (state.is_some() || !topic.partitions.is_empty()) {
            return;
        }
        let error = if state.is_some() { ErrorCode::UnknownTopicOrPartition } else { error };
        let partitions = absent.into_iter().map(|partition| OffsetCommitResponsePartition {
            partition_index: partition.partition_index,
            error_code: error.code(),
            ..Default::default()
        });
        self.unknown.push(OffsetCommitResponseTopic {
            name: state.map_or_else(|| topic.name.clone(), |state| state.name.clone()),
            topic_id: state.map_or(topic.topic_id, |state| state.id.0),
            partitions: partitions.collect(),
            ..Default::default()
        });
    }
}
