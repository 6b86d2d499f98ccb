//! A classic group as its record, and back.

use super::{ClassicGroup, Member, Protocol, State};
use crate::coordinator::Turn;
use crate::group::machine::GroupMachine;
use crate::group::record::GroupRecord;
use crate::group::request::Client;
use crate::group::settings::milliseconds;
use crate::group::weight::Total;
use bytes::Bytes;
use odradek_protocol::primitives::Str;
use odradek_protocol::records::group::GroupMetadataValue;
use odradek_protocol::records::group::group_metadata_value::MemberMetadata;
use odradek_shards::types::Timestamp;
use std::time::Duration;

impl ClassicGroup {
    /// The present generation, whole.
    pub fn to_record(&self) -> GroupRecord {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let member = |member: &Member| MemberMetadata {
            member_id: member.id.clone(),
            group_instance_id: member.instance.clone(),
            client_id: member.client.id.clone(),
            client_host: member.client.host.clone(),
            rebalance_timeout: as_millis(member.rebalance_timeout),
            session_timeout: as_millis(member.session_timeout),
            subscription: member.metadata(protocol),
            assignment: member.assignment.clone(),
            ..Default::default()
        };
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.since.0,
            members: self.members.values().map(member).collect(),
            ..Default::default()
        };
        GroupRecord::Classic(self.id.clone(), Some(value))
    }

    pub fn from_record(id: Str, value: &GroupMetadataValue, total: &Total) -> Self {
        let mut group = Self::new(id, Timestamp(value.current_state_timestamp), total);
        let protocol = value.protocol.as_ref().map(Str::detached);
        let name = protocol.clone().unwrap_or_default();
        for recorded in &value.members {
            group.add(member(recorded, &name), &value.protocol_type);
        }
        group.state = if group.members.is_empty() { State::Empty } else { State::Stable };
        group.previous = group.state;
        group.generation = value.generation;
        group.protocol_type = Some(value.protocol_type.detached()).filter(|kind| !kind.is_empty());
        group.protocol = protocol;
        let leader = value.leader.as_ref().filter(|leader| group.members.contains_key(*leader));
        if let Some(leader) = leader {
            group.leader = Some(leader.detached());
        }
        group.subscribed_topics = group.read_subscriptions();
        group
    }

    /// The partition is read: everybody's session begins anew.
    pub fn loaded(&mut self, turn: &mut Turn<'_, GroupMachine>, size_max: usize) {
        self.expect_heartbeats(turn);
        if self.members.len() > size_max {
            self.prepare_rebalance(turn, Duration::ZERO);
        }
    }
}

fn member(recorded: &MemberMetadata, protocol: &Str) -> Member {
    let metadata = Bytes::copy_from_slice(&recorded.subscription);
    let session_timeout = milliseconds(recorded.session_timeout);
    let has_its_own = recorded.rebalance_timeout >= 0;
    Member {
        id: recorded.member_id.detached(),
        instance: recorded.group_instance_id.as_ref().map(Str::detached),
        client: Client { id: recorded.client_id.detached(), host: recorded.client_host.detached() },
        rebalance_timeout: if has_its_own { milliseconds(recorded.rebalance_timeout) } else { session_timeout },
        session_timeout,
        protocols: vec![Protocol { name: protocol.clone(), metadata }],
        assignment: Bytes::copy_from_slice(&recorded.assignment),
        target: None,
        joining: None,
        syncing: None,
        is_new: false,
    }
}

/// Timeouts come from 32-bit milliseconds.
pub fn as_millis(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}
