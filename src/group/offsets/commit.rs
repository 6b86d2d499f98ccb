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
/// What the record of a commit takes at least: so many will not fit whatever they say.
const COMMIT_BYTES_MIN: usize = 64;
/// `retention_time_ms` that leaves it to the broker.
const RETENTION_BY_BROKER: i64 = -1;

impl GroupMachine {
    pub(in crate::group) fn commit_offsets(
        &mut self,
        turn: &mut Turn<'_, Self>,
        version: i16,
        request: &OffsetCommitRequest,
    ) -> OffsetCommitResponse {
        let checked = self.check_commit(turn, version, request).and_then(|()| self.check_held(request));
        if let Err(error) = checked {
            return refuse_commits(request, error);
        }
        let count: usize = request.topics.iter().map(|topic| topic.partitions.len()).sum();
        if count * COMMIT_BYTES_MIN > turn.batch_bytes_max {
            return refuse_commits(request, ErrorCode::UnknownServerError);
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

    fn check_commit(
        &self,
        turn: &Turn<'_, Self>,
        version: i16,
        request: &OffsetCommitRequest,
    ) -> Result<(), ErrorCode> {
        let epoch = request.generation_id_or_member_epoch;
        let Some(group) = self.groups.get(&request.group_id) else {
            return match epoch {
                ..0 if self.is_full(turn) => Err(ErrorCode::CoordinatorNotAvailable),
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
        })
    }

    /// One partition that a consumer must not commit to any more fails the whole request.
    fn check_held(&self, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
        let Some(Group::Consumer(group)) = self.groups.get(&request.group_id) else { return Ok(()) };
        let epoch = request.generation_id_or_member_epoch;
        let named = request.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |at| (topic, at)));
        for (topic, partition) in named {
            group.check_commit_of(&request.member_id, epoch, (topic.topic_id, partition.partition_index))?;
        }
        Ok(())
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
        // What is there already goes on.
        let known = || self.offsets.committed(&request.group_id, &topic.name, partition.partition_index);
        if turn.moment.is_full && known().is_none_or(|known| known.metadata.len() < metadata.len()) {
            return ErrorCode::CoordinatorNotAvailable;
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
