//! Where new replicas go: striped over racks from a random start, so that leaders and followers spread evenly.

use super::result::Dice;
use crate::metadata::cluster::ClusterImage;
use odradek_protocol::primitives::Str;
use odradek_shards::types::NodeId;
use std::collections::BTreeMap;

/// Kafka's words for why it cannot be; INVALID_REPLICATION_FACTOR.
pub(super) type Unplaceable = String;

/// Replicas of `count` partitions, the preferred leader first.
///
/// Every replica of a partition is on a different broker, on as many racks as there are; the first is unfenced.
pub(super) fn place(
    cluster: &ClusterImage,
    count: usize,
    replication_factor: i16,
    dice: &mut Dice,
) -> Result<Vec<Vec<NodeId>>, Unplaceable> {
    if replication_factor <= 0 {
        let message = "the replication factor must be positive.";
        return Err(format!("Invalid replication factor {replication_factor}: {message}"));
    }
    let mut racks = Racks::new(cluster, dice);
    if racks.unfenced == 0 {
        return Err("All brokers are currently fenced, or have all their log directories cordoned.".into());
    }
    let factor = replication_factor as usize;
    if factor > racks.brokers {
        return Err(format!(
            "The target replication factor of {factor} cannot be reached because only {} broker(s) are registered \
             or some brokers have all their log directories cordoned.",
            racks.brokers
        ));
    }
    Ok((0..count).map(|_| racks.next_partition(factor)).collect())
}

struct Racks {
    racks: Vec<Rack>,
    /// The rack the next partition's leader comes from.
    turn: usize,
    brokers: usize,
    unfenced: usize,
}

/// One rack's brokers; the unfenced are a ring, and each partition led from here starts one further.
#[derive(Default)]
struct Rack {
    unfenced: Vec<NodeId>,
    fenced: Vec<NodeId>,
    turn: usize,
}

impl Racks {
    fn new(cluster: &ClusterImage, dice: &mut Dice) -> Self {
        let mut by_name: BTreeMap<Option<Str>, Rack> = BTreeMap::new();
        for broker in cluster.brokers().filter(|broker| !broker.is_cordoned()) {
            let rack = by_name.entry(broker.rack.clone()).or_default();
            if broker.fenced { rack.fenced.push(broker.id) } else { rack.unfenced.push(broker.id) }
        }
        let mut racks: Vec<Rack> = by_name.into_values().collect();
        dice.shuffle(&mut racks);
        for rack in &mut racks {
            dice.shuffle(&mut rack.unfenced);
            dice.shuffle(&mut rack.fenced);
        }
        let count = |of: fn(&Rack) -> usize| racks.iter().map(of).sum();
        let (unfenced, fenced): (usize, usize) = (count(|rack| rack.unfenced.len()), count(|rack| rack.fenced.len()));
        Self { turn: 0, brokers: unfenced + fenced, unfenced, racks }
    }

    fn next_partition(&mut self, factor: usize) -> Vec<NodeId> {
        while self.racks[self.turn].unfenced.is_empty() {
            self.turn = (self.turn + 1) % self.racks.len();
        }
        let unfenced: Vec<Vec<NodeId>> = (0..self.racks.len()).map(|i| self.rack(i).unfenced_from_turn()).collect();
        let fenced: Vec<Vec<NodeId>> = (0..self.racks.len()).map(|i| self.rack(i).fenced.clone()).collect();
        let leading = self.turn;
        self.racks[leading].turn += 1;
        self.turn = (self.turn + 1) % self.racks.len();
        striped(&unfenced).chain(striped(&fenced)).take(factor).collect()
    }

    /// The `i`th rack, counted from the one whose turn it is.
    fn rack(&self, i: usize) -> &Rack {
        &self.racks[(self.turn + i) % self.racks.len()]
    }
}

impl Rack {
    fn unfenced_from_turn(&self) -> Vec<NodeId> {
        let count = self.unfenced.len();
        (0..count).map(|i| self.unfenced[(self.turn + i) % count]).collect()
    }
}

/// Round by round over the racks: the first broker of each, then the second of each.
fn striped(racks: &[Vec<NodeId>]) -> impl Iterator<Item = NodeId> {
    let deepest = racks.iter().map(Vec::len).max().unwrap_or(0);
    (0..deepest).flat_map(|depth| racks.iter().filter_map(move |rack| rack.get(depth).copied()))
}

#[cfg(test)]
mod tests;
