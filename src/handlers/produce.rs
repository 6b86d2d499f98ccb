//! Produce, versions 3-13: validates batches here, appends them on the shards that own their partitions. v7 zstd,
//! v8 record errors (KIP-467), v10 tells of the new leader (KIP-951), v13 topic ids.

use super::answer::Call;
use super::context::Context;
use super::error_code::KafkaCode;
use super::per_shard::PerShard;
use super::repacker::{self, Place, Repacker, Unpacked};
use super::{leader_hint, table, topic_name};
use crate::exchange::{Answer, Closing, Serving};
use crate::metadata::image::Image;
use crate::metadata::topics::TopicImage;
use bytes::Bytes;
use odradek_protocol::codec::Reader;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use odradek_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use odradek_protocol::messages::{ProduceRequest, ProduceResponse};
use odradek_shards::message::{Acks, AppendPart, AppendResult};
use odradek_shards::record::{self, Compression, Rejected, Rules, ValidBatch};
use odradek_shards::runtime;
use odradek_shards::types::{ShardId, Timestamp, TopicId};
use std::rc::Rc;

/// Frames below this are no matter for memory.
const FRAME_LARGE: usize = 256 << 10;
/// A kept batch may hold on to this many times its own bytes.
const FRAME_PARTS_MAX: usize = 4;

pub fn serve(context: Rc<Context>, call: Call, mut body: Reader) -> Serving {
    Box::pin(async move {
        let frame_bytes = body.remaining();
        let request: ProduceRequest = match table::parse(&call, &mut body) {
            Ok(request) => request,
            Err(closing) => return Answer::Close(closing),
        };
        drop(body);
        let silent = request.acks == 0;
        let response = produce(&context, &call, request, frame_bytes).await;
        if !silent {
            return call.answer(&response);
        }
        match first_error(&response) {
            None => Answer::Silence,
            Some(error) => Answer::Close(Closing::Unacknowledged { api: call.api.name(), reason: error.name().into() }),
        }
    })
}

async fn produce(context: &Rc<Context>, call: &Call, request: ProduceRequest, frame_bytes: usize) -> ProduceResponse {
    let Some(acks) = acks(request.acks) else { return refuse_acks(request) };
    let (mut response, parts, unpacked) = Plan::new(context, call, acks, frame_bytes).of(request);
    let answers = repacker::ask(context, parts);
    let packed = (!unpacked.is_empty()).then(|| Repacker::append(context, unpacked));
    for ((topic, partition), result) in answers.await {
        tell(&mut response.responses[topic].partition_responses[partition], result);
    }
    if let Some(packed) = packed {
        for ((topic, partition), outcome) in packed.await {
            let response = &mut response.responses[topic].partition_responses[partition];
            match outcome {
                Ok(result) => tell(response, result),
                Err(rejected) => *response = explained(response.index, rejected),
            }
        }
    }
    if call.version >= leader_hint::PRODUCE_FROM && first_error(&response).is_some() {
        hint_leaders(context, call, &mut response);
    }
    response
}

fn acks(wire: i16) -> Option<Acks> {
    match wire {
        -1 => Some(Acks::All),
        0 => Some(Acks::None),
        1 => Some(Acks::Leader),
        _ => None,
    }
}

fn refuse_acks(request: ProduceRequest) -> ProduceResponse {
    let refused = |partition: PartitionProduceData| failed(partition.index, ErrorCode::InvalidRequiredAcks);
    let responses = request.topic_data.into_iter().map(|topic| TopicProduceResponse {
        name: topic.name,
        topic_id: topic.topic_id,
        partition_responses: topic.partition_data.into_iter().map(refused).collect(),
        ..Default::default()
    });
    ProduceResponse { responses: responses.collect(), ..Default::default() }
}

type Parts = PerShard<Place, AppendPart>;

/// Turns a request into a response with a place for every partition, and the appends that will fill it.
struct Plan<'a> {
    context: &'a Context,
    call: &'a Call,
    acks: Acks,
    image: std::sync::Arc<Image>,
    now: Timestamp,
    frame_bytes: usize,
    parts: Parts,
    /// What has to wait for the repacker.
    unpacked: Vec<Unpacked>,
}

impl<'a> Plan<'a> {
    fn new(context: &'a Context, call: &'a Call, acks: Acks, frame_bytes: usize) -> Self {
        let (image, now) = (context.image(), runtime::wall_clock());
        Self { context, call, acks, image, now, frame_bytes, parts: Parts::default(), unpacked: Vec::new() }
    }

    fn of(mut self, request: ProduceRequest) -> (ProduceResponse, Parts, Vec<Unpacked>) {
        let topics = request.topic_data.into_iter().enumerate();
        let responses = topics.map(|(index, topic)| self.topic(index, topic)).collect();
        (ProduceResponse { responses, ..Default::default() }, self.parts, self.unpacked)
    }

    fn topic(&mut self, t: usize, topic: TopicProduceData) -> TopicProduceResponse {
        let image = self.image.clone();
        let target = self.target(&image, &topic);
        let mut partition_responses = Vec::with_capacity(topic.partition_data.len());
        for (p, data) in topic.partition_data.into_iter().enumerate() {
            let index = data.index;
            let planned = match &target {
                Ok((image, rules)) => self.part(image, rules, data).map(|(owner, part)| (owner, part, rules)),
                Err(error) => Err(failed(index, *error)),
            };
            partition_responses.push(match planned {
                Ok((owner, part, rules)) => {
                    self.add((t, p), owner, part, rules);
                    PartitionProduceResponse { index, base_offset: -1, ..Default::default() }
                }
                Err(response) => response,
            });
        }
        TopicProduceResponse { name: topic.name, topic_id: topic.topic_id, partition_responses, ..Default::default() }
    }

    /// The order of a partition's batches is that of their arrival, packed or not.
    fn add(&mut self, place: Place, owner: ShardId, part: AppendPart, rules: &Rules) {
        let codec = part.batch.header.attributes.codec().unwrap_or_default();
        let is_stored_so = rules.compression == Compression::Producer;
        let has_to_wait = rules.repacks(codec) || self.context.repacker.is_busy() || !self.unpacked.is_empty();
        if !is_stored_so && has_to_wait {
            self.unpacked.push(Unpacked { place, owner, part, rules: *rules });
        } else {
            self.parts.add(owner, place, part);
        }
    }

    fn target<'i>(&self, image: &'i Image, topic: &TopicProduceData) -> Result<(&'i TopicImage, Rules), ErrorCode> {
        let known = if self.call.version >= 13 {
            image.topics().by_id(TopicId(topic.topic_id)).ok_or(ErrorCode::UnknownTopicId)?
        } else {
            image.topics().by_name(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition)?
        };
        if topic_name::is_closed_to(&known.name, self.call.client.as_deref()) {
            return Err(ErrorCode::InvalidTopicException);
        }
        let rules = self.context.topic_rules.of(image, &self.context.config(), known);
        Ok((known, Rules { zstd_allowed: self.call.version >= 7, ..rules }))
    }

    fn part(
        &self,
        topic: &TopicImage,
        rules: &Rules,
        data: PartitionProduceData,
    ) -> Result<(ShardId, AppendPart), PartitionProduceResponse> {
        let index = data.index;
        let (partition, _) = self.context.led(topic, index).map_err(|error| failed(index, error))?;
        let records = data.records.map(|records| records.into_bytes()).unwrap_or_default();
        let records = self.let_go_of_frame(records);
        let batch = self.validate(records, rules).map_err(|rejected| explained(index, rejected))?;
        if batch.header.attributes.is_transactional() {
            return Err(failed(index, ErrorCode::InvalidTxnState));
        }
        let part = AppendPart { partition, batch, leader_epoch_expected: None, acks: self.acks };
        Ok((self.context.shards.owner(partition), part))
    }

    /// Records stay in memory for readers and keep the frame alive that they are a slice of: a small part of a large
    /// frame is copied.
    fn let_go_of_frame(&self, records: Bytes) -> Bytes {
        let is_small_part = self.frame_bytes >= FRAME_LARGE && records.len() < self.frame_bytes / FRAME_PARTS_MAX;
        if is_small_part { Bytes::copy_from_slice(&records) } else { records }
    }

    fn validate(&self, records: Bytes, rules: &Rules) -> Result<ValidBatch, Rejected> {
        record::validate(records, rules, self.now)
    }
}

fn failed(index: i32, error: ErrorCode) -> PartitionProduceResponse {
    PartitionProduceResponse { index, error_code: error.code(), base_offset: -1, ..Default::default() }
}

fn explained(index: i32, rejected: Rejected) -> PartitionProduceResponse {
    let record_errors = rejected.record_errors.into_iter().map(|(batch_index, message)| BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: Some(message.into()),
        ..Default::default()
    });
    PartitionProduceResponse {
        record_errors: record_errors.collect(),
        error_message: Some(rejected.message.into()),
        ..failed(index, rejected.error.code())
    }
}

fn tell(response: &mut PartitionProduceResponse, result: Option<AppendResult>) {
    match result {
        Some(Ok(appended)) => {
            response.base_offset = appended.base_offset.0;
            response.log_append_time_ms = appended.log_append_time.0;
            response.log_start_offset = appended.log_start_offset.0;
        }
        Some(Err(error)) => response.error_code = error.code().code(),
        None => response.error_code = ErrorCode::NotLeaderOrFollower.code(),
    }
}

fn first_error(response: &ProduceResponse) -> Option<ErrorCode> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    partitions.map(|partition| partition.error_code).find(|code| *code != 0).map(ErrorCode::from_code)
}

/// Tells who leads the partitions that this broker does not.
fn hint_leaders(context: &Context, call: &Call, response: &mut ProduceResponse) {
    let image = context.look();
    let mut endpoints = leader_hint::Endpoints::new(&image, &call.peer.listener);
    for topic in &mut response.responses {
        for partition in &mut topic.partition_responses {
            if !leader_hint::is_due(partition.error_code) {
                continue;
            }
            let known = if call.version >= 13 {
                image.topics().by_id(TopicId(topic.topic_id))
            } else {
                image.topics().by_name(&topic.name)
            };
            if let Some((leader_id, leader_epoch)) = known.and_then(|known| endpoints.leader(known, partition.index)) {
                partition.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch, ..Default::default() };
            }
        }
    }
    response.node_endpoints = endpoints
        .found()
        .map(|(node_id, endpoint, rack)| NodeEndpoint {
            node_id,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack,
            ..Default::default()
        })
        .collect();
}
