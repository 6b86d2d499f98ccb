//! Records into a consumer group's state: the only way it changes.

use super::classic::ClassicMember;
use super::member::{Held, Member, MemberState};
use super::topic_names::TopicNames;
use super::{ConsumerGroup, LEAVING, Resolved};
use crate::group::request::Client;
use odradek_protocol::primitives::Str;
use odradek_protocol::records::group::consumer_group_current_member_assignment_value::TopicPartitions;
use odradek_protocol::records::group::{
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataValue,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataValue,
};
use std::rc::Rc;

/// Members that are looked at for one that names the same topics.
const LOOKED_AT_MAX: usize = 1000;

impl ConsumerGroup {
    pub fn replay_epoch(&mut self, value: &ConsumerGroupMetadataValue) {
        self.epoch = value.epoch;
        self.metadata_hash = value.metadata_hash;
    }

    pub fn replay_target_epoch(&mut self, value: Option<&ConsumerGroupTargetAssignmentMetadataValue>) {
        self.assignment_epoch = value.map_or(0, |value| value.assignment_epoch);
        self.assigned_ms = value.map_or(0, |value| value.assignment_timestamp);
    }

    /// Changes what there is of a member, and counts what it takes then.
    fn change(&mut self, member: &Str, change: impl FnOnce(&mut Self)) {
        let before = self.bytes_of(member);
        change(self);
        self.weight.change(before, self.bytes_of(member));
    }

    pub fn replay_target(&mut self, member: &Str, value: Option<&ConsumerGroupTargetAssignmentMemberValue>) {
        self.change(member, |group| group.take_target(member, value));
    }

    fn take_target(&mut self, member: &Str, value: Option<&ConsumerGroupTargetAssignmentMemberValue>) {
        match value {
            Some(value) => {
                let topics = value.topic_partitions.iter();
                let partitions =
                    topics.map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect())).collect();
                self.target.insert(member.detached(), partitions);
            }
            None => {
                self.target.remove(member);
            }
        }
    }

    pub fn replay_member(&mut self, id: &Str, value: Option<&ConsumerGroupMemberMetadataValue>) {
        self.change(id, |group| group.take_member(id, value));
    }

    fn take_member(&mut self, id: &Str, value: Option<&ConsumerGroupMemberMetadataValue>) {
        let Some(value) = value else { return self.remove_member(id) };
        let named = self.shared_names(id, &value.subscribed_topic_names);
        let member = self.members.entry(id.detached()).or_insert_with(|| Member::new(id.detached()));
        if let Some(before) = member.instance.take()
            && self.static_members.get(&before) == Some(&member.id)
        {
            self.static_members.remove(&before);
        }
        member.instance = value.instance_id.as_ref().map(Str::detached);
        member.rack = value.rack_id.as_ref().map(Str::detached);
        member.client = Client { id: value.client_id.detached(), host: value.client_host.detached() };
        member.rebalance_timeout_ms = value.rebalance_timeout_ms;
        member.assignor = value.server_assignor.as_ref().map(Str::detached);
        let before = std::mem::replace(&mut member.topics, named.clone());
        member.regex = value.subscribed_topic_regex.as_ref().map(Str::detached);
        member.classic = value.classic_member_metadata.as_ref().and_then(ClassicMember::from_record);
        if let Some(instance) = &member.instance {
            self.static_members.insert(instance.clone(), member.id.clone());
        }
        self.count_subscribers(&before, &named);
    }

    /// Those that the member has, or another one, if they are these.
    pub(super) fn shared_names(&self, id: &Str, names: &[Str]) -> Rc<TopicNames> {
        let others = self.members.values().take(LOOKED_AT_MAX);
        let known = self.members.get(id).into_iter().chain(others).map(|member| &member.topics);
        TopicNames::shared(names, known)
    }

    fn remove_member(&mut self, id: &Str) {
        self.disown(id);
        let Some(member) = self.members.remove(id) else { return };
        self.count_subscribers(&member.topics, &TopicNames::default());
        if let Some(instance) = member.instance.filter(|instance| self.static_members.get(instance) == Some(id)) {
            self.static_members.remove(&instance);
        }
    }

    pub fn replay_current(&mut self, id: &Str, value: Option<&ConsumerGroupCurrentMemberAssignmentValue>) {
        self.change(id, |group| group.take_current(id, value));
    }

    fn take_current(&mut self, id: &Str, value: Option<&ConsumerGroupCurrentMemberAssignmentValue>) {
        self.disown(id);
        let Some(value) = value else {
            if let Some(member) = self.members.get_mut(id) {
                *member = Member { epoch: LEAVING, previous_epoch: LEAVING, ..cleared(member) };
            }
            return;
        };
        let member = self.members.entry(id.detached()).or_insert_with(|| Member::new(id.detached()));
        member.epoch = value.member_epoch;
        member.previous_epoch = value.previous_member_epoch;
        member.state = MemberState::from_code(value.state).unwrap_or(MemberState::UnreleasedPartitions);
        member.assigned = held(&value.assigned_partitions, value.member_epoch);
        member.revoking = held(&value.partitions_pending_revocation, value.member_epoch);
        let partitions: Vec<_> = member.holds().collect();
        for partition in partitions {
            self.owners.insert(partition, id.detached());
        }
    }

    fn disown(&mut self, id: &Str) {
        let partitions: Vec<_> = self.members.get(id).into_iter().flat_map(Member::holds).collect();
        for partition in partitions {
            if self.owners.get(&partition) == Some(id) {
                self.owners.remove(&partition);
            }
        }
    }

    pub fn replay_regex(&mut self, expression: &Str, value: Option<&ConsumerGroupRegularExpressionValue>) {
        let resolved = value.map(|value| Resolved {
            topics: value.topics.iter().map(Str::detached).collect(),
            version: value.version,
            timestamp: value.timestamp,
        });
        let after = resolved.as_ref().map_or(0, |resolved| resolved.bytes(expression));
        let before = match resolved {
            Some(resolved) => self.regexes.insert(expression.detached(), resolved),
            None => self.regexes.remove(expression),
        };
        self.weight.change(before.map_or(0, |before| before.bytes(expression)), after);
    }
}

fn cleared(member: &Member) -> Member {
    Member { state: MemberState::Stable, assigned: Held::new(), revoking: Held::new(), ..member.clone() }
}

/// Records of before 4.3 have no epochs for partitions: the member's stands for them.
fn held(topics: &[TopicPartitions], member_epoch: i32) -> Held {
    let topic = |topic: &TopicPartitions| {
        let epochs = topic.assignment_epochs.as_ref();
        let epoch = |at: usize| epochs.and_then(|epochs| epochs.get(at)).copied().unwrap_or(member_epoch);
        let partitions = topic.partitions.iter().enumerate().map(|(at, index)| (*index, epoch(at)));
        (topic.topic_id, partitions.collect())
    };
    topics.iter().map(topic).collect()
}
