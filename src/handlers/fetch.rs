//! Fetch, versions 4-18: reads partitions for a consumer. v7 sessions, v9 epochs, v12 divergence, v13 topic ids,
//! v16 tells of the new leader (KIP-951).

use super::answer::Call;
use super::context::Context;
use super::fetch_plan::{Asked, Fetched, Limits, Plan, SHARE_OF_FREE, TopicKey};
use super::fetch_session::Use;
use super::{leader_hint, list_offsets, table};
use crate::exchange::{Answer, Reply, Serving};
use odradek_protocol::codec::Reader;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use odradek_protocol::messages::{FetchRequest, FetchResponse};
use odradek_protocol::primitives::{Records, Str};
use odradek_shards::budget::Charge;
use odradek_shards::message::{Isolation, ReadOk};
use odradek_shards::runtime;
use odradek_shards::types::TopicId;
use std::rc::Rc;
use std::time::Duration;
use uuid::Uuid;

type Told = (Asked, PartitionData);

pub fn serve(context: Rc<Context>, call: Call, mut body: Reader) -> Serving {
    Box::pin(async move {
        let request: FetchRequest = match table::parse(&call, &mut body) {
            Ok(request) => request,
            Err(closing) => return Answer::Close(closing),
        };
        drop(body);
        let (response, held) = fetch(&context, &call, request).await;
        match call.answer(&response) {
            Answer::Reply(reply) => Answer::Reply(Reply { hold: held, ..reply }),
            other => other,
        }
    })
}

async fn fetch(context: &Context, call: &Call, request: FetchRequest) -> (FetchResponse, Option<Charge>) {
    let by_id = call.version >= 13;
    let admitted = context.fetch_sessions.borrow_mut().admit(&request, by_id, runtime::now());
    let (session, asked) = match admitted {
        Ok(admitted) => admitted,
        Err(error) => return (refuse(error), None),
    };
    let limits = limits(context, &request);
    let fetched = if is_follower(&request) {
        // No replica of ours follows from here yet.
        Fetched { results: asked.iter().map(|_| Err(ErrorCode::NotLeaderOrFollower)).collect(), hold: None }
    } else {
        Plan::new(context, &asked, limits).run(context).await
    };
    let told = tell(asked, fetched.results, limits);
    match with_session(context, session, told, by_id) {
        Ok((session_id, told)) => {
            let mut response = FetchResponse { session_id, responses: by_topic(told), ..Default::default() };
            if call.version >= leader_hint::FETCH_FROM {
                hint_leaders(context, call, &mut response);
            }
            (response, fetched.hold)
        }
        Err(error) => (refuse(error), None),
    }
}

fn refuse(error: ErrorCode) -> FetchResponse {
    FetchResponse { error_code: error.code(), ..Default::default() }
}

fn is_follower(request: &FetchRequest) -> bool {
    request.replica_id >= 0 || request.replica_state.replica_id >= 0
}

fn limits(context: &Context, request: &FetchRequest) -> Limits {
    let memory = context.replies.limit() / SHARE_OF_FREE;
    let asked = usize::try_from(request.max_bytes).unwrap_or(0);
    let max_bytes = asked.min(context.config().fetch.fetch_max_bytes).min(memory);
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    Limits {
        min_bytes: usize::try_from(request.min_bytes).unwrap_or(0).min(max_bytes),
        max_bytes,
        until: runtime::now() + wait,
        isolation: list_offsets::isolation(request.isolation_level),
    }
}

/// Puts reads into the terms of the response. Shards read at the same time, each within the whole limit; what is over
/// it together is left for the next fetch, but the first partition with records keeps what it has (KIP-74).
fn tell(asked: Vec<Asked>, results: Vec<Result<ReadOk, ErrorCode>>, limits: Limits) -> Vec<Told> {
    let mut left = limits.max_bytes;
    let mut first = true;
    let told = asked.into_iter().zip(results).map(|(asked, result)| {
        let mut data = match result {
            Ok(read) => partition_data(asked.partition, read, limits.isolation),
            Err(error) => failed(asked.partition, error),
        };
        let length = data.records.as_ref().map_or(0, Records::len);
        if length > left && !first {
            data.records = Some(Records::default());
        } else if length > 0 {
            left = left.saturating_sub(length);
            first = false;
        }
        (asked, data)
    });
    told.collect()
}

fn partition_data(partition_index: i32, read: ReadOk, isolation: Isolation) -> PartitionData {
    let aborted = read.aborted.iter().map(|aborted| AbortedTransaction {
        producer_id: aborted.producer_id.0,
        first_offset: aborted.first.0,
        ..Default::default()
    });
    let diverging = read.diverging.map(|end| EpochEndOffset {
        epoch: end.leader_epoch.0,
        end_offset: end.end_offset.0,
        ..Default::default()
    });
    PartitionData {
        partition_index,
        high_watermark: read.high_watermark.0,
        last_stable_offset: read.last_stable_offset.0,
        log_start_offset: read.log_start_offset.0,
        diverging_epoch: diverging.unwrap_or_default(),
        aborted_transactions: (isolation == Isolation::ReadCommitted).then(|| aborted.collect()),
        preferred_read_replica: -1,
        records: Some(Records::from(read.records.into_pieces())),
        ..Default::default()
    }
}

fn failed(partition_index: i32, error: ErrorCode) -> PartitionData {
    let unknown = matches!(error, ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId);
    PartitionData {
        partition_index,
        error_code: error.code(),
        high_watermark: -1,
        // Kafka makes this difference, and nobody else does.
        aborted_transactions: unknown.then(Vec::new),
        preferred_read_replica: -1,
        records: Some(Records::default()),
        ..Default::default()
    }
}

/// The session's id for the response, and the partitions that belong in it.
fn with_session(context: &Context, session: Use, told: Vec<Told>, by_id: bool) -> Result<(i32, Vec<Told>), ErrorCode> {
    let mut sessions = context.fetch_sessions.borrow_mut();
    match session {
        Use::Sessionless => Ok((0, told)),
        Use::Open => {
            let random = runtime::random_u64() as i32 & i32::MAX;
            Ok((sessions.open(random, &told, by_id, runtime::now()), told))
        }
        Use::Incremental { id, epoch } => {
            let news = sessions.news(id, epoch, &told)?;
            let changed = told.into_iter().zip(news).filter(|(_, is_news)| *is_news);
            Ok((id, changed.map(|(told, _)| told).collect()))
        }
    }
}

/// Neighbours of one topic share an entry; the order of partitions stays.
fn by_topic(told: Vec<Told>) -> Vec<FetchableTopicResponse> {
    let mut topics: Vec<FetchableTopicResponse> = Vec::new();
    for (asked, data) in told {
        let (topic, topic_id) = match asked.topic {
            TopicKey::Name(name) => (name, Uuid::nil()),
            TopicKey::Id(id) => (Str::default(), id),
        };
        match topics.last_mut().filter(|last| last.topic == topic && last.topic_id == topic_id) {
            Some(last) => last.partitions.push(data),
            None => {
                topics.push(FetchableTopicResponse { topic, topic_id, partitions: vec![data], ..Default::default() })
            }
        }
    }
    topics
}

/// Tells who leads the partitions that this broker does not. Versions 16 and up name topics by id.
fn hint_leaders(context: &Context, call: &Call, response: &mut FetchResponse) {
    let image = context.look();
    let mut endpoints = leader_hint::Endpoints::new(&image, &call.peer.listener);
    for topic in &mut response.responses {
        let Some(known) = image.topics().by_id(TopicId(topic.topic_id)) else { continue };
        for partition in topic.partitions.iter_mut().filter(|partition| leader_hint::is_due(partition.error_code)) {
            if let Some((leader_id, leader_epoch)) = endpoints.leader(known, partition.partition_index) {
                partition.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch, ..Default::default() };
            }
        }
    }
    let found = endpoints.found().map(|(node_id, endpoint, rack)| NodeEndpoint {
        node_id,
        host: endpoint.host.clone(),
        port: i32::from(endpoint.port),
        rack,
        ..Default::default()
    });
    response.node_endpoints = found.collect();
}
