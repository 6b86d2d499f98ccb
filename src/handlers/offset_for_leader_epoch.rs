//! OffsetForLeaderEpoch, versions 2-4: where a leader epoch ends, for clients that check for truncation (KIP-320).

use super::answer::Call;
use super::context::Context;
use super::error_code::KafkaCode;
use super::per_shard::PerShard;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use odradek_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use odradek_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use odradek_shards::message::{EpochEndPart, EpochEndResult, Reply, Request};
use odradek_shards::types::LeaderEpoch;
use std::rc::Rc;

pub async fn handle(
    context: &Rc<Context>,
    _call: &Call,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let (mut topics, parts) = plan(context, &request);
    let ends = parts.ask(&context.shards, Request::EpochEnd, |reply| match reply {
        Reply::EpochEnd(ends) => Some(ends),
        _ => None,
    });
    for ((topic, partition), end) in ends.await {
        let told = &mut topics[topic].partitions[partition];
        match end {
            Some(end) => tell(told, end),
            None => told.error_code = ErrorCode::NotLeaderOrFollower.code(),
        }
    }
    OffsetForLeaderEpochResponse { topics, ..Default::default() }
}

/// The response with a place for every partition, and what has to be asked to fill it.
fn plan(
    context: &Context,
    request: &OffsetForLeaderEpochRequest,
) -> (Vec<OffsetForLeaderTopicResult>, PerShard<(usize, usize), EpochEndPart>) {
    let image = context.look();
    let mut parts = PerShard::default();
    let mut topics = Vec::with_capacity(request.topics.len());
    for (t, topic) in request.topics.iter().enumerate() {
        let known = image.topics().by_name(&topic.topic);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for (p, asked) in topic.partitions.iter().enumerate() {
            let mut told = EpochEndOffset { partition: asked.partition, ..Default::default() };
            match known.ok_or(ErrorCode::UnknownTopicOrPartition).and_then(|known| context.led(known, asked.partition))
            {
                Ok((partition, _)) => parts.add(context.shards.owner(partition), (t, p), part(partition, asked)),
                Err(error) => told.error_code = error.code(),
            }
            partitions.push(told);
        }
        topics.push(OffsetForLeaderTopicResult { topic: topic.topic.clone(), partitions, ..Default::default() });
    }
    (topics, parts)
}

fn part(partition: odradek_shards::types::TopicPartition, asked: &OffsetForLeaderPartition) -> EpochEndPart {
    EpochEndPart {
        partition,
        current_leader_epoch: super::leader_epoch(asked.current_leader_epoch),
        leader_epoch: LeaderEpoch(asked.leader_epoch),
    }
}

fn tell(told: &mut EpochEndOffset, end: EpochEndResult) {
    match end {
        Ok(Some(end)) => {
            told.leader_epoch = end.leader_epoch.0;
            told.end_offset = end.end_offset.0;
        }
        Ok(None) => {}
        Err(error) => told.error_code = error.code().code(),
    }
}
