//! OffsetCommit: who may, and what is recorded.

use crate::coordinator::Turn;
use crate::group::kind::{Committer, Group};
use crate::group::limits::STRING_BYTES_MAX;
use crate::group::machine::GroupMachine;
use crate::group::record::GroupRecord;
use crate::group::request::{commit_result, refuse_commits};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use odradek_protocol::messages::offset_commit_response::OffsetCommitResponseTopic;
use odradek_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use odradek_protocol::primitives::Str;
use odradek_protocol::records::group::{OffsetCommitKey, OffsetCommitValue};

/// First version whose committers are told that there is no such group.
const GROUP_ID_NOT_FOUND_SINCE: i16 = 9;
/// `retention_time_ms` that leaves it to the broker.
const RETENTION_BY_BROKER: i64 = -1;

impl GroupMachine {
    pub(in crate::group) fn commit_offsets(
        &mut self,
        turn: &mut Turn<'_, Self>,
        version: i16,
        request: &OffsetCommitRequest,
    ) -> OffsetCommitResponse {
        if let Err(error) = self.check_commit(version, request) {
            return refuse_commits(request, error);
        }
        if let Some(Group::Classic(group)) = self.groups.get(&request.group_id)
            && group.counts_commits()
        {
            group.heard_of(turn, &request.member_id);
        }
        let topics = request.topics.iter().map(|topic| OffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: topic
                .partitions
                .iter()
                .map(|partition| commit_result(partition.partition_index, self.commit(turn, request, topic, partition)))
                .collect(),
            ..Default::default()
        });
        OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
    }

    fn check_commit(&self, version: i16, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
        let epoch = request.generation_id_or_member_epoch;
        let Some(group) = self.groups.get(&request.group_id) else {
            return match epoch {
                ..0 if self.is_full() => Err(ErrorCode::CoordinatorNotAvailable),
                ..0 => Ok(()),
                _ if version >= GROUP_ID_NOT_FOUND_SINCE => Err(ErrorCode::GroupIdNotFound),
                _ => Err(ErrorCode::IllegalGeneration),
            };
        };
        group.check_commit(&Committer {
            member: &request.member_id,
            instance: request.group_instance_id.as_deref(),
            epoch,
            version,
            is_transactional: false,
        })
    }

    fn commit(
        &self,
        turn: &mut Turn<'_, Self>,
        request: &OffsetCommitRequest,
        topic: &OffsetCommitRequestTopic,
        partition: &OffsetCommitRequestPartition,
    ) -> ErrorCode {
        let metadata = partition.committed_metadata.clone().unwrap_or_default();
        let is_too_long = utf16_units(&metadata) > self.config().groups.offset_metadata_max_bytes;
        if is_too_long || metadata.len() > STRING_BYTES_MAX {
            return ErrorCode::OffsetMetadataTooLarge;
        }
        if let Some(Group::Consumer(group)) = self.groups.get(&request.group_id) {
            let (epoch, place) = (request.generation_id_or_member_epoch, (topic.topic_id, partition.partition_index));
            if let Err(error) = group.check_commit_of(&request.member_id, epoch, place) {
                return error;
            }
        }
        let now = turn.moment.wall.0;
        let expire_timestamp = match request.retention_time_ms {
            RETENTION_BY_BROKER => -1,
            retention => now.saturating_add(retention).max(0),
        };
        let key = OffsetCommitKey {
            group: request.group_id.clone(),
            topic: topic.name.clone(),
            partition: partition.partition_index,
        };
        let value = OffsetCommitValue {
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch,
            metadata,
            commit_timestamp: now,
            expire_timestamp,
            topic_id: topic.topic_id,
        };
        turn.record(GroupRecord::Offset(key, Some(value)));
        ErrorCode::None
    }
}

/// What Java takes for a string's length.
fn utf16_units(text: &Str) -> usize {
    text.chars().map(char::len_utf16).sum()
}
