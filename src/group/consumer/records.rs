//! A consumer group's state as records.

use super::classic::ClassicMember;
use super::member::{Held, Member};
use super::{ConsumerGroup, Resolved};
use crate::group::assignor::Partitions;
use crate::group::record::{GroupRecord, Member as Key};
use odradek_protocol::primitives::Str;
use odradek_protocol::records::group::{
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataValue,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataValue, consumer_group_current_member_assignment_value as current,
    consumer_group_target_assignment_member_value as target,
};

impl ConsumerGroup {
    pub(super) fn key(&self, member: &Str) -> Key {
        Key { group: self.id.clone(), member: member.clone() }
    }

    pub(super) fn epoch_record(&self, epoch: i32, metadata_hash: i64) -> GroupRecord {
        GroupRecord::ConsumerEpoch(self.id.clone(), Some(ConsumerGroupMetadataValue { epoch, metadata_hash }))
    }

    pub(super) fn target_epoch_record(&self, assignment_epoch: i32, assignment_timestamp: i64) -> GroupRecord {
        let value = ConsumerGroupTargetAssignmentMetadataValue { assignment_epoch, assignment_timestamp };
        GroupRecord::TargetEpoch(self.id.clone(), Some(value))
    }

    pub(super) fn member_record(&self, member: &Member) -> GroupRecord {
        let value = ConsumerGroupMemberMetadataValue {
            instance_id: member.instance.clone(),
            rack_id: member.rack.clone(),
            client_id: member.client.id.clone(),
            client_host: member.client.host.clone(),
            subscribed_topic_names: member.topics.iter().cloned().collect(),
            subscribed_topic_regex: Some(member.regex.clone().unwrap_or_default()),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            server_assignor: member.assignor.clone(),
            classic_member_metadata: member.classic.as_ref().map(ClassicMember::to_record),
        };
        GroupRecord::ConsumerMember(self.key(&member.id), Some(value))
    }

    pub(super) fn target_record(&self, member: &Str, partitions: &Partitions) -> GroupRecord {
        let topic = |(topic_id, indexes): (&uuid::Uuid, &std::collections::BTreeSet<i32>)| target::TopicPartition {
            topic_id: *topic_id,
            partitions: indexes.iter().copied().collect(),
        };
        let topic_partitions = partitions.iter().map(topic).collect();
        GroupRecord::TargetMember(self.key(member), Some(ConsumerGroupTargetAssignmentMemberValue { topic_partitions }))
    }

    pub(super) fn current_record(&self, member: &Member) -> GroupRecord {
        let value = ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: member.epoch,
            previous_member_epoch: member.previous_epoch,
            state: member.state as i8,
            assigned_partitions: topics(&member.assigned),
            partitions_pending_revocation: topics(&member.revoking),
        };
        GroupRecord::CurrentMember(self.key(&member.id), Some(value))
    }

    pub(super) fn regex_record(&self, expression: &Str, resolved: Option<&Resolved>) -> GroupRecord {
        let value = resolved.map(|resolved| ConsumerGroupRegularExpressionValue {
            topics: resolved.topics.iter().cloned().collect(),
            version: resolved.version,
            timestamp: resolved.timestamp,
        });
        GroupRecord::RegularExpression { group: self.id.clone(), expression: expression.clone(), resolved: value }
    }

    /// All of the group as it is.
    pub fn records(&self) -> Vec<GroupRecord> {
        let mut records: Vec<_> = self.members.values().map(|member| self.member_record(member)).collect();
        records.push(self.epoch_record(self.epoch, self.metadata_hash));
        records.extend(self.target.iter().map(|(member, partitions)| self.target_record(member, partitions)));
        records.push(self.target_epoch_record(self.assignment_epoch, self.assigned_ms));
        records.extend(self.members.values().map(|member| self.current_record(member)));
        records
    }

    /// A member is gone: nothing of it stays.
    pub(super) fn member_tombstones(&self, member: &Str) -> [GroupRecord; 3] {
        [
            GroupRecord::CurrentMember(self.key(member), None),
            GroupRecord::TargetMember(self.key(member), None),
            GroupRecord::ConsumerMember(self.key(member), None),
        ]
    }

    /// The group is gone.
    pub fn tombstones(&self) -> Vec<GroupRecord> {
        let members = self.members.keys();
        let mut records: Vec<_> =
            members.clone().map(|member| GroupRecord::CurrentMember(self.key(member), None)).collect();
        records.extend(members.clone().map(|member| GroupRecord::TargetMember(self.key(member), None)));
        records.push(GroupRecord::TargetEpoch(self.id.clone(), None));
        records.extend(members.map(|member| GroupRecord::ConsumerMember(self.key(member), None)));
        records.extend(self.regexes.keys().map(|expression| self.regex_record(expression, None)));
        records.push(GroupRecord::ConsumerEpoch(self.id.clone(), None));
        records
    }
}

fn topics(held: &Held) -> Vec<current::TopicPartitions> {
    let topic =
        |(topic_id, partitions): (&uuid::Uuid, &std::collections::BTreeMap<i32, i32>)| current::TopicPartitions {
            topic_id: *topic_id,
            partitions: partitions.keys().copied().collect(),
            assignment_epochs: Some(partitions.values().copied().collect()),
        };
    held.iter().map(topic).collect()
}
