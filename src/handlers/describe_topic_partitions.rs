//! DescribeTopicPartitions, version 0: topics in order of their names, a page at a time (KIP-966).

use super::answer::Call;
use super::context::Context;
use super::{authorized_operations, topic_name};
use crate::metadata::image::Image;
use crate::metadata::topics::{PartitionImage, TopicImage, ids};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use odradek_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use odradek_protocol::primitives::Str;
use odradek_shards::types::PartitionIndex;
use std::collections::BTreeSet;
use std::rc::Rc;

pub async fn handle(
    context: &Rc<Context>,
    _call: &Call,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let limit_max = context.config().network.max_request_partition_size_limit;
    let asked = usize::try_from(request.response_partition_limit).unwrap_or(0).max(1);
    let mut page = Page { room: asked.min(limit_max), topics: Vec::new(), next: None };
    if !is_cursor_valid(&request) {
        return refuse(&request);
    }
    let (first, from) = match &request.cursor {
        Some(cursor) => (Some(&cursor.topic_name), cursor.partition_index),
        None => (None, 0),
    };
    let image = context.image();
    for name in names(&image, &request, first) {
        let from = if first == Some(&name) { from } else { 0 };
        if !page.add(&image, &name, from) {
            break;
        }
    }
    DescribeTopicPartitionsResponse { topics: page.topics, next_cursor: page.next, ..Default::default() }
}

/// A cursor stands at one of the topics asked for; without such a list it may stand anywhere.
fn is_cursor_valid(request: &DescribeTopicPartitionsRequest) -> bool {
    let Some(cursor) = &request.cursor else { return true };
    let is_asked = request.topics.is_empty() || request.topics.iter().any(|topic| topic.name == cursor.topic_name);
    is_asked && cursor.partition_index >= 0
}

fn refuse(request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.iter().map(|topic| DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::InvalidRequest.code(),
        name: Some(topic.name.clone()),
        ..Default::default()
    });
    DescribeTopicPartitionsResponse { topics: topics.collect(), ..Default::default() }
}

/// The names to describe, sorted, from the cursor's on. No names asked for means all topics.
fn names(image: &Image, request: &DescribeTopicPartitionsRequest, first: Option<&Str>) -> BTreeSet<Str> {
    let after = |name: &Str| first.is_none_or(|first| name >= first);
    if request.topics.is_empty() {
        image.topics().iter().map(|topic| topic.name.clone()).filter(after).collect()
    } else {
        request.topics.iter().map(|topic| topic.name.clone()).filter(after).collect()
    }
}

/// A response being filled.
struct Page {
    room: usize,
    topics: Vec<DescribeTopicPartitionsResponseTopic>,
    next: Option<Cursor>,
}

impl Page {
    /// False when the page is full and `next` says where the following one starts.
    fn add(&mut self, image: &Image, name: &Str, from: i32) -> bool {
        if self.room == 0 {
            self.next = Some(Cursor { topic_name: name.clone(), partition_index: from, ..Default::default() });
            return false;
        }
        let Some(topic) = image.topics().by_name(name) else {
            self.topics.push(missing(name));
            return true;
        };
        let mut rest = topic.partitions().filter(|(index, _)| index.0 >= from);
        let shown: Vec<_> =
            rest.by_ref().take(self.room).map(|(index, partition)| tell(image, index, partition)).collect();
        self.room -= shown.len();
        self.topics.push(described(topic, shown));
        match rest.next() {
            Some((index, _)) => {
                self.next = Some(Cursor { topic_name: name.clone(), partition_index: index.0, ..Default::default() });
                false
            }
            None => true,
        }
    }
}

fn described(
    topic: &TopicImage,
    partitions: Vec<DescribeTopicPartitionsResponsePartition>,
) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name.clone()),
        topic_id: topic.id.0,
        is_internal: topic_name::is_internal(&topic.name),
        partitions,
        topic_authorized_operations: authorized_operations::of_topic(true),
        ..Default::default()
    }
}

fn tell(image: &Image, index: PartitionIndex, partition: &PartitionImage) -> DescribeTopicPartitionsResponsePartition {
    let online = |id| image.cluster().broker(id).is_some_and(|broker| !broker.fenced);
    let led = online(partition.leader);
    DescribeTopicPartitionsResponsePartition {
        error_code: if led { 0 } else { ErrorCode::LeaderNotAvailable.code() },
        partition_index: index.0,
        leader_id: if led { partition.leader.0 } else { -1 },
        leader_epoch: partition.leader_epoch.0,
        replica_nodes: ids(&partition.replicas),
        isr_nodes: ids(&partition.isr),
        eligible_leader_replicas: Some(ids(&partition.elr)),
        last_known_elr: Some(ids(&partition.last_known_elr)),
        offline_replicas: partition.replicas.iter().filter(|id| !online(**id)).map(|id| id.0).collect(),
        ..Default::default()
    }
}

fn missing(name: &Str) -> DescribeTopicPartitionsResponseTopic {
    let error =
        if topic_name::is_valid(name) { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::InvalidTopicException };
    DescribeTopicPartitionsResponseTopic {
        error_code: error.code(),
        name: Some(name.clone()),
        topic_authorized_operations: authorized_operations::of_topic(true),
        ..Default::default()
    }
}
