//! Where a producer's requests come from: frames made ahead and gone round, or batches encoded as they are due.

use crate::arguments::Records;
use crate::batch::BatchEncoder;
use crate::client::CLIENT_ID;
use crate::cluster::Topic;
use crate::failure::Failure;
use crate::link::Link;
use crate::payload::{Payload, Stamp};
use bytes::Bytes;
use odradek_protocol::api::ApiKey;
use odradek_protocol::frame;
use odradek_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use odradek_protocol::primitives::Str;
use std::time::SystemTime;

/// Different batches a connection goes round, as memory allows.
const BATCHES_MAX: usize = 16;
const BATCHES_BYTES_MAX: usize = 16 << 20;
/// Where a request's correlation id stands: after length, key and version.
const CORRELATION_ID: std::ops::Range<usize> = 8..12;

/// Where a connection's requests come from.
pub struct Source {
    pub version: i16,
    pub records_per_batch: u32,
    kind: Kind,
}

enum Kind {
    /// Made before the start; gone round.
    Prepared { requests: Vec<Prepared>, next: usize },
    /// Made when sent.
    Encoded(Box<Encoded>),
}

/// A request's frame in two parts: the first is copied to be given its correlation id, the rest is shared.
struct Prepared {
    head: Vec<u8>,
    rest: Vec<Bytes>,
    records: u32,
    bytes: u64,
}

struct Encoded {
    topic: Topic,
    records: Records,
    payload: Payload,
    /// Partition and the number of its next record.
    partitions: Vec<(i32, u64)>,
    turn: usize,
    numbering: Numbering,
}

/// What values begin with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbering {
    None,
    /// By the offset the record will get.
    Offset,
    /// By when it is due.
    Due,
}

/// What a request holds.
pub struct Sent {
    pub records: u32,
    pub bytes: u64,
}

impl Source {
    /// For the closed loop: everything encoded ahead.
    pub fn prepared(topic: &Topic, partitions: &[i32], records: &Records) -> Result<Self, Failure> {
        let version = topic.versions.of(ApiKey::Produce)?;
        let mut payload = Payload::new(records);
        let records_per_batch = records_per_batch(records, &mut payload);
        let mut number = 0;
        let mut batches = Vec::new();
        let mut bytes = 0;
        while batches.is_empty() || (batches.len() < BATCHES_MAX && bytes < BATCHES_BYTES_MAX) {
            let (batch, payload_bytes) =
                encode(records, &mut payload, &mut number, records_per_batch, |_| Stamp::Nothing)?;
            bytes += batch.len();
            batches.push((batch, payload_bytes));
        }
        let rounds = partitions.len().max(batches.len());
        let mut requests = Vec::with_capacity(rounds);
        for (nth, partition) in partitions.iter().cycle().take(rounds).enumerate() {
            let (batch, payload_bytes) = &batches[nth % batches.len()];
            let mut pieces = frame(topic, version, records.acks, 0, *partition, batch.clone())?.into_iter();
            let head = pieces.next().map(Vec::from).ok_or(Failure::Protocol("an empty frame"))?;
            requests.push(Prepared { head, rest: pieces.collect(), records: records_per_batch, bytes: *payload_bytes });
        }
        Ok(Self { version, records_per_batch, kind: Kind::Prepared { requests, next: 0 } })
    }

    /// For a fixed rate, where batches are as large as what is due.
    pub fn plain(topic: &Topic, partitions: &[i32], records: &Records) -> Result<Self, Failure> {
        Self::encoded(topic, partitions, records, Numbering::None, &[])
    }

    /// Every value begins with the offset its record will get, given where the partitions end.
    pub fn numbered(topic: &Topic, partitions: &[i32], records: &Records, ends: &[i64]) -> Result<Self, Failure> {
        Self::encoded(topic, partitions, records, Numbering::Offset, ends)
    }

    /// Every value begins with the time it was due.
    pub fn stamped(topic: &Topic, partitions: &[i32], records: &Records) -> Result<Self, Failure> {
        Self::encoded(topic, partitions, records, Numbering::Due, &[])
    }

    fn encoded(
        topic: &Topic,
        partitions: &[i32],
        records: &Records,
        numbering: Numbering,
        ends: &[i64],
    ) -> Result<Self, Failure> {
        let mut payload = Payload::new(records);
        let end = |partition: i32| ends.get(partition as usize).map_or(0, |end| *end as u64);
        let encoded = Encoded {
            topic: topic.clone(),
            records: records.clone(),
            partitions: partitions.iter().map(|partition| (*partition, end(*partition))).collect(),
            turn: 0,
            numbering,
            payload: Payload::new(records),
        };
        let version = topic.versions.of(ApiKey::Produce)?;
        let records_per_batch = records_per_batch(records, &mut payload);
        Ok(Self { version, records_per_batch, kind: Kind::Encoded(Box::new(encoded)) })
    }

    /// Queues the next request, of at most `records_max` records when it is made now.
    pub fn queue(
        &mut self,
        link: &mut Link,
        id: i32,
        first_record: u64,
        records_max: u32,
        due: impl Fn(u64) -> u64,
    ) -> Result<Sent, Failure> {
        match &mut self.kind {
            Kind::Prepared { requests, next } => {
                let count = requests.len();
                let request = &mut requests[*next];
                *next = if *next + 1 == count { 0 } else { *next + 1 };
                request.head[CORRELATION_ID].copy_from_slice(&id.to_be_bytes());
                link.queue(Bytes::copy_from_slice(&request.head));
                request.rest.iter().for_each(|piece| link.queue(piece.clone()));
                Ok(Sent { records: request.records, bytes: request.bytes })
            }
            Kind::Encoded(encoded) => {
                let (partition, batch, bytes) = encoded.next(first_record, records_max, due)?;
                let pieces = frame(&encoded.topic, self.version, encoded.records.acks, id, partition, batch)?;
                pieces.into_iter().for_each(|piece| link.queue(piece));
                Ok(Sent { records: records_max, bytes })
            }
        }
    }
}

impl Encoded {
    fn next(
        &mut self,
        first_record: u64,
        records: u32,
        due: impl Fn(u64) -> u64,
    ) -> Result<(i32, Bytes, u64), Failure> {
        let count = self.partitions.len();
        let (partition, number) = &mut self.partitions[self.turn];
        self.turn = (self.turn + 1) % count;
        let (numbering, first_number) = (self.numbering, *number);
        let (batch, bytes) = encode(&self.records, &mut self.payload, number, records, |number| match numbering {
            Numbering::None => Stamp::Nothing,
            Numbering::Offset => Stamp::Number(number),
            Numbering::Due => Stamp::Number(due(first_record + number - first_number)),
        })?;
        Ok((*partition, batch, bytes))
    }
}

/// A batch of `count` records numbered from `number` on, and its payload's bytes.
fn encode(
    records: &Records,
    payload: &mut Payload,
    number: &mut u64,
    count: u32,
    stamp: impl Fn(u64) -> Stamp,
) -> Result<(Bytes, u64), Failure> {
    let mut encoder = BatchEncoder::new(records.compression, wall_clock_ms());
    for _ in 0..count {
        payload.push(&mut encoder, *number, stamp(*number));
        *number += 1;
    }
    let bytes = encoder.payload_bytes() as u64;
    Ok((encoder.finish()?, bytes))
}

/// As many as fit into the batch bytes; one at least.
fn records_per_batch(records: &Records, payload: &mut Payload) -> u32 {
    if let Some(count) = records.records_per_batch {
        return count;
    }
    let mut encoder = BatchEncoder::new(records.compression, 0);
    let mut count = 0;
    while encoder.len() <= records.batch_bytes {
        count = encoder.count();
        payload.push(&mut encoder, u64::from(count), Stamp::Nothing);
    }
    count.max(1)
}

fn frame(topic: &Topic, version: i16, acks: i16, id: i32, partition: i32, batch: Bytes) -> Result<Vec<Bytes>, Failure> {
    let data = TopicProduceData {
        name: topic.name.as_str().into(),
        topic_id: topic.id,
        partition_data: vec![PartitionProduceData { index: partition, records: Some(batch.into()) }],
    };
    let request = ProduceRequest { acks, timeout_ms: 30_000, topic_data: vec![data], ..Default::default() };
    Ok(frame::request(&request, version, id, Some(Str::from_static(CLIENT_ID)))?)
}

fn wall_clock_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
