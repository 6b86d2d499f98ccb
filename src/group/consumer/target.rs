//! The target assignment: made anew for a new group epoch, but not more often than the configured interval.

use super::{ConsumerGroup, Member};
use crate::group::assignor::{Assignor, Candidate, Partitions, Problem};
use crate::group::record::GroupRecord;
use crate::metadata::Image;
use crate::metadata::topics::TopicImage;
use odradek_protocol::primitives::Str;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use uuid::Uuid;

impl ConsumerGroup {
    pub(super) fn is_target_due(&self, now_ms: i64, interval_ms: i32) -> bool {
        let age = now_ms - self.assigned_ms;
        let is_behind = self.epoch > self.assignment_epoch && self.unfit_epoch != Some(self.epoch);
        is_behind && (age < 0 || age >= i64::from(interval_ms))
    }

    /// The assignor most members wish for, else the first that is configured.
    pub fn preferred_assignor(&self, configured: &[String]) -> Str {
        let mut votes: BTreeMap<&Str, usize> = BTreeMap::new();
        for name in self.members.values().filter_map(|member| member.assignor.as_ref()) {
            *votes.entry(name).or_default() += 1;
        }
        let wished = votes.into_iter().min_by_key(|(_, count)| Reverse(*count)).map(|(name, _)| name.clone());
        wished.unwrap_or_else(|| configured.first().map_or_else(|| "uniform".into(), Into::into))
    }

    /// Records of what changes, and of the epoch it is for.
    pub(super) fn new_target(&self, image: &Image, configured: &[String], now_ms: i64) -> Vec<GroupRecord> {
        let assignor = Assignor::by_name(&self.preferred_assignor(configured)).unwrap_or(Assignor::Uniform);
        let assignment = assignor.assign(&self.problem(image));
        let mut records = Vec::new();
        for (member, partitions) in &assignment {
            if self.target.get(member) != Some(partitions) {
                records.push(self.target_record(member, partitions));
            }
        }
        records.push(self.target_epoch_record(self.epoch, now_ms));
        records
    }

    fn problem(&self, image: &Image) -> Problem {
        let known = self.subscribed(image);
        let ids = known.iter().map(|(name, topic)| (*name, topic.id.0)).collect();
        let candidate = |(member, topics): (&Member, Rc<BTreeSet<Uuid>>)| Candidate {
            instance: member.instance.clone(),
            rack: member.rack.clone(),
            topics,
            target: self.target_or_nothing(&member.id),
        };
        let candidates = self.members.values().zip(self.topics_of_members(&ids)).map(candidate);
        let members = self.members.keys().cloned().zip(candidates).collect();
        let topics = known.into_values().map(|topic| (topic.id.0, super::subscription::describe(image, topic)));
        Problem { members, topics: topics.collect() }
    }

    /// The log lost the end of a turn: members went, and the epoch that would have shared out what they had did not come.
    pub(super) fn was_torn(&self, image: &Image) -> bool {
        let wanted: usize = self.subscribed(image).into_values().map(TopicImage::partition_count).sum();
        let given: usize = self.target.values().flat_map(Partitions::values).map(BTreeSet::len).sum();
        self.epoch == self.assignment_epoch && given < wanted
    }

    /// All that nobody else may have now.
    pub fn held_by(&self, member: &str) -> Partitions {
        let mut held = Partitions::new();
        for (topic, index) in self.members.get(member).into_iter().flat_map(Member::holds) {
            held.entry(topic).or_default().insert(index);
        }
        held
    }

    /// Nothing, for one that has joined since.
    pub fn target_or_nothing(&self, member: &str) -> Partitions {
        self.target.get(member).cloned().unwrap_or_default()
    }
}
