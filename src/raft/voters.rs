//! Who may vote: a fixed list of ids (kraft.version 0) or a recorded set with directories and endpoints (KIP-853).

use bytes::Bytes;
use odradek_protocol::codec::{DecodeError, Message, Reader, Writer};
use odradek_protocol::messages::VotersRecord;
use odradek_protocol::messages::voters_record;
use odradek_protocol::primitives::Str;
use odradek_shards::types::{NodeId, Offset};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A voter by identity: the directory is zero when only its id is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Voter {
    pub id: NodeId,
    pub directory: Uuid,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoterEndpoint {
    pub listener: Str,
    pub host: Str,
    pub port: u16,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoterSet {
    voters: BTreeMap<NodeId, VoterInfo>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct VoterInfo {
    directory: Uuid,
    endpoints: Vec<VoterEndpoint>,
    /// The kraft.version levels this voter can run.
    kraft_versions: (i16, i16),
}

impl VoterSet {
    /// A static set, as `controller.quorum.voters` gives it.
    pub fn from_ids(ids: impl IntoIterator<Item = NodeId>) -> Self {
        let info = VoterInfo { directory: Uuid::nil(), endpoints: Vec::new(), kraft_versions: (0, 0) };
        Self { voters: ids.into_iter().map(|id| (id, info.clone())).collect() }
    }

    /// The set of a quorum that one node starts alone.
    pub fn standalone(voter: Voter, endpoints: Vec<VoterEndpoint>) -> Self {
        let info = VoterInfo { directory: voter.directory, endpoints, kraft_versions: (0, 1) };
        Self { voters: BTreeMap::from([(voter.id, info)]) }
    }

    pub fn ids(&self) -> impl ExactSizeIterator<Item = NodeId> {
        self.voters.keys().copied()
    }

    pub fn len(&self) -> usize {
        self.voters.len()
    }

    pub fn is_empty(&self) -> bool {
        self.voters.is_empty()
    }

    /// By id, and by directory where the set names one.
    pub fn contains(&self, voter: Voter) -> bool {
        self.voters.get(&voter.id).is_some_and(|info| info.directory.is_nil() || info.directory == voter.directory)
    }

    /// `voter` decides alone.
    pub fn is_only(&self, voter: Voter) -> bool {
        self.len() == 1 && self.contains(voter)
    }

    /// The offset below which a majority holds everything, given how far each voter is; absent voters hold nothing.
    pub fn majority_offset(&self, positions: &BTreeMap<NodeId, Offset>) -> Offset {
        assert!(!self.is_empty(), "a quorum has a voter");
        let mut held: Vec<Offset> = self.ids().map(|id| positions.get(&id).copied().unwrap_or(Offset::ZERO)).collect();
        held.sort_unstable_by(|a, b| b.cmp(a));
        held[held.len() / 2]
    }

    /// The value of a voters control record, version 0.
    pub fn to_record(&self) -> Bytes {
        let voters = self.voters.iter().map(|(id, info)| voters_record::Voter {
            voter_id: id.0,
            voter_directory_id: info.directory,
            endpoints: info.endpoints.iter().map(to_wire).collect(),
            kraft_version_feature: voters_record::KRaftVersionFeature {
                min_supported_version: info.kraft_versions.0,
                max_supported_version: info.kraft_versions.1,
            },
        });
        let record = VotersRecord { version: 0, voters: voters.collect() };
        let mut writer = Writer::new();
        record.encode(&mut writer, 0).expect("a voter set fits its own record");
        writer.into_bytes()
    }

    pub fn from_record(value: Bytes) -> Result<Self, DecodeError> {
        let record = VotersRecord::decode(&mut Reader::new(value), 0)?;
        let voters = record.voters.iter().map(|voter| {
            let feature = &voter.kraft_version_feature;
            let info = VoterInfo {
                directory: voter.voter_directory_id,
                endpoints: voter.endpoints.iter().map(from_wire).collect(),
                kraft_versions: (feature.min_supported_version, feature.max_supported_version),
            };
            (NodeId(voter.voter_id), info)
        });
        Ok(Self { voters: voters.collect() })
    }
}

fn to_wire(endpoint: &VoterEndpoint) -> voters_record::Endpoint {
    voters_record::Endpoint { name: endpoint.listener.clone(), host: endpoint.host.clone(), port: endpoint.port }
}

fn from_wire(endpoint: &voters_record::Endpoint) -> VoterEndpoint {
    VoterEndpoint { listener: endpoint.name.detached(), host: endpoint.host.detached(), port: endpoint.port }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_holds_what_the_middle_voter_holds() {
        let set = |n: i32| VoterSet::from_ids((1..=n).map(NodeId));
        let at = |list: &[(i32, i64)]| list.iter().map(|(id, offset)| (NodeId(*id), Offset(*offset))).collect();
        assert_eq!(set(1).majority_offset(&at(&[(1, 7)])), Offset(7));
        assert_eq!(set(2).majority_offset(&at(&[(1, 7), (2, 5)])), Offset(5));
        assert_eq!(set(3).majority_offset(&at(&[(1, 7), (2, 5), (3, 1)])), Offset(5));
        assert_eq!(set(3).majority_offset(&at(&[(1, 7)])), Offset(0));
        assert_eq!(set(4).majority_offset(&at(&[(1, 7), (2, 6), (3, 5), (4, 4)])), Offset(5));
    }

    #[test]
    fn a_set_without_directories_knows_voters_by_id_alone() {
        let me = Voter { id: NodeId(1), directory: Uuid::from_u128(9) };
        assert!(VoterSet::from_ids([NodeId(1)]).is_only(me));
        assert!(!VoterSet::from_ids([NodeId(1), NodeId(2)]).is_only(me));
        let recorded = VoterSet::standalone(me, Vec::new());
        assert!(recorded.is_only(me));
        assert!(!recorded.contains(Voter { directory: Uuid::from_u128(8), ..me }));
    }
}
