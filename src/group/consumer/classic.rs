//! Members of a consumer group that speak the classic protocol: each follows the target by itself, in generations that
//! are its member epochs; there is no leader.

mod heartbeat;
mod join;
mod leave;
mod sync;

use super::{ConsumerGroup, Member};
use crate::group::classic::{CONSUMER, Protocol};
use crate::group::settings::milliseconds;
use crate::group::weight::ENTRY_BYTES;
use bytes::Bytes;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use odradek_protocol::primitives::Str;
use odradek_protocol::records::group::consumer_group_member_metadata_value::{ClassicMemberMetadata, ClassicProtocol};
use std::time::Duration;

/// What is kept of such a member beside what is kept of all; it offers at least one protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMember {
    pub session_timeout_ms: i32,
    pub protocols: Vec<Protocol>,
}

impl ClassicMember {
    /// None without a protocol: records of before there were such members.
    pub fn from_record(value: &ClassicMemberMetadata) -> Option<Self> {
        let protocol = |protocol: &ClassicProtocol| Protocol {
            name: protocol.name.detached(),
            metadata: Bytes::copy_from_slice(&protocol.metadata),
        };
        let protocols: Vec<_> = value.supported_protocols.iter().map(protocol).collect();
        (!protocols.is_empty()).then_some(Self { session_timeout_ms: value.session_timeout_ms, protocols })
    }

    pub fn to_record(&self) -> ClassicMemberMetadata {
        let protocol = |protocol: &Protocol| ClassicProtocol {
            name: protocol.name.clone(),
            metadata: protocol.metadata.clone(),
            ..Default::default()
        };
        ClassicMemberMetadata {
            session_timeout_ms: self.session_timeout_ms,
            supported_protocols: self.protocols.iter().map(protocol).collect(),
            ..Default::default()
        }
    }

    /// What it takes in memory, about.
    pub fn bytes(&self) -> usize {
        self.protocols.iter().map(|protocol| ENTRY_BYTES + protocol.name.len() + protocol.metadata.len()).sum()
    }

    pub fn session_timeout(&self) -> Duration {
        milliseconds(self.session_timeout_ms)
    }

    /// The one it is told of.
    fn first(&self) -> &Protocol {
        self.protocols.first().expect("a classic member offers a protocol")
    }

    fn offers(&self, name: &str) -> bool {
        self.protocols.iter().any(|offered| offered.name.as_str() == name)
    }
}

impl ConsumerGroup {
    pub(in crate::group) fn classic_members(&self) -> impl Iterator<Item = (&Member, &ClassicMember)> {
        self.members.values().filter_map(|member| member.classic.as_ref().map(|classic| (member, classic)))
    }

    /// All classic members must share a protocol, so that the group can become a classic one.
    fn supports(&self, protocol_type: &str, offered: &[JoinGroupRequestProtocol]) -> bool {
        let is_common = |name: &str| self.classic_members().all(|(_, classic)| classic.offers(name));
        protocol_type == CONSUMER && offered.iter().any(|protocol| is_common(&protocol.name))
    }

    /// The classic member that a request means.
    fn classic_member(&self, id: &Str, instance: Option<&Str>) -> Result<(&Member, &ClassicMember), ErrorCode> {
        let member = self.named(id, instance)?;
        let classic = member.classic.as_ref().ok_or(ErrorCode::UnknownMemberId)?;
        Ok((member, classic))
    }

    /// The member of this id; with an instance it must be the instance's.
    fn named(&self, id: &Str, instance: Option<&Str>) -> Result<&Member, ErrorCode> {
        if let Some(instance) = instance {
            let known = self.static_members.get(instance).ok_or(ErrorCode::UnknownMemberId)?;
            if known != id {
                return Err(ErrorCode::FencedInstanceId);
            }
        }
        self.members.get(id).ok_or(ErrorCode::UnknownMemberId)
    }
}
