//! ListOffsets, versions 1-11: the offset at a time, or at one of the log's ends. v2 isolation, v4 epochs, v7 largest
//! timestamp, v8 earliest local, v9 last tiered, v11 earliest not yet uploaded.

use super::answer::Call;
use super::context::Context;
use super::error_code::KafkaCode;
use super::per_shard::PerShard;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use odradek_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use odradek_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use odradek_shards::message::{Isolation, ListOffsetsPart, ListOffsetsResult, OffsetQuery, Reply, Request};
use odradek_shards::types::Timestamp;
use std::collections::HashSet;
use std::rc::Rc;

pub async fn handle(context: &Rc<Context>, call: &Call, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let (mut topics, parts) = plan(context, call, &request);
    let offsets = parts.ask(&context.shards, Request::ListOffsets, |reply| match reply {
        Reply::ListOffsets(offsets) => Some(offsets),
        _ => None,
    });
    for ((topic, partition), offset) in offsets.await {
        tell(&mut topics[topic].partitions[partition], offset, call.version);
    }
    ListOffsetsResponse { topics, ..Default::default() }
}

/// The response with a place for every partition, and what has to be asked to fill it.
fn plan(
    context: &Context,
    call: &Call,
    request: &ListOffsetsRequest,
) -> (Vec<ListOffsetsTopicResponse>, PerShard<(usize, usize), ListOffsetsPart>) {
    let image = context.look();
    let isolation = isolation(request.isolation_level);
    let repeated = repeated(&request.topics);
    let mut parts = PerShard::default();
    let mut topics = Vec::with_capacity(request.topics.len());
    for (t, topic) in request.topics.iter().enumerate() {
        let known = image.topics().by_name(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for (p, asked) in topic.partitions.iter().enumerate() {
            let index = asked.partition_index;
            let mut told = ListOffsetsPartitionResponse { partition_index: index, ..Default::default() };
            let led = known
                .and_then(|known| if repeated.contains(&(t, p)) { Err(ErrorCode::InvalidRequest) } else { Ok(known) })
                .and_then(|known| Ok((context.led(known, index)?.0, query(asked, call.version)?)));
            match led {
                Ok((partition, query)) => {
                    let current_leader_epoch = super::leader_epoch(asked.current_leader_epoch);
                    let part = ListOffsetsPart { partition, query, current_leader_epoch, isolation };
                    parts.add(context.shards.owner(partition), (t, p), part);
                }
                Err(error) => told.error_code = error.code(),
            }
            partitions.push(told);
        }
        topics.push(ListOffsetsTopicResponse { name: topic.name.clone(), partitions, ..Default::default() });
    }
    (topics, parts)
}

/// Places of partitions that stand in the request more than once, every time they do.
fn repeated(topics: &[ListOffsetsTopic]) -> HashSet<(usize, usize)> {
    let mut seen = HashSet::new();
    let mut twice = HashSet::new();
    let all = || {
        topics.iter().enumerate().flat_map(|(t, topic)| {
            topic
                .partitions
                .iter()
                .enumerate()
                .map(move |(p, asked)| ((t, p), (topic.name.as_bytes(), asked.partition_index)))
        })
    };
    all().for_each(|(_, partition)| {
        if !seen.insert(partition) {
            twice.insert(partition);
        }
    });
    if twice.is_empty() {
        return HashSet::new();
    }
    all().filter(|(_, partition)| twice.contains(partition)).map(|(place, _)| place).collect()
}

pub fn isolation(wire: i8) -> Isolation {
    if wire == 0 { Isolation::ReadUncommitted } else { Isolation::ReadCommitted }
}

/// What a timestamp means; the special ones came with a version each.
fn query(asked: &ListOffsetsPartition, version: i16) -> Result<OffsetQuery, ErrorCode> {
    let (query, since) = match asked.timestamp {
        -1 => (OffsetQuery::Latest, 1),
        -2 => (OffsetQuery::Earliest, 1),
        -3 => (OffsetQuery::MaxTimestamp, 7),
        -4 => (OffsetQuery::EarliestLocal, 8),
        -5 => (OffsetQuery::LatestTiered, 9),
        // Without tiered storage nothing waits for upload: the same answer as for the last tiered offset.
        -6 => (OffsetQuery::LatestTiered, 11),
        time @ 0.. => (OffsetQuery::At(Timestamp(time)), 1),
        _ => return Err(ErrorCode::UnsupportedVersion),
    };
    if version >= since { Ok(query) } else { Err(ErrorCode::UnsupportedVersion) }
}

fn tell(told: &mut ListOffsetsPartitionResponse, offset: Option<ListOffsetsResult>, version: i16) {
    match offset {
        Some(Ok(found)) => {
            told.timestamp = found.timestamp.map_or(-1, |timestamp| timestamp.0);
            told.offset = found.offset.map_or(-1, |offset| offset.0);
            if version >= 4 {
                told.leader_epoch = found.leader_epoch.map_or(-1, |epoch| epoch.0);
            }
        }
        Some(Err(error)) => told.error_code = error.code().code(),
        None => told.error_code = ErrorCode::NotLeaderOrFollower.code(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(timestamp: i64) -> ListOffsetsPartition {
        ListOffsetsPartition { timestamp, ..Default::default() }
    }

    #[test]
    fn a_special_timestamp_needs_the_version_it_came_with() {
        for (timestamp, since) in [(-3, 7), (-4, 8), (-5, 9), (-6, 11)] {
            assert_eq!(query(&asked(timestamp), since - 1), Err(ErrorCode::UnsupportedVersion));
            assert!(query(&asked(timestamp), since).is_ok());
        }
        assert_eq!(query(&asked(-7), 11), Err(ErrorCode::UnsupportedVersion));
    }

    #[test]
    fn a_repeated_partition_is_refused_everywhere_it_stands() {
        let partition = |partition_index| ListOffsetsPartition { partition_index, ..Default::default() };
        let topic = |partitions| ListOffsetsTopic { name: "t".into(), partitions, ..Default::default() };
        let topics = [topic(vec![partition(0), partition(1)]), topic(vec![partition(0)])];
        assert_eq!(repeated(&topics), HashSet::from([(0, 0), (1, 0)]));
    }
}
