//! What a new quorum begins with: its voters, fixed by configuration or recorded (as `kafka-storage format --standalone` does).

use super::voters::{Voter, VoterEndpoint, VoterSet};
use crate::config::BrokerConfig;
use odradek_protocol::primitives::Str;
use odradek_shards::types::NodeId;
use uuid::Uuid;

/// Controllers listen here unless a listener says otherwise; nothing does yet in a cluster of one.
const CONTROLLER_PORT: u16 = 9093;
const STATIC_VOTERS: &str = "controller.quorum.voters";

/// The quorum a configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Formatting {
    /// `controller.quorum.voters`: kraft.version 0, voters stand in no log.
    Static(VoterSet),
    /// This node alone, recorded with its directory: kraft.version 1.
    Standalone { endpoints: Vec<VoterEndpoint> },
}

impl Formatting {
    /// Static as soon as voters are configured; they are this node alone, since others are refused by `config`.
    pub fn of(config: &BrokerConfig) -> Self {
        let voters = config.settings().value(STATIC_VOTERS).text().unwrap_or_default();
        match voters.trim() {
            "" => Self::Standalone { endpoints: vec![endpoint(config)] },
            _ => Self::Static(VoterSet::from_ids([config.node_id])),
        }
    }

    pub fn kraft_version(&self) -> i16 {
        match self {
            Self::Static(_) => 0,
            Self::Standalone { .. } => 1,
        }
    }

    /// The voters of a log that begins now.
    pub fn voters(&self, node: NodeId, directory: Uuid) -> VoterSet {
        match self {
            Self::Static(voters) => voters.clone(),
            Self::Standalone { endpoints } => VoterSet::standalone(Voter { id: node, directory }, endpoints.clone()),
        }
    }
}

/// Where this controller would be reached.
fn endpoint(config: &BrokerConfig) -> VoterEndpoint {
    let listener = config.listeners.iter().find(|listener| listener.is_controller);
    let host = listener.and_then(|listener| listener.host.clone());
    VoterEndpoint {
        listener: listener.map_or(Str::from_static("CONTROLLER"), |listener| Str::from(listener.name.as_str())),
        host: host.map_or(Str::from_static("localhost"), Str::from),
        port: listener.map_or(CONTROLLER_PORT, |listener| listener.port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_voters_a_node_stands_alone_and_is_recorded() {
        let formatting = Formatting::of(&BrokerConfig::for_tests(""));
        assert_eq!(formatting.kraft_version(), 1);
        let voters = formatting.voters(NodeId(1), Uuid::from_u128(200));
        assert!(voters.is_only(Voter { id: NodeId(1), directory: Uuid::from_u128(200) }));
    }

    #[test]
    fn configured_voters_stand_in_no_log() {
        let config = BrokerConfig::for_tests("node.id=3\ncontroller.quorum.voters=3@localhost:9093");
        assert_eq!(Formatting::of(&config), Formatting::Static(VoterSet::from_ids([NodeId(3)])));
        assert_eq!(Formatting::of(&config).kraft_version(), 0);
    }
}
