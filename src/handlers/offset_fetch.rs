//! OffsetFetch, versions 1-10: what groups have committed. v2 null = all topics, v7 waits for open transactions, v8
//! several groups, v9 member epochs, v10 topic ids.

use super::answer::Call;
use super::context::Context;
use super::group_answers::{self, Room};
use crate::group::{Reply, Request};
use futures_util::StreamExt;
use futures_util::future::OptionFuture;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use odradek_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use odradek_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use odradek_shards::types::TopicId;
use std::pin::pin;
use std::rc::Rc;

/// First version with an error for the whole group.
const GROUP_ERROR_SINCE: i16 = 2;
/// First version with several groups.
const BATCHED_SINCE: i16 = 8;
/// First version that names topics by their id.
const TOPIC_IDS_SINCE: i16 = 10;
/// Partitions of one group that are told of at a time.
const PARTITIONS_MAX: usize = 1_000_000;

pub async fn handle(context: &Rc<Context>, call: &Call, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let version = call.version;
    let require_stable = request.require_stable;
    let wanted = if version >= BATCHED_SINCE { request.groups } else { vec![as_group(request)] };
    let room = Room::default();
    let ask = |group: OffsetFetchRequestGroup| {
        let (group, unknown) = if version >= TOPIC_IDS_SINCE { named(context, group) } else { (group, Vec::new()) };
        let id = group.group_id.clone();
        let topics = group.topics.clone().filter(|_| version < BATCHED_SINCE);
        let is_open = room.is_open() && partitions_of(&group) <= PARTITIONS_MAX;
        let asked = is_open.then(|| context.ask_group(&id, Request::FetchOffsets { require_stable, request: group }));
        async move { (id, OptionFuture::from(asked).await, unknown, topics) }
    };
    let mut asked = pin!(group_answers::each(wanted, ask));
    let mut response = OffsetFetchResponse::default();
    while let Some((group_id, reply, unknown, topics)) = asked.next().await {
        let mut group = match reply {
            Some(Reply::FetchOffsets(group)) if room.take(size(&group)) => group,
            _ if !room.refuse(&group_id) => break,
            _ => {
                let error_code = ErrorCode::CoordinatorNotAvailable.code();
                OffsetFetchResponseGroup { group_id, error_code, ..Default::default() }
            }
        };
        if group.error_code == 0 {
            group.topics.extend(unknown);
        }
        if version >= TOPIC_IDS_SINCE {
            // Offsets of a topic that is gone have no id to be told by.
            group.topics.retain(|topic| !topic.topic_id.is_nil());
        }
        if version >= BATCHED_SINCE {
            response.groups.push(group);
        } else {
            alone(&mut response, group, topics.unwrap_or_default(), version);
        }
    }
    response
}

fn partitions_of(group: &OffsetFetchRequestGroup) -> usize {
    group.topics.iter().flatten().map(|topic| topic.partition_indexes.len()).sum()
}

/// Bytes that it takes in the response, about.
fn size(group: &OffsetFetchResponseGroup) -> usize {
    let partition =
        |partition: &OffsetFetchResponsePartitions| 24 + partition.metadata.as_ref().map_or(0, |text| text.len());
    let topic = |topic: &OffsetFetchResponseTopics| {
        32 + topic.name.len() + topic.partitions.iter().map(partition).sum::<usize>()
    };
    64 + group.group_id.len() + group.topics.iter().map(topic).sum::<usize>()
}

/// The one group of versions 1-7.
fn as_group(request: OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.map(|topics| {
        let topic = |topic: odradek_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic| {
            OffsetFetchRequestTopics {
                name: topic.name,
                partition_indexes: topic.partition_indexes,
                ..Default::default()
            }
        };
        topics.into_iter().map(topic).collect()
    });
    OffsetFetchRequestGroup { group_id: request.group_id, topics, ..Default::default() }
}

/// Topics get the names of their ids; those without one are answered here.
fn named(
    context: &Context,
    group: OffsetFetchRequestGroup,
) -> (OffsetFetchRequestGroup, Vec<OffsetFetchResponseTopics>) {
    let image = context.look();
    let mut unknown = Vec::new();
    let topics = group.topics.map(|topics| {
        let mut known = Vec::with_capacity(topics.len());
        for topic in topics {
            match image.topics().name_of(TopicId(topic.topic_id)) {
                Some(name) => known.push(OffsetFetchRequestTopics { name: name.clone(), ..topic }),
                None => unknown.push(refuse(&topic, ErrorCode::UnknownTopicId)),
            }
        }
        known
    });
    (OffsetFetchRequestGroup { topics, ..group }, unknown)
}

fn refuse(topic: &OffsetFetchRequestTopics, error: ErrorCode) -> OffsetFetchResponseTopics {
    let partition = |index: &i32| OffsetFetchResponsePartitions {
        partition_index: *index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(Default::default()),
        error_code: error.code(),
        ..Default::default()
    };
    OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.iter().map(partition).collect(),
        ..Default::default()
    }
}

/// The answer of versions 1-7; version 1 tells an error at every partition.
fn alone(
    response: &mut OffsetFetchResponse,
    group: OffsetFetchResponseGroup,
    wanted: Vec<OffsetFetchRequestTopics>,
    version: i16,
) {
    response.error_code = group.error_code;
    let error = ErrorCode::from_code(group.error_code);
    let topics = if version < GROUP_ERROR_SINCE && group.error_code != 0 {
        wanted.iter().map(|topic| refuse(topic, error)).collect()
    } else {
        group.topics
    };
    let partition = |partition: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
        ..Default::default()
    };
    let topic = |topic: OffsetFetchResponseTopics| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(partition).collect(),
        ..Default::default()
    };
    response.topics = topics.into_iter().map(topic).collect();
}
