//! OffsetFetch, versions 1-10: what groups have committed. v2 null = all topics, v7 waits for open transactions, v8
//! several groups, v9 member epochs, v10 topic ids.

use super::answer::Call;
use super::context::Context;
use super::group_answers::{self, Room};
use super::pace::Pace;
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
/// And that its coordinator is asked about in one turn.
const PARTITIONS_AT_ONCE: usize = 2000;

pub async fn handle(context: &Rc<Context>, call: &Call, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let version = call.version;
    let require_stable = request.require_stable;
    let wanted = if version >= BATCHED_SINCE { request.groups } else { vec![as_group(request)] };
    let room = Room::default();
    let ask = |group: OffsetFetchRequestGroup| {
        let id = group.group_id.clone();
        let topics = group.topics.clone().filter(|_| version < BATCHED_SINCE);
        let is_open = room.is_open() && partitions_of(&group) <= PARTITIONS_MAX;
        let asked = is_open.then(|| ask_group(context, version, require_stable, group));
        async move {
            let (reply, unknown) = OptionFuture::from(asked).await.unzip();
            (id, reply, unknown.unwrap_or_default(), topics)
        }
    };
    let mut pace = Pace::default();
    let mut asked = pin!(group_answers::each(wanted, ask));
    let mut response = OffsetFetchResponse::default();
    while let Some((group_id, reply, unknown, topics)) = asked.next().await {
        pace.step(1).await;
        let mut group = match reply {
            Some(group) if room.take(size(&group)) => group,
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

/// Topics count too.
fn partitions_of(group: &OffsetFetchRequestGroup) -> usize {
    group.topics.iter().flatten().map(|topic| 1 + topic.partition_indexes.len()).sum()
}

/// The group's answer, and that about topics whose ids are unknown.
async fn ask_group(
    context: &Rc<Context>,
    version: i16,
    require_stable: bool,
    group: OffsetFetchRequestGroup,
) -> (OffsetFetchResponseGroup, Vec<OffsetFetchResponseTopics>) {
    let is_by_id = version >= TOPIC_IDS_SINCE;
    let (group, unknown) = if is_by_id { named(context, group).await } else { (group, Vec::new()) };
    let mut whole: Option<OffsetFetchResponseGroup> = None;
    for part in parts(group) {
        let id = part.group_id.clone();
        let asked = context.ask_group(&id, Request::FetchOffsets { require_stable, request: part });
        let told = match asked.await {
            Reply::FetchOffsets(told) => told,
            _ => {
                let error_code = ErrorCode::CoordinatorNotAvailable.code();
                OffsetFetchResponseGroup { group_id: id, error_code, ..Default::default() }
            }
        };
        match &mut whole {
            Some(whole) if told.error_code == 0 => join(&mut whole.topics, told.topics),
            _ => whole = Some(told),
        }
        if whole.as_ref().is_some_and(|whole| whole.error_code != 0) {
            break;
        }
    }
    (whole.expect("a group is asked once at least"), unknown)
}

/// A question in parts that a coordinator answers in a turn each; one, as a rule.
fn parts(group: OffsetFetchRequestGroup) -> Vec<OffsetFetchRequestGroup> {
    if partitions_of(&group) <= PARTITIONS_AT_ONCE {
        return vec![group];
    }
    let mut parts: Vec<Vec<OffsetFetchRequestTopics>> = Vec::new();
    let mut room = 0;
    for topic in group.topics.iter().flatten() {
        let mut indexes = topic.partition_indexes.as_slice();
        loop {
            if room == 0 {
                parts.push(Vec::new());
                room = PARTITIONS_AT_ONCE;
            }
            let (some, left) = indexes.split_at(indexes.len().min(room));
            let piece = OffsetFetchRequestTopics {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partition_indexes: some.to_vec(),
                ..Default::default()
            };
            parts.last_mut().expect("one has just been made").push(piece);
            room = room.saturating_sub(1 + some.len());
            indexes = left;
            if indexes.is_empty() {
                break;
            }
        }
    }
    parts.into_iter().map(|topics| OffsetFetchRequestGroup { topics: Some(topics), ..group.clone() }).collect()
}

/// A topic that was asked about in two parts is one again.
fn join(whole: &mut Vec<OffsetFetchResponseTopics>, more: Vec<OffsetFetchResponseTopics>) {
    let mut more = more.into_iter();
    if let (Some(last), Some(first)) = (whole.last_mut(), more.as_slice().first())
        && last.name == first.name
        && last.topic_id == first.topic_id
    {
        last.partitions.extend(more.next().into_iter().flat_map(|first| first.partitions));
    }
    whole.extend(more);
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
async fn named(
    context: &Context,
    mut group: OffsetFetchRequestGroup,
) -> (OffsetFetchRequestGroup, Vec<OffsetFetchResponseTopics>) {
    let Some(topics) = group.topics.take() else { return (group, Vec::new()) };
    let image = context.image();
    let (mut known, mut unknown, mut pace) = (Vec::new(), Vec::new(), Pace::default());
    for topic in topics {
        pace.step(1 + topic.partition_indexes.len()).await;
        match image.topics().name_of(TopicId(topic.topic_id)) {
            Some(name) => known.push(OffsetFetchRequestTopics { name: name.clone(), ..topic }),
            None => unknown.push(refuse(&topic, ErrorCode::UnknownTopicId)),
        }
    }
    (OffsetFetchRequestGroup { topics: Some(known), ..group }, unknown)
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
