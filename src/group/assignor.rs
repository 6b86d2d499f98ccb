//! Who gets which partitions: what an assignor is told, and what it answers.

mod evening;
mod range;
mod subscriptions;
mod uniform;

use odradek_protocol::primitives::Str;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use uuid::Uuid;

/// Partitions by topic.
pub type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;

/// A member as an assignor sees it.
#[derive(Clone, Debug, Default)]
pub struct Candidate {
    pub instance: Option<Str>,
    pub rack: Option<Str>,
    /// Those who subscribe to the same share it.
    pub topics: Rc<BTreeSet<Uuid>>,
    /// What it is to have now.
    pub target: Partitions,
}

/// A topic as an assignor sees it.
#[derive(Clone, Debug, Default)]
pub struct Topic {
    pub partitions: i32,
    /// Racks of each partition's replicas, where they have any.
    pub racks: BTreeMap<i32, BTreeSet<Str>>,
}

/// Everything an assignor knows.
#[derive(Clone, Debug, Default)]
pub struct Problem {
    pub members: BTreeMap<Str, Candidate>,
    /// Those that exist of the topics that anybody subscribes to.
    pub topics: BTreeMap<Uuid, Topic>,
}

/// `group.consumer.assignors` by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Assignor {
    Uniform,
    Range,
}

impl Assignor {
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "uniform" => Some(Self::Uniform),
            "range" => Some(Self::Range),
            _ => None,
        }
    }

    /// Every partition of every topic that somebody subscribes to goes to exactly one of those who do.
    pub fn assign(self, problem: &Problem) -> BTreeMap<Str, Partitions> {
        let assignment = match self {
            Self::Uniform => uniform::assign(problem),
            Self::Range => range::assign(problem),
        };
        debug_assert!(problem.is_solved_by(&assignment), "an assignment is legal");
        assignment
    }
}

impl Topic {
    fn count(&self) -> usize {
        usize::try_from(self.partitions).unwrap_or(0)
    }
}

impl Problem {
    fn subscribers(&self, topic: Uuid) -> impl Iterator<Item = (&Str, &Candidate)> {
        self.members.iter().filter(move |(_, member)| member.topics.contains(&topic))
    }

    /// All of it is given out, each partition once, to members that asked for it.
    pub fn is_solved_by(&self, assignment: &BTreeMap<Str, Partitions>) -> bool {
        let mut given = BTreeSet::new();
        for (id, topics) in assignment {
            let Some(member) = self.members.get(id) else { return false };
            for (topic, partitions) in topics {
                let count = self.topics.get(topic).map_or(0, |topic| topic.partitions);
                let is_wanted = member.topics.contains(topic);
                let all_new =
                    partitions.iter().all(|index| (0..count).contains(index) && given.insert((*topic, *index)));
                if !is_wanted || !all_new {
                    return false;
                }
            }
        }
        let wanted = self.topics.iter().filter(|(id, _)| self.subscribers(**id).next().is_some());
        given.len() == wanted.map(|(_, topic)| topic.count()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
