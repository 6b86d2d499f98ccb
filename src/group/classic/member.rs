//! A member of a classic group.

use crate::coordinator::Ticket;
use crate::group::request::Client;
use crate::group::settings::milliseconds;
use crate::group::weight::{ENTRY_BYTES, MEMBER_BYTES};
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
    /// Of the last generation, or what it may still have of a consumer group's.
    pub assignment: Bytes,
    /// What a consumer group meant to give it, when the group became a classic one that has to rebalance.
    pub target: Option<Bytes>,
    /// A JoinGroup that waits for the others.
    pub joining: Option<Ticket>,
    /// A SyncGroup that waits for the leader's assignment.
    pub syncing: Option<Ticket>,
    /// Has not come through a rebalance yet.
    pub is_new: bool,
}

/// What a member takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// In memory, about.
    pub held: usize,
    /// In its group's record at most, whichever of its protocols is chosen, but for its assignment.
    pub recorded: usize,
}

/// Numbers and lengths beside the texts of a member in a record.
const RECORDED_BYTES: usize = 48;

impl Size {
    fn of<'a>(texts: [&str; 4], protocols: impl Iterator<Item = (&'a Str, &'a Bytes)>) -> Self {
        let texts: usize = texts.iter().map(|text| text.len()).sum();
        let start = Self { held: MEMBER_BYTES + texts, recorded: RECORDED_BYTES + texts };
        let (all, largest) = protocols.fold((0, 0), |(all, largest), (name, metadata)| {
            (all + ENTRY_BYTES + name.len() + metadata.len(), metadata.len().max(largest))
        });
        Self { held: start.held + all, recorded: start.recorded + largest }
    }

    /// Of a member of this id that joins so.
    pub fn joining(id: &str, client: &Client, request: &JoinGroupRequest) -> Self {
        let instance = request.group_instance_id.as_deref().unwrap_or_default();
        let protocols = request.protocols.iter().map(|protocol| (&protocol.name, &protocol.metadata));
        Self::of([id, instance, &client.id, &client.host], protocols)
    }
}

impl Member {
    pub fn size(&self) -> Size {
        let texts =
            [self.id.as_str(), self.instance.as_deref().unwrap_or_default(), &self.client.id, &self.client.host];
        let size = Size::of(texts, self.protocols.iter().map(|protocol| (&protocol.name, &protocol.metadata)));
        Size { held: size.held + self.assigned_bytes(), ..size }
    }

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
            target: None,
            joining: None,
            syncing: None,
            is_new: true,
        }
    }

    /// What it is told to have.
    pub fn given(&self) -> &Bytes {
        self.target.as_ref().unwrap_or(&self.assignment)
    }

    pub fn assigned_bytes(&self) -> usize {
        self.assignment.len() + self.target.as_ref().map_or(0, Bytes::len)
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

/// Whether these are what it offered before, by the same names and in the same order.
pub fn are_same(known: &[Protocol], offered: &[JoinGroupRequestProtocol]) -> bool {
    let is_first = |at: usize| offered[..at].iter().all(|before| before.name != offered[at].name);
    let distinct = (0..offered.len()).filter(|at| is_first(*at)).map(|at| (&offered[at].name, &offered[at].metadata));
    distinct.eq(known.iter().map(|protocol| (&protocol.name, &protocol.metadata)))
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
