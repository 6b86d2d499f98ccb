//! Each topic in runs of neighbours, one per member; the same place in every topic, so that co-partitioned topics meet.

use super::subscriptions::Subscriptions;
use super::{Candidate, Partitions, Problem};
use odradek_protocol::primitives::Str;
use std::collections::BTreeMap;

pub fn assign(problem: &Problem) -> BTreeMap<Str, Partitions> {
    let mut members: Vec<(&Str, &Candidate)> = problem.members.iter().collect();
    members.sort_by_key(|member| place(*member));
    let subscriptions = Subscriptions::new(problem, members.iter().map(|(_, member)| *member));
    let mut given = vec![Partitions::new(); members.len()];
    for (subject, takers) in subscriptions.subjects.iter().zip(takers(&subscriptions)) {
        let count = i32::try_from(subject.subscribers).unwrap_or(i32::MAX);
        let mut next = 0;
        for (at, member) in (0..count).zip(takers) {
            let share = subject.topic.partitions / count + i32::from(at < subject.topic.partitions % count);
            given[member].insert(subject.id, (next..next + share).collect());
            next += share;
        }
    }
    members.into_iter().map(|(id, _)| id.clone()).zip(given).collect()
}

/// The first of each topic's subscribers: no more than it has partitions.
fn takers(subscriptions: &Subscriptions<'_>) -> Vec<Vec<usize>> {
    let mut takers = vec![Vec::new(); subscriptions.subjects.len()];
    for (member, class) in subscriptions.class_of.iter().enumerate() {
        for topic in &subscriptions.classes[*class].topics {
            if takers[*topic].len() < subscriptions.subjects[*topic].topic.count() {
                takers[*topic].push(member);
            }
        }
    }
    takers
}

/// Static members first, by their instance: that outlives their ids.
fn place<'a>((id, member): (&'a Str, &'a Candidate)) -> (bool, &'a Str) {
    member.instance.as_ref().map_or((true, id), |instance| (false, instance))
}
