//! What a replica must never forget: the newest epoch it knows and whom it voted for. The `quorum-state` file.

use super::voters::{Voter, VoterSet};
use odradek_shards::log::partition_metadata::{from_base64, to_base64};
use odradek_shards::types::{LeaderEpoch, NodeId, TopicId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub const FILE_NAME: &str = "quorum-state";
/// A file of this many bytes is not ours.
pub const FILE_BYTES_MAX: usize = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionState {
    pub epoch: LeaderEpoch,
    pub leader: Option<NodeId>,
    pub voted: Option<Voter>,
}

#[derive(Debug, thiserror::Error)]
pub enum ElectionStateError {
    #[error("quorum-state is not the JSON it should be: {0}")]
    Json(#[from] serde_json::Error),
    #[error("quorum-state has data_version {0}; 0 and 1 are known")]
    UnknownVersion(i16),
}

impl ElectionState {
    /// Of a replica that has seen no epoch yet.
    pub const NEW: Self = Self { epoch: LeaderEpoch(0), leader: None, voted: None };

    pub fn with_vote(epoch: LeaderEpoch, voted: Voter) -> Self {
        Self { epoch, leader: None, voted: Some(voted) }
    }

    pub fn with_leader(epoch: LeaderEpoch, leader: NodeId) -> Self {
        Self { epoch, leader: Some(leader), voted: None }
    }

    /// One line of JSON: `data_version` 1 (Kafka 4.x) when the quorum runs kraft.version 1, else 0, which names the voters.
    pub fn format(&self, kraft_version: i16, voters: &VoterSet) -> Vec<u8> {
        let leader_id = self.leader.map_or(-1, |leader| leader.0);
        let voted_id = self.voted.map_or(-1, |voted| voted.id.0);
        let text = if kraft_version >= 1 {
            let directory = self.voted.map_or(Uuid::nil(), |voted| voted.directory);
            serde_json::to_vec(&Version1 {
                leader_id,
                leader_epoch: self.epoch.0,
                voted_id,
                voted_directory_id: to_base64(TopicId(directory)),
                data_version: 1,
            })
        } else {
            let current_voters = voters.ids().map(|id| VoterId { voter_id: id.0 }).collect();
            serde_json::to_vec(&Version0 {
                cluster_id: String::new(),
                leader_id,
                leader_epoch: self.epoch.0,
                voted_id,
                applied_offset: 0,
                current_voters,
                data_version: 0,
            })
        };
        text.expect("plain fields always have a JSON form")
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, ElectionStateError> {
        let read: AnyVersion = serde_json::from_slice(bytes)?;
        if !(0..=1).contains(&read.data_version) {
            return Err(ElectionStateError::UnknownVersion(read.data_version));
        }
        let directory = read.voted_directory_id.as_deref().and_then(decode_uuid).unwrap_or(Uuid::nil());
        let voted = (read.voted_id >= 0).then_some(Voter { id: NodeId(read.voted_id), directory });
        let leader = (read.leader_id >= 0).then_some(NodeId(read.leader_id));
        Ok(Self { epoch: LeaderEpoch(read.leader_epoch.max(0)), leader, voted })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version0 {
    cluster_id: String,
    leader_id: i32,
    leader_epoch: i32,
    voted_id: i32,
    applied_offset: i64,
    current_voters: Vec<VoterId>,
    #[serde(rename = "data_version")]
    data_version: i16,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version1 {
    leader_id: i32,
    leader_epoch: i32,
    voted_id: i32,
    voted_directory_id: String,
    #[serde(rename = "data_version")]
    data_version: i16,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VoterId {
    voter_id: i32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyVersion {
    leader_id: i32,
    leader_epoch: i32,
    voted_id: i32,
    voted_directory_id: Option<String>,
    #[serde(rename = "data_version")]
    data_version: i16,
}

fn decode_uuid(text: &str) -> Option<Uuid> {
    from_base64(text).map(|id| id.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KAFKA_0: &str = r#"{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}"#;
    const KAFKA_1: &str =
        r#"{"leaderId":1,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}"#;

    #[test]
    fn both_versions_are_written_as_kafka_writes_them() {
        let state = ElectionState::with_leader(LeaderEpoch(1), NodeId(1));
        let voters = VoterSet::from_ids([NodeId(1)]);
        assert_eq!(String::from_utf8(state.format(0, &voters)).unwrap(), KAFKA_0);
        assert_eq!(String::from_utf8(state.format(1, &voters)).unwrap(), KAFKA_1);
    }

    #[test]
    fn both_versions_are_read_back() {
        let state = ElectionState::with_leader(LeaderEpoch(1), NodeId(1));
        assert_eq!(ElectionState::parse(KAFKA_0.as_bytes()).unwrap(), state);
        assert_eq!(ElectionState::parse(KAFKA_1.as_bytes()).unwrap(), state);
        let voter = Voter { id: NodeId(4), directory: Uuid::from_u128(0x0102_0304) };
        let vote = ElectionState::with_vote(LeaderEpoch(7), voter);
        assert_eq!(ElectionState::parse(&vote.format(1, &VoterSet::default())).unwrap(), vote);
    }

    #[test]
    fn a_version_from_the_future_is_refused() {
        let text = r#"{"leaderId":1,"leaderEpoch":1,"votedId":-1,"data_version":2}"#;
        assert!(matches!(ElectionState::parse(text.as_bytes()), Err(ElectionStateError::UnknownVersion(2))));
        assert!(matches!(ElectionState::parse(b"{}"), Err(ElectionStateError::Json(_))));
    }
}
