//! How far groups are behind: what they have committed against the ends of the logs, for whoever tells of it.

use super::machine::GroupMachine;
use odradek_protocol::primitives::Str;
use std::collections::BTreeMap;

/// An offset that a group has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedAt {
    pub group: Str,
    pub topic: Str,
    pub partition: i32,
    pub offset: i64,
}

/// Where a group is in one partition, and where the partition ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    pub group: Str,
    pub topic: Str,
    pub partition: i32,
    pub committed: i64,
    /// The high watermark.
    pub end: i64,
}

impl Lag {
    /// Records between the two; none when the log ends before what was committed.
    pub fn records(&self) -> i64 {
        (self.end - self.committed).max(0)
    }
}

/// The lags of all groups, as of the moment they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lags {
    pub lags: Vec<Lag>,
    /// There are more than may be told.
    pub is_cut: bool,
}

/// A topic's name and a partition's index.
pub type Place = (Str, i32);

/// Ends of logs.
pub type Ends = BTreeMap<Place, i64>;

impl Lags {
    /// Partitions whose end is not known, such as those of deleted topics, are left out.
    pub fn of(committed: Vec<CommittedAt>, ends: &Ends, is_cut: bool) -> Self {
        let lag = |at: CommittedAt| {
            let end = *ends.get(&(at.topic.clone(), at.partition))?;
            Some(Lag { group: at.group, topic: at.topic, partition: at.partition, committed: at.offset, end })
        };
        Self { lags: committed.into_iter().filter_map(lag).collect(), is_cut }
    }
}

impl GroupMachine {
    /// Of every group here, at most `max`.
    pub(super) fn committed(&self, max: usize) -> Vec<CommittedAt> {
        let groups = self.groups.keys().filter_map(|group| Some((group, self.offsets.of(group)?)));
        let topics = groups.flat_map(|(group, topics)| topics.iter().map(move |(topic, at)| (group, topic, at)));
        let offsets = topics.flat_map(|(group, topic, partitions)| {
            partitions.iter().map(move |(partition, committed)| CommittedAt {
                group: group.clone(),
                topic: topic.clone(),
                partition: *partition,
                offset: committed.offset,
            })
        });
        offsets.take(max).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: i32, offset: i64) -> CommittedAt {
        CommittedAt { group: "g".into(), topic: "t".into(), partition, offset }
    }

    #[test]
    fn a_lag_is_what_lies_between_the_commit_and_the_end() {
        let ends = Ends::from([(("t".into(), 0), 10), (("t".into(), 1), 3)]);
        let lags = Lags::of(vec![at(0, 4), at(1, 5), at(2, 1)], &ends, false);
        let records: Vec<_> = lags.lags.iter().map(|lag| (lag.partition, lag.records())).collect();
        assert_eq!(records, [(0, 6), (1, 0)]);
    }
}
