//! Each topic in runs of neighbours, one per member; the same place in every topic, so that co-partitioned topics meet.

use super::{Candidate, Partitions, Problem};
use odradek_protocol::primitives::Str;
use std::collections::BTreeMap;

pub fn assign(problem: &Problem) -> BTreeMap<Str, Partitions> {
    let mut assignment: BTreeMap<Str, Partitions> =
        problem.members.keys().map(|id| (id.clone(), Partitions::new())).collect();
    for (topic, state) in &problem.topics {
        let mut members: Vec<(&Str, &Candidate)> = problem.subscribers(*topic).collect();
        members.sort_by_key(|member| place(*member));
        let count = i32::try_from(members.len()).unwrap_or(i32::MAX);
        let mut next = 0;
        for (at, (id, _)) in (0..count).zip(members) {
            let share = state.partitions / count + i32::from(at < state.partitions % count);
            if share > 0 {
                let run = (next..next + share).collect();
                assignment.get_mut(id).expect("every member has a place").insert(*topic, run);
            }
            next += share;
        }
    }
    assignment
}

/// Static members first, by their instance: that outlives their ids.
fn place<'a>((id, member): (&'a Str, &'a Candidate)) -> (bool, &'a Str) {
    member.instance.as_ref().map_or((true, id), |instance| (false, instance))
}
