//! A member of a classic group.

use crate::coordinator::Ticket;
use crate::group::request::Client;
use crate::group::settings::milliseconds;
use bytes::Bytes;
use odradek_protocol::messages::JoinGroupRequest;
use odradek_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use odradek_protocol::primitives::Str;
use std::collections::BTreeSet;
use std::time::Duration;

/// A way to share out the work that a member understands, and its metadata for it, which is the clients' business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub name: Str,
    pub metadata: Bytes,
}

#[derive(Clone, Debug)]
pub struct Member {
    pub id: Str,
    pub instance: Option<Str>,
    pub client: Client,
    pub rebalance_timeout: Duration,
    pub session_timeout: Duration,
    /// In its order of preference.
    pub protocols: Vec<Protocol>,
    pub assignment: Bytes,
    /// A JoinGroup that waits for the others.
    pub joining: Option<Ticket>,
    /// A SyncGroup that waits for the leader's assignment.
    pub syncing: Option<Ticket>,
    /// Has not come through a rebalance yet.
    pub is_new: bool,
}

impl Member {
    pub fn new(id: Str, client: &Client, request: &JoinGroupRequest) -> Self {
        let client = Client { id: client.id.detached(), host: client.host.detached() };
        Self {
            id,
            instance: request.group_instance_id.as_ref().map(Str::detached),
            client,
            rebalance_timeout: rebalance_timeout(request),
            session_timeout: milliseconds(request.session_timeout_ms),
            protocols: protocols(&request.protocols),
            assignment: Bytes::new(),
            joining: None,
            syncing: None,
            is_new: true,
        }
    }

    /// What a later JoinGroup says.
    pub fn update(&mut self, request: &JoinGroupRequest) {
        self.protocols = protocols(&request.protocols);
        self.rebalance_timeout = rebalance_timeout(request);
        self.session_timeout = milliseconds(request.session_timeout_ms);
    }

    pub fn offers(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|offered| offered.name.as_str() == protocol)
    }

    /// Its metadata for the group's protocol.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        let offered = self.protocols.iter().find(|offered| offered.name.as_str() == protocol);
        offered.map(|offered| offered.metadata.clone()).unwrap_or_default()
    }

    /// The one it likes best.
    pub fn vote(&self, candidates: &BTreeSet<Str>) -> &Str {
        let mut offered = self.protocols.iter().map(|protocol| &protocol.name);
        offered.find(|name| candidates.contains(*name)).expect("candidates are offered by every member")
    }

    /// It waits for us, so its silence means nothing. A new one must not wait for ever.
    pub fn is_waiting(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }
}

/// Copies that keep no frame alive; a name counts once.
pub fn protocols(offered: &[JoinGroupRequestProtocol]) -> Vec<Protocol> {
    let mut protocols: Vec<Protocol> = Vec::with_capacity(offered.len());
    for JoinGroupRequestProtocol { name, metadata, .. } in offered {
        if protocols.iter().all(|known| known.name != *name) {
            protocols.push(Protocol { name: name.detached(), metadata: Bytes::copy_from_slice(metadata) });
        }
    }
    protocols
}

/// Version 0 knows one timeout only.
fn rebalance_timeout(request: &JoinGroupRequest) -> Duration {
    match request.rebalance_timeout_ms {
        -1 => milliseconds(request.session_timeout_ms),
        given => milliseconds(given),
    }
}
