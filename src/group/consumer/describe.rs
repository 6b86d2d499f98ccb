//! What ConsumerGroupDescribe and ListGroups tell of a consumer group.

use super::{ConsumerGroup, Member};
use crate::group::assignor::Partitions;
use crate::metadata::Image;
use odradek_protocol::messages::consumer_group_describe_response as told;
use odradek_protocol::messages::list_groups_response::ListedGroup;
use odradek_protocol::primitives::Str;
use odradek_shards::types::TopicId;

/// `member_type` by the protocol that a member speaks.
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

impl ConsumerGroup {
    pub fn describe(&self, image: &Image, configured: &[String]) -> told::DescribedGroup {
        told::DescribedGroup {
            group_id: self.id.clone(),
            group_state: self.state().name().into(),
            group_epoch: self.epoch,
            assignment_epoch: self.assignment_epoch,
            assignor_name: self.preferred_assignor(configured),
            members: self.members.values().map(|member| self.describe_member(member, image)).collect(),
            ..Default::default()
        }
    }

    fn describe_member(&self, member: &Member, image: &Image) -> told::Member {
        told::Member {
            member_id: member.id.clone(),
            instance_id: member.instance.clone(),
            rack_id: member.rack.clone(),
            member_epoch: member.epoch,
            client_id: member.client.id.clone(),
            client_host: member.client.host.clone(),
            subscribed_topic_names: member.topics.iter().cloned().collect(),
            subscribed_topic_regex: Some(member.regex.clone().unwrap_or_default()),
            assignment: assignment(&self.held_by(&member.id), image),
            target_assignment: assignment(&self.target_or_nothing(&member.id), image),
            member_type: if member.classic.is_some() { CLASSIC_MEMBER } else { CONSUMER_MEMBER },
        }
    }

    pub fn list(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: "consumer".into(),
            group_state: self.state().name().into(),
            group_type: "consumer".into(),
            ..Default::default()
        }
    }
}

/// Topics that are gone have no name to be told by.
fn assignment(partitions: &Partitions, image: &Image) -> told::Assignment {
    let topics = partitions.iter().filter_map(|(id, indexes)| {
        let topic_name: Str = image.topics().name_of(TopicId(*id))?.clone();
        Some(told::TopicPartitions { topic_id: *id, topic_name, partitions: indexes.iter().copied().collect() })
    });
    told::Assignment { topic_partitions: topics.collect() }
}
