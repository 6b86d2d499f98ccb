//! A classic group of consumers as a consumer group: the same members, each with what its leader gave it.

use super::classic::ClassicMember;
use super::member::{Held, MemberState};
use super::topic_names::TopicNames;
use super::{ConsumerGroup, Member};
use crate::group::assignor::Partitions;
use crate::group::classic::{self, ClassicGroup};
use crate::group::embedded;
use crate::metadata::Image;
use odradek_protocol::messages::ConsumerProtocolSubscription;
use odradek_protocol::primitives::Str;

/// Why it cannot be.
const MALFORMED: &str = "the embedded consumer protocol is malformed";
const CUSTOM_ASSIGNOR: &str = "a custom assignor keeps data in its assignments, which would be lost";

impl ConsumerGroup {
    /// Its generation goes on as the group epoch.
    pub fn from_classic(group: &ClassicGroup, image: &Image) -> Result<Self, &'static str> {
        let mut upgraded = Self::new(group.id().clone(), group.total());
        upgraded.epoch = group.generation();
        upgraded.assignment_epoch = group.generation();
        let protocol = group.shared_protocol().ok_or(MALFORMED)?;
        for member in group.members() {
            let subscription = embedded::subscription(&member.metadata(&protocol)).ok_or(MALFORMED)?;
            let given = embedded::assignment(&member.assignment).ok_or(MALFORMED)?;
            if given.user_data.is_some_and(|data| !data.is_empty()) {
                return Err(CUSTOM_ASSIGNOR);
            }
            let given = given.assigned_partitions.iter().map(|given| (&given.topic, given.partitions.as_slice()));
            upgraded.take_over(member, &subscription, embedded::by_id(given, image));
        }
        upgraded.metadata_hash = upgraded.hash_metadata(image);
        Ok(upgraded)
    }

    /// A partition that a leader gave to several stays with the first of them.
    fn take_over(&mut self, member: &classic::Member, told: &ConsumerProtocolSubscription, mut given: Partitions) {
        let epoch = self.epoch;
        for (topic, partitions) in &mut given {
            partitions.retain(|index| !self.owners.contains_key(&(*topic, *index)));
            self.owners.extend(partitions.iter().map(|index| ((*topic, *index), member.id.clone())));
        }
        given.retain(|_, partitions| !partitions.is_empty());
        let assigned: Held = given
            .iter()
            .map(|(topic, partitions)| (*topic, partitions.iter().map(|index| (*index, epoch)).collect()))
            .collect();
        if let Some(instance) = &member.instance {
            self.static_members.insert(instance.clone(), member.id.clone());
        }
        self.target.insert(member.id.clone(), given);
        let upgraded = Member {
            instance: member.instance.clone(),
            rack: told.rack_id.as_ref().filter(|rack| !rack.is_empty()).map(Str::detached),
            client: member.client.clone(),
            rebalance_timeout_ms: classic::as_millis(member.rebalance_timeout),
            topics: self.shared_names(&member.id, &told.topics),
            regex: Some(Str::EMPTY),
            epoch,
            previous_epoch: epoch,
            state: MemberState::Stable,
            assigned,
            classic: Some(ClassicMember {
                session_timeout_ms: classic::as_millis(member.session_timeout),
                protocols: member.protocols.clone(),
            }),
            ..Member::new(member.id.clone())
        };
        let id = upgraded.id.clone();
        self.count_subscribers(&TopicNames::default(), &upgraded.topics);
        self.members.insert(id.clone(), upgraded);
        self.weight.change(0, self.bytes_of(&id));
    }
}
