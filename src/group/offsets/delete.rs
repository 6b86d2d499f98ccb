//! OffsetDelete, and what goes with a topic that is deleted.

use super::tombstone;
use crate::coordinator::Turn;
use crate::group::machine::GroupMachine;
use crate::group::request::delete_result;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use odradek_protocol::messages::offset_delete_response::OffsetDeleteResponseTopic;
use odradek_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};
use odradek_protocol::primitives::Str;
use std::collections::BTreeSet;

impl GroupMachine {
    /// Topics the group consumes keep their offsets.
    pub(in crate::group) fn delete_offsets(
        &self,
        turn: &mut Turn<'_, Self>,
        request: &OffsetDeleteRequest,
    ) -> OffsetDeleteResponse {
        let group = self.groups.get(&request.group_id).ok_or(ErrorCode::GroupIdNotFound);
        let group = group.and_then(|group| group.check_delete_offsets().map(|()| group));
        let group = match group {
            Ok(group) => group,
            Err(error) => return OffsetDeleteResponse { error_code: error.code(), ..Default::default() },
        };
        let topics = request.topics.iter().map(|topic| {
            let is_consumed = group.is_subscribed_to(&topic.name);
            if !is_consumed {
                self.delete_topic(turn, &request.group_id, topic);
            }
            let error = if is_consumed { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None };
            let partitions = topic.partitions.iter().map(|partition| delete_result(partition.partition_index, error));
            OffsetDeleteResponseTopic {
                name: topic.name.clone(),
                partitions: partitions.collect(),
                ..Default::default()
            }
        });
        OffsetDeleteResponse { topics: topics.collect(), ..Default::default() }
    }

    fn delete_topic(&self, turn: &mut Turn<'_, Self>, group: &Str, topic: &OffsetDeleteRequestTopic) {
        let named: BTreeSet<i32> = topic.partitions.iter().map(|partition| partition.partition_index).collect();
        for index in named {
            let is_there = self.offsets.committed(group, &topic.name, index).is_some()
                || self.offsets.is_pending(group, &topic.name, index);
            if is_there {
                turn.record(tombstone(group, &topic.name, index));
                turn.may_tear();
            }
        }
    }

    /// Topics are gone: so are all offsets in them.
    pub(in crate::group) fn forget_topics(&self, turn: &mut Turn<'_, Self>, deleted: &[Str]) {
        let pending = self.offsets.pending.values().flatten();
        for (group, topics) in self.offsets.groups.iter().chain(pending) {
            for topic in deleted {
                for partition in topics.get(topic).into_iter().flat_map(|partitions| partitions.keys()) {
                    turn.record(tombstone(group, topic, *partition));
                    turn.may_tear();
                }
            }
        }
    }
}
