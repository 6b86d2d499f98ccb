//! Records of consumer groups, led to their group.

use super::machine::GroupMachine;
use super::record::{GroupRecord, Member};

impl GroupMachine {
    pub(super) fn replay_consumer(&mut self, record: GroupRecord) {
        match record {
            GroupRecord::ConsumerEpoch(id, Some(value)) => self.consumer_or_new(&id).replay_epoch(&value),
            GroupRecord::ConsumerEpoch(id, None) => {
                if self.consumer(&id).is_some() {
                    self.groups.remove(&id);
                }
            }
            GroupRecord::ConsumerMember(Member { group, member }, Some(value)) => {
                self.consumer_or_new(&group).replay_member(&member, Some(&value));
            }
            GroupRecord::TargetEpoch(id, Some(value)) => self.consumer_or_new(&id).replay_target_epoch(Some(&value)),
            GroupRecord::TargetMember(Member { group, member }, Some(value)) => {
                self.consumer_or_new(&group).replay_target(&member, Some(&value));
            }
            GroupRecord::CurrentMember(Member { group, member }, Some(value)) => {
                self.consumer_or_new(&group).replay_current(&member, Some(&value));
            }
            GroupRecord::RegularExpression { group, expression, resolved: Some(resolved) } => {
                self.consumer_or_new(&group).replay_regex(&expression, Some(&resolved));
            }
            other => self.replay_consumer_tombstone(&other),
        }
    }

    fn replay_consumer_tombstone(&mut self, record: &GroupRecord) {
        match record {
            GroupRecord::ConsumerMember(at, None) => {
                self.consumer_mut(&at.group).into_iter().for_each(|group| group.replay_member(&at.member, None));
            }
            GroupRecord::TargetMember(at, None) => {
                self.consumer_mut(&at.group).into_iter().for_each(|group| group.replay_target(&at.member, None));
            }
            GroupRecord::CurrentMember(at, None) => {
                self.consumer_mut(&at.group).into_iter().for_each(|group| group.replay_current(&at.member, None));
            }
            GroupRecord::TargetEpoch(id, None) => {
                self.consumer_mut(id).into_iter().for_each(|group| group.replay_target_epoch(None));
            }
            GroupRecord::RegularExpression { group, expression, resolved: None } => {
                self.consumer_mut(group).into_iter().for_each(|group| group.replay_regex(expression, None));
            }
            _ => {}
        }
    }
}
