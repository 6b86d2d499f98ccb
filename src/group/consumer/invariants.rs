//! What must hold of a consumer group after every turn, whatever its members do; tests ask for it.

use super::{ConsumerGroup, LEAVING_FOR_A_WHILE, Member};
use crate::group::assignor::Partitions;
use crate::metadata::Image;
use crate::metadata::topics::TopicImage;
use odradek_protocol::primitives::Str;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The epochs of a group after a turn.
#[derive(Clone, Debug, Default)]
pub struct Epochs {
    group: i32,
    target: i32,
    members: BTreeMap<Str, i32>,
}

impl ConsumerGroup {
    pub fn epochs(&self) -> Epochs {
        let members = self.members.values().map(|member| (member.id.clone(), member.epoch)).collect();
        Epochs { group: self.epoch, target: self.assignment_epoch, members }
    }

    /// What holds of one state by itself.
    pub fn check(&self) {
        self.check_no_double_assignment();
        self.check_valid_epochs();
        let is_member = |id: &Str| self.members.contains_key(id);
        assert!(self.static_members.values().all(is_member), "static members are members");
        let mut subscribers = BTreeMap::new();
        self.members
            .values()
            .flat_map(|member| member.topics.iter())
            .for_each(|name| *subscribers.entry(name).or_default() += 1);
        assert!(
            subscribers.into_iter().eq(self.subscribers.iter().map(|(name, count)| (name, *count))),
            "all are counted"
        );
        assert!(self.target.keys().all(is_member), "LegalTargetAssignment: only members are to have something");
    }

    /// What holds of a state and the one before it.
    pub fn check_after(&self, before: &Epochs, image: &Image) {
        self.check_monotonic_epochs(before);
        if self.assignment_epoch != before.target {
            self.check_legal_target_assignment(image);
        }
    }

    /// What was seen of metadata bit by bit is what all of it gives.
    pub fn check_seen(&self, image: &Image, metadata: u64) {
        if self.matched_metadata != Some(metadata) {
            return;
        }
        assert_eq!(self.metadata_hash, self.hash_metadata(image), "the hash is that of the topics");
        let used: BTreeSet<&Str> = self.members.values().filter_map(Member::expression).collect();
        for (expression, resolved) in &self.regexes {
            if used.contains(expression) {
                assert_eq!(resolved.topics, super::regex::matched_by(expression, image), "{expression} matches these");
            }
        }
    }

    /// A partition is with one member at most, until that one has given it back.
    fn check_no_double_assignment(&self) {
        let mut owned = BTreeMap::new();
        for member in self.members.values() {
            for partition in member.holds() {
                let other = owned.insert(partition, &member.id);
                assert!(other.is_none(), "NoDoubleAssignment: {partition:?} is with {other:?} and {}", member.id);
            }
        }
        let known = self.owners.iter().map(|(partition, owner)| (*partition, owner));
        assert!(owned.into_iter().eq(known), "NoDoubleAssignment: the owners are those of the members");
    }

    /// Member follows target, target follows group.
    fn check_valid_epochs(&self) {
        assert!(self.assignment_epoch <= self.epoch, "ValidEpochs: a target is made for an epoch that has begun");
        for Member { id, epoch, previous_epoch, .. } in self.members.values() {
            assert!(*epoch >= 0 || *epoch == LEAVING_FOR_A_WHILE, "ValidEpochs: {id} is at {epoch}");
            let is_reached = *epoch <= self.assignment_epoch.max(0);
            assert!(is_reached, "ValidEpochs: {id} is at {epoch}, the target at {}", self.assignment_epoch);
            assert!(previous_epoch <= epoch || *epoch < 0, "ValidEpochs: {id} came from {previous_epoch} to {epoch}");
        }
    }

    fn check_monotonic_epochs(&self, before: &Epochs) {
        let (epochs, was) = ((self.epoch, self.assignment_epoch), (before.group, before.target));
        assert!(epochs.0 >= was.0 && epochs.1 >= was.1, "MonotonicEpochs: of the group, from {was:?} to {epochs:?}");
        for member in self.members.values().filter(|member| !member.is_away()) {
            let was = before.members.get(&member.id).copied().unwrap_or_default();
            assert!(member.epoch >= was, "MonotonicEpochs: {} from {was} to {}", member.id, member.epoch);
        }
    }

    /// Right when it is made: each partition of each topic that somebody subscribes to is for exactly one who does.
    fn check_legal_target_assignment(&self, image: &Image) {
        let mut given = BTreeSet::new();
        for (id, target) in &self.target {
            let named = self.named_by(&self.members[id]).filter_map(|name| image.topics().by_name(name));
            let subscribed: BTreeSet<Uuid> = named.map(|topic| topic.id.0).collect();
            for partition in each(target) {
                assert!(subscribed.contains(&partition.0), "LegalTargetAssignment: {id} does not want {partition:?}");
                assert!(given.insert(partition), "LegalTargetAssignment: {partition:?} is for {id} and another");
            }
        }
        let named = self.members.values().flat_map(|member| self.named_by(member));
        let topics = named.filter_map(|name| image.topics().by_name(name));
        let of_topic = |topic: &TopicImage| {
            let id = topic.id.0;
            topic.partitions().map(move |(index, _)| (id, index.0)).collect::<Vec<_>>()
        };
        let wanted: BTreeSet<_> = topics.flat_map(of_topic).collect();
        assert_eq!(given, wanted, "LegalTargetAssignment: all that is wanted is given, and nothing else");
    }

    /// Names of one member, those its expression matches included.
    fn named_by<'a>(&'a self, member: &'a Member) -> impl Iterator<Item = &'a Str> {
        let matched = member.expression().and_then(|expression| self.regexes.get(expression));
        member.topics.iter().chain(matched.into_iter().flat_map(|resolved| &resolved.topics))
    }

    /// Counted and, the second, reckoned anew.
    pub fn weights(&self) -> (usize, usize) {
        let members: usize = self.members.values().map(Member::bytes).sum();
        let targets: usize = self.target.values().map(super::target_bytes).sum();
        let regexes: usize = self.regexes.iter().map(|(expression, resolved)| resolved.bytes(expression)).sum();
        let reckoned = crate::group::weight::GROUP_BYTES + self.id.len() + members + targets + regexes;
        (self.weight.bytes(), reckoned)
    }

    pub fn assignment_epoch(&self) -> i32 {
        self.assignment_epoch
    }

    /// All that records tell of it, in an order of its own.
    pub fn told(&self) -> Vec<String> {
        let mut told: Vec<_> = self.records().iter().map(|record| format!("{record:?}")).collect();
        told.extend(self.regexes.iter().map(|regex| format!("{regex:?}")));
        told.sort();
        told
    }
}

fn each(partitions: &Partitions) -> impl Iterator<Item = (Uuid, i32)> {
    partitions.iter().flat_map(|(topic, indexes)| indexes.iter().map(|index| (*topic, *index)))
}
