//! What is refused before any coordinator is asked: empty ids, texts no record holds, timeouts out of bounds.

use super::limits::{ASSIGNMENT_BYTES_MAX, ASSIGNMENTS_MAX, METADATA_BYTES_MAX, PROTOCOLS_MAX, STRING_BYTES_MAX};
use super::request::Request;
use crate::config::BrokerConfig;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{JoinGroupRequest, SyncGroupRequest};
use odradek_protocol::primitives::Str;

impl Request {
    pub fn check(&self, config: &BrokerConfig) -> Result<(), ErrorCode> {
        match self {
            Self::Join { request, .. } => {
                not_empty(&request.group_id)?;
                check_join(request, config)
            }
            Self::Sync(request) => {
                not_empty(&request.group_id)?;
                check_sync(request)
            }
            Self::Heartbeat(request) => not_empty(&request.group_id),
            Self::Leave { group, .. } => not_empty(group),
            Self::DeleteOffsets(request) => not_empty(&request.group_id),
            Self::CommitOffsets { request, .. } => fits(&request.group_id, ErrorCode::InvalidGroupId),
            Self::ConsumerHeartbeat { .. } | Self::DescribeConsumer { .. } => Ok(()),
            Self::FetchOffsets { .. } | Self::DescribeClassic { .. } | Self::List { .. } => Ok(()),
            Self::Delete { .. } | Self::Committed { .. } => Ok(()),
        }
    }
}

fn check_join(request: &JoinGroupRequest, config: &BrokerConfig) -> Result<(), ErrorCode> {
    let groups = &config.groups;
    let allowed = groups.group_min_session_timeout_ms..=groups.group_max_session_timeout_ms;
    if !allowed.contains(&request.session_timeout_ms) {
        return Err(ErrorCode::InvalidSessionTimeout);
    }
    let metadata_bytes: usize = request.protocols.iter().map(|protocol| protocol.metadata.len()).sum();
    if request.protocols.len() > PROTOCOLS_MAX || metadata_bytes > METADATA_BYTES_MAX {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    let names = request.protocols.iter().map(|protocol| &protocol.name);
    let texts = names.chain(&request.group_instance_id).chain([&request.protocol_type, &request.member_id]);
    for text in texts {
        fits(text, ErrorCode::InvalidRequest)?;
    }
    Ok(())
}

/// More than a record can hold is refused as Kafka refuses it.
fn check_sync(request: &SyncGroupRequest) -> Result<(), ErrorCode> {
    let bytes: usize = request.assignments.iter().map(|given| given.assignment.len()).sum();
    if bytes > ASSIGNMENT_BYTES_MAX || request.assignments.len() > ASSIGNMENTS_MAX {
        Err(ErrorCode::UnknownServerError)
    } else {
        Ok(())
    }
}

fn not_empty(group: &Str) -> Result<(), ErrorCode> {
    if group.is_empty() { Err(ErrorCode::InvalidGroupId) } else { fits(group, ErrorCode::InvalidGroupId) }
}

fn fits(text: &Str, error: ErrorCode) -> Result<(), ErrorCode> {
    if text.len() <= STRING_BYTES_MAX { Ok(()) } else { Err(error) }
}
