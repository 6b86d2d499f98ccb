//! Partitions of a broker that comes or goes: which of them change leader or ISR.

use super::partition_change::{Circumstances, change};
use super::state::State;
use crate::metadata::topics::{PartitionImage, TopicImage};
use odradek_protocol::records::metadata::{MetadataRecord, PartitionChangeRecord};
use odradek_shards::types::{NodeId, PartitionIndex, TopicId};
use uuid::Uuid;

/// Changes for every partition that `node` takes part in while it leaves; `unclean`: its log may have lost records.
pub(super) fn changes_as_broker_leaves(state: &State, node: NodeId, unclean: bool) -> Vec<MetadataRecord> {
    let may_lead = |id: NodeId| id != node && is_active(state, id);
    let unclean = unclean.then_some(node);
    let concerned = |partition: &PartitionImage| {
        partition.isr.contains(&node) || partition.leader == node || unclean.is_some() && partition.elr.contains(&node)
    };
    changes(state, concerned, |isr| isr.iter().copied().filter(|id| *id != node).collect(), &may_lead, unclean)
}

/// Changes for every partition whose replica on `node` lies in a log directory that failed.
pub(super) fn changes_as_directory_fails(state: &State, node: NodeId, dir: Uuid) -> Vec<MetadataRecord> {
    let may_lead = |id: NodeId| id != node && is_active(state, id);
    let lies_there = |partition: &PartitionImage| partition.directory_of(node) == Some(dir);
    let concerned = |partition: &PartitionImage| {
        lies_there(partition) && (partition.isr.contains(&node) || partition.leader == node)
    };
    changes(state, concerned, |isr| isr.iter().copied().filter(|id| *id != node).collect(), &may_lead, None)
}

/// The change that gives one partition this ISR, and a leader if there can be one.
pub(super) fn change_of(
    state: &State,
    topic: TopicId,
    index: PartitionIndex,
    partition: &PartitionImage,
    isr: Vec<NodeId>,
) -> Option<PartitionChangeRecord> {
    let name = state.image().topics().name_of(topic)?;
    let may_lead = |id: NodeId| is_active(state, id) && is_online(state, id, partition);
    let (elr_enabled, min_insync_replicas) = (state.is_elr_enabled(), state.min_insync_replicas(name));
    let circumstances = Circumstances { may_lead: &may_lead, elr_enabled, min_insync_replicas, unclean: None };
    change(topic, index, partition, isr, &circumstances)
}

/// The replica's log directory works, as far as one knows.
pub(super) fn is_online(state: &State, node: NodeId, partition: &PartitionImage) -> bool {
    let broker = state.image().cluster().broker(node);
    partition.directory_of(node).is_none_or(|dir| broker.is_some_and(|broker| broker.has_online_dir(dir)))
}

/// Changes for every partition that `node` can lead again because it is back.
pub(super) fn changes_as_broker_returns(state: &State, node: NodeId) -> Vec<MetadataRecord> {
    let may_lead = |id: NodeId| id == node || is_active(state, id);
    let concerned = |partition: &PartitionImage| !partition.has_leader() && partition.replicas.contains(&node);
    changes(state, concerned, <[NodeId]>::to_vec, &may_lead, None)
}

pub(super) fn leads_something(state: &State, node: NodeId) -> bool {
    let leads = |topic: &TopicImage| topic.partitions().any(|(_, partition)| partition.leader == node);
    state.image().topics().iter().any(leads)
}

/// Neither fenced nor leaving.
pub(super) fn is_active(state: &State, node: NodeId) -> bool {
    state.image().cluster().broker(node).is_some_and(|broker| broker.is_active())
}

fn changes(
    state: &State,
    concerned: impl Fn(&PartitionImage) -> bool,
    target_isr: impl Fn(&[NodeId]) -> Vec<NodeId>,
    may_lead: &dyn Fn(NodeId) -> bool,
    unclean: Option<NodeId>,
) -> Vec<MetadataRecord> {
    let elr_enabled = state.is_elr_enabled();
    let mut records = Vec::new();
    for topic in state.image().topics().iter() {
        let min_insync_replicas = state.min_insync_replicas(&topic.name);
        let record = |(index, partition): (PartitionIndex, &PartitionImage)| {
            let may_lead = |node: NodeId| may_lead(node) && is_online(state, node, partition);
            let circumstances = Circumstances { may_lead: &may_lead, elr_enabled, min_insync_replicas, unclean };
            change(topic.id, index, partition, target_isr(&partition.isr), &circumstances)
        };
        let of_interest = topic.partitions().filter(|(_, partition)| concerned(partition));
        records.extend(of_interest.filter_map(record).map(MetadataRecord::from));
    }
    records
}
