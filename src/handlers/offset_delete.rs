//! OffsetDelete, version 0: offsets of topics the group does not consume go.

use super::answer::Call;
use super::context::Context;
use super::pace::{Pace, pieces};
use crate::group::{Reply, Request};
use crate::metadata::topics::TopicImage;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use odradek_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use odradek_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};
use odradek_protocol::primitives::Str;
use odradek_shards::types::PartitionIndex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

/// Partitions that a group is asked about in one turn.
const PARTITIONS_AT_ONCE: usize = 1000;

pub async fn handle(context: &Rc<Context>, _call: &Call, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let Sorted { known, unknown } = Sorted::of(context, &request).await;
    let group = &request.group_id;
    let mut merged = Merged::default();
    let mut known = known.into_iter();
    // Without a partition that exists the group has a word to say too.
    loop {
        let asked = some_of(&mut known);
        let request = OffsetDeleteRequest { group_id: group.clone(), topics: asked, ..Default::default() };
        let Reply::DeleteOffsets(told) = context.ask_group(group, Request::DeleteOffsets(request)).await else {
            return OffsetDeleteResponse { error_code: ErrorCode::UnknownServerError.code(), ..Default::default() };
        };
        if told.error_code != 0 {
            return told;
        }
        merged.add(told.topics).await;
        if known.len() == 0 {
            break;
        }
    }
    merged.add(unknown).await;
    OffsetDeleteResponse { topics: merged.topics, ..Default::default() }
}

/// As many as are asked about in one turn; no topic has more.
fn some_of(topics: &mut std::vec::IntoIter<OffsetDeleteRequestTopic>) -> Vec<OffsetDeleteRequestTopic> {
    let (mut some, mut partitions) = (Vec::new(), 0);
    while partitions < PARTITIONS_AT_ONCE
        && let Some(topic) = topics.next()
    {
        partitions += topic.partitions.len();
        some.push(topic);
    }
    some
}

/// Partitions that exist, and the answer for the others.
#[derive(Default)]
struct Sorted {
    known: Vec<OffsetDeleteRequestTopic>,
    unknown: Vec<OffsetDeleteResponseTopic>,
}

impl Sorted {
    async fn of(context: &Context, request: &OffsetDeleteRequest) -> Self {
        let image = context.image();
        let (mut sorted, mut pace) = (Self::default(), Pace::default());
        for topic in &request.topics {
            let state = image.topics().by_name(&topic.name);
            for some in pieces(&topic.partitions) {
                sorted.add(&topic.name, state, some);
                pace.step(some.len()).await;
            }
        }
        sorted
    }

    fn add(&mut self, topic: &Str, state: Option<&TopicImage>, partitions: &[OffsetDeleteRequestPartition]) {
        let exists = |partition: &OffsetDeleteRequestPartition| {
            state.is_some_and(|state| state.partition(PartitionIndex(partition.partition_index)).is_some())
        };
        let (there, absent): (Vec<_>, Vec<_>) = partitions.iter().cloned().partition(exists);
        if !there.is_empty() {
            let name = topic.clone();
            self.known.push(OffsetDeleteRequestTopic { name, partitions: there, ..Default::default() });
        }
        if !absent.is_empty() {
            let error_code = ErrorCode::UnknownTopicOrPartition.code();
            let told = |partition: OffsetDeleteRequestPartition| OffsetDeleteResponsePartition {
                partition_index: partition.partition_index,
                error_code,
                ..Default::default()
            };
            let partitions = absent.into_iter().map(told).collect();
            self.unknown.push(OffsetDeleteResponseTopic { name: topic.clone(), partitions, ..Default::default() });
        }
    }
}

/// Answers, one per topic.
#[derive(Default)]
struct Merged {
    topics: Vec<OffsetDeleteResponseTopic>,
    places: HashMap<Str, usize>,
}

impl Merged {
    async fn add(&mut self, told: Vec<OffsetDeleteResponseTopic>) {
        let mut pace = Pace::default();
        for topic in told {
            pace.step(1 + topic.partitions.len()).await;
            match self.places.entry(topic.name.clone()) {
                Entry::Occupied(place) => self.topics[*place.get()].partitions.extend(topic.partitions),
                Entry::Vacant(place) => {
                    place.insert(self.topics.len());
                    self.topics.push(topic);
                }
            }
        }
    }
}
