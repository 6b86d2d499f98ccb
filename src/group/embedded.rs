//! Kafka's consumer protocol inside the bytes of classic members: what they subscribe to, what they have, what they get.

use super::assignor::Partitions;
use crate::metadata::Image;
use bytes::Bytes;
use odradek_protocol::codec::{Message, Reader, Writer};
use odradek_protocol::messages::consumer_protocol_assignment::TopicPartition;
use odradek_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use odradek_protocol::primitives::Str;
use odradek_shards::types::TopicId;

/// Later ones are read and written as this one.
const VERSION_MAX: i16 = 3;

/// None when the bytes are no subscription.
pub fn subscription(metadata: &Bytes) -> Option<ConsumerProtocolSubscription> {
    let mut reader = Reader::new(metadata.clone());
    let version = version(&mut reader)?;
    ConsumerProtocolSubscription::decode(&mut reader, version).ok()
}

/// What a leader handed in for a member; nothing, if it did not; none when the bytes are no assignment.
pub fn assignment(given: &Bytes) -> Option<ConsumerProtocolAssignment> {
    if given.is_empty() {
        return Some(ConsumerProtocolAssignment::default());
    }
    let mut reader = Reader::new(given.clone());
    let version = version(&mut reader)?;
    ConsumerProtocolAssignment::decode(&mut reader, version).ok()
}

/// Topics that are not there are left out.
pub fn by_id<'a>(named: impl Iterator<Item = (&'a Str, &'a [i32])>, image: &Image) -> Partitions {
    let mut partitions = Partitions::new();
    for (name, indexes) in named {
        if let Some(topic) = image.topics().by_name(name) {
            partitions.entry(topic.id.0).or_default().extend(indexes);
        }
    }
    partitions
}

/// An assignment in the version of the member's own `metadata`.
pub fn encode(partitions: &Partitions, metadata: &Bytes, image: &Image) -> Bytes {
    let version = version(&mut Reader::new(metadata.clone())).unwrap_or(0);
    let topics = partitions.iter().filter_map(|(id, indexes)| {
        let topic = image.topics().name_of(TopicId(*id))?.clone();
        Some(TopicPartition { topic, partitions: indexes.iter().copied().collect() })
    });
    let assignment = ConsumerProtocolAssignment { assigned_partitions: topics.collect(), user_data: None };
    let mut writer = Writer::new();
    writer.i16(version);
    assignment.encode(&mut writer, version).expect("names of topics are short");
    writer.into_bytes()
}

fn version(reader: &mut Reader) -> Option<i16> {
    reader.i16().ok().filter(|version| *version >= 0).map(|version| version.min(VERSION_MAX))
}
