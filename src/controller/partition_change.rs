//! One partition's next leader and ISR: Kafka's rules, eligible leader replicas (KIP-966) included.

use crate::metadata::topics::{NO_LEADER, PartitionImage, ids};
use odradek_protocol::records::metadata::PartitionChangeRecord;
use odradek_shards::types::{NodeId, PartitionIndex, TopicId};

/// What there is to know beside the partition itself.
pub(super) struct Circumstances<'a> {
    /// Whether a broker could lead.
    pub may_lead: &'a dyn Fn(NodeId) -> bool,
    pub elr_enabled: bool,
    pub min_insync_replicas: usize,
    /// A broker whose log may have lost records: no longer eligible.
    pub unclean: Option<NodeId>,
}

/// The change that takes `partition` to `target_isr` (as far as a partition may), and to a live leader if there can be one.
pub(super) fn change(
    topic: TopicId,
    index: PartitionIndex,
    partition: &PartitionImage,
    target_isr: Vec<NodeId>,
    circumstances: &Circumstances<'_>,
) -> Option<PartitionChangeRecord> {
    let next = Next::settle(partition, target_isr, circumstances);
    let record = next.record(topic, index, partition);
    let untouched = PartitionChangeRecord { topic_id: topic.0, partition_id: index.0, ..Default::default() };
    (record != untouched).then_some(record)
}

/// The fields of a partition after the change.
struct Next {
    isr: Vec<NodeId>,
    elr: Vec<NodeId>,
    last_known_elr: Vec<NodeId>,
    leader: NodeId,
    /// The leader comes from outside ISR and ELR: records may be lost.
    is_unclean: bool,
}

impl Next {
    fn settle(now: &PartitionImage, isr: Vec<NodeId>, circumstances: &Circumstances<'_>) -> Self {
        let (leader, is_unclean) = elect(now, &isr, circumstances);
        let mut next = Self { isr, elr: Vec::new(), last_known_elr: Vec::new(), leader, is_unclean };
        if is_unclean {
            next.isr = vec![leader];
        } else if leader != NO_LEADER && !next.isr.contains(&leader) {
            // Elected from the eligible replicas.
            next.isr = vec![leader];
        }
        if next.isr.is_empty() && !circumstances.elr_enabled {
            // Without ELR the last in-sync replica is remembered by staying in the ISR.
            next.isr.clone_from(&now.isr);
        }
        if circumstances.elr_enabled {
            next.remember_eligible(now, circumstances);
        }
        next
    }

    fn remember_eligible(&mut self, now: &PartitionImage, circumstances: &Circumstances<'_>) {
        if self.isr.len() >= circumstances.min_insync_replicas.min(now.replicas.len()) {
            return;
        }
        let was_eligible = |node: &&NodeId| now.isr.contains(node) || now.elr.contains(node);
        let is_eligible = |node: &&NodeId| !self.isr.contains(node) && circumstances.unclean != Some(**node);
        self.elr = now.replicas.iter().filter(was_eligible).filter(is_eligible).copied().collect();
        // With nobody left, the last leader is the best guess for an election that may lose records.
        let had_leader = now.has_leader() && self.isr.is_empty();
        self.last_known_elr = if had_leader { vec![now.leader] } else { now.last_known_elr.clone() };
        if !self.isr.is_empty() {
            self.last_known_elr.clear();
        }
    }

    fn record(&self, topic: TopicId, index: PartitionIndex, now: &PartitionImage) -> PartitionChangeRecord {
        let changed = |next: &[NodeId], now: &[NodeId]| (next != now).then(|| ids(next));
        let defaults = PartitionChangeRecord::default();
        PartitionChangeRecord {
            topic_id: topic.0,
            partition_id: index.0,
            isr: changed(&self.isr, &now.isr),
            leader: if self.leader == now.leader { defaults.leader } else { self.leader.0 },
            leader_recovery_state: if self.is_unclean { RECOVERING } else { defaults.leader_recovery_state },
            eligible_leader_replicas: changed(&self.elr, &now.elr),
            last_known_elr: changed(&self.last_known_elr, &now.last_known_elr),
            ..defaults
        }
    }
}

/// The leader must still reconcile its log after an unclean election.
const RECOVERING: i8 = 1;

/// Who leads next, and whether that may lose records.
fn elect(now: &PartitionImage, isr: &[NodeId], circumstances: &Circumstances<'_>) -> (NodeId, bool) {
    let may_lead = |node: &NodeId| (circumstances.may_lead)(*node);
    if isr.contains(&now.leader) && may_lead(&now.leader) {
        return (now.leader, false);
    }
    if let Some(node) = now.replicas.iter().find(|node| isr.contains(node) && may_lead(node)) {
        return (*node, false);
    }
    let is_eligible =
        |node: &&NodeId| now.elr.contains(node) && circumstances.unclean != Some(**node) && may_lead(node);
    if let Some(node) = now.replicas.iter().find(is_eligible) {
        return (*node, false);
    }
    let nobody_left = isr.is_empty() && now.elr.is_empty();
    match now.last_known_elr[..] {
        [last] if nobody_left && circumstances.elr_enabled && may_lead(&last) => (last, true),
        _ => (NO_LEADER, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use odradek_shards::types::LeaderEpoch;

    const TOPIC: TopicId = TopicId(uuid::Uuid::from_u128(9));
    const INDEX: PartitionIndex = PartitionIndex(0);

    fn nodes(list: &[i32]) -> Vec<NodeId> {
        list.iter().copied().map(NodeId).collect()
    }

    fn partition(replicas: &[i32], isr: &[i32], leader: i32) -> PartitionImage {
        let (replicas, isr, leader) = (nodes(replicas), nodes(isr), NodeId(leader));
        PartitionImage { replicas, isr, leader, leader_epoch: LeaderEpoch(4), ..Default::default() }
    }

    fn changed(
        now: &PartitionImage,
        isr: &[i32],
        alive: &[i32],
        unclean: Option<i32>,
    ) -> Option<PartitionChangeRecord> {
        let alive = nodes(alive);
        let may_lead = |node: NodeId| alive.contains(&node);
        let unclean = unclean.map(NodeId);
        let circumstances = Circumstances { may_lead: &may_lead, elr_enabled: true, min_insync_replicas: 1, unclean };
        change(TOPIC, INDEX, now, nodes(isr), &circumstances)
    }

    fn blank() -> PartitionChangeRecord {
        PartitionChangeRecord { topic_id: TOPIC.0, partition_id: 0, ..Default::default() }
    }

    /// What Kafka 4.3.1 records when the only replica of a topic stops and comes back.
    #[test]
    fn a_lone_replica_leaves_as_eligible_and_returns_cleanly() {
        let now = partition(&[1], &[1], 1);
        let left = changed(&now, &[], &[], None).unwrap();
        let expected = PartitionChangeRecord {
            isr: Some(vec![]),
            leader: -1,
            eligible_leader_replicas: Some(vec![1]),
            last_known_elr: Some(vec![1]),
            ..blank()
        };
        assert_eq!(left, expected);
        let away = PartitionImage { elr: nodes(&[1]), last_known_elr: nodes(&[1]), ..partition(&[1], &[], -1) };
        let back = changed(&away, &[], &[1], None).unwrap();
        let expected = PartitionChangeRecord {
            isr: Some(vec![1]),
            leader: 1,
            eligible_leader_replicas: Some(vec![]),
            last_known_elr: Some(vec![]),
            ..blank()
        };
        assert_eq!(back, expected);
    }

    /// What Kafka 4.3.1 records when that replica's broker was killed.
    #[test]
    fn a_lone_replica_that_crashed_returns_as_recovering() {
        let away = PartitionImage { elr: nodes(&[1]), last_known_elr: nodes(&[1]), ..partition(&[1], &[], -1) };
        let crashed = changed(&away, &[], &[], Some(1)).unwrap();
        assert_eq!(crashed, PartitionChangeRecord { eligible_leader_replicas: Some(vec![]), ..blank() });
        let nobody = PartitionImage { last_known_elr: nodes(&[1]), ..partition(&[1], &[], -1) };
        let back = changed(&nobody, &[], &[1], None).unwrap();
        let expected = PartitionChangeRecord {
            isr: Some(vec![1]),
            leader: 1,
            leader_recovery_state: 1,
            last_known_elr: Some(vec![]),
            ..blank()
        };
        assert_eq!(back, expected);
    }

    #[test]
    fn the_next_in_sync_replica_by_preference_takes_over() {
        let now = partition(&[3, 2, 1], &[1, 2, 3], 3);
        let record = changed(&now, &[1, 2], &[1, 2], None).unwrap();
        assert_eq!(record, PartitionChangeRecord { isr: Some(vec![1, 2]), leader: 2, ..blank() });
    }

    #[test]
    fn nothing_is_recorded_when_nothing_changes() {
        assert_eq!(changed(&partition(&[1, 2], &[1, 2], 1), &[1, 2], &[1, 2], None), None);
    }
}
