//! OffsetFetch: what a group has committed; -1 where it has not.

use super::Committed;
use crate::group::kind::Group;
use crate::group::machine::GroupMachine;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use odradek_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use odradek_protocol::primitives::Str;
use uuid::Uuid;

impl GroupMachine {
    pub(in crate::group) fn fetch_offsets(
        &self,
        require_stable: bool,
        request: &OffsetFetchRequestGroup,
    ) -> OffsetFetchResponseGroup {
        let group_id = request.group_id.clone();
        let group = self.groups.get(&request.group_id);
        if let Err(error) = group.map_or(Ok(()), |group| check(group, request)) {
            return OffsetFetchResponseGroup { group_id, error_code: error.code(), ..Default::default() };
        }
        let topics = match &request.topics {
            Some(topics) => topics.iter().map(|topic| self.fetch_topic(require_stable, &group_id, topic)).collect(),
            None => self.fetch_all(require_stable, &group_id),
        };
        OffsetFetchResponseGroup { group_id, topics, ..Default::default() }
    }

    fn fetch_topic(
        &self,
        require_stable: bool,
        group: &Str,
        topic: &OffsetFetchRequestTopics,
    ) -> OffsetFetchResponseTopics {
        let partition =
            |index: &i32| self.fetch_partition(require_stable, group, (&topic.name, topic.topic_id), *index);
        OffsetFetchResponseTopics {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partition_indexes.iter().map(partition).collect(),
            ..Default::default()
        }
    }

    fn fetch_all(&self, require_stable: bool, group: &Str) -> Vec<OffsetFetchResponseTopics> {
        let topics = self.offsets.of(group).into_iter().flatten();
        let told = topics.map(|(name, partitions)| {
            let id = self.scene().image.topics().by_name(name).map_or(Uuid::nil(), |topic| topic.id.0);
            let partition = |index: &i32| self.fetch_partition(require_stable, group, (name, id), *index);
            OffsetFetchResponseTopics {
                name: name.clone(),
                topic_id: id,
                partitions: partitions.keys().map(partition).collect(),
                ..Default::default()
            }
        });
        told.collect()
    }

    fn fetch_partition(
        &self,
        require_stable: bool,
        group: &str,
        (topic, id): (&str, Uuid),
        index: i32,
    ) -> OffsetFetchResponsePartitions {
        if require_stable && self.offsets.is_pending(group, topic, index) {
            let error_code = ErrorCode::UnstableOffsetCommit.code();
            return OffsetFetchResponsePartitions { error_code, ..told(index, None) };
        }
        // Another topic of that name was committed to.
        let is_of_topic = |offset: &&Committed| offset.topic_id.is_nil() || id.is_nil() || offset.topic_id == id;
        told(index, self.offsets.committed(group, topic, index).filter(is_of_topic))
    }
}

fn check(group: &Group, request: &OffsetFetchRequestGroup) -> Result<(), ErrorCode> {
    match group {
        Group::Classic(_) => Ok(()),
        Group::Consumer(group) => group.check_fetch(request.member_id.as_deref(), request.member_epoch),
    }
}

fn told(partition_index: i32, offset: Option<&Committed>) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: offset.map_or(-1, |offset| offset.offset),
        committed_leader_epoch: offset.map_or(-1, |offset| offset.leader_epoch),
        metadata: Some(offset.map(|offset| offset.metadata.clone()).unwrap_or_default()),
        ..Default::default()
    }
}
