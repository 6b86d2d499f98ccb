//! What a group coordinator is asked, and how it answers: Kafka's own messages, cut down to one group.

use super::classic::{join, sync};
use super::lag::CommittedAt;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::consumer_group_describe_response::DescribedGroup as DescribedConsumerGroup;
use odradek_protocol::messages::describe_groups_response::DescribedGroup;
use odradek_protocol::messages::leave_group_request::MemberIdentity;
use odradek_protocol::messages::list_groups_response::ListedGroup;
use odradek_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use odradek_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use odradek_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatRequest, HeartbeatResponse,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetDeleteRequest, OffsetDeleteResponse, SyncGroupRequest, SyncGroupResponse,
};
use odradek_protocol::messages::{offset_commit_response, offset_delete_response};
use odradek_protocol::primitives::Str;
use std::sync::Arc;

/// Who asks, as its connection tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    pub id: Str,
    /// `/address`, as Java writes it.
    pub host: Str,
}

/// One question about one group. A version is the request's, where the answer depends on it.
#[derive(Clone, Debug)]
pub enum Request {
    Join {
        version: i16,
        client: Client,
        request: JoinGroupRequest,
    },
    Sync(SyncGroupRequest),
    Heartbeat(HeartbeatRequest),
    Leave {
        group: Str,
        members: Vec<MemberIdentity>,
    },
    /// Of topics that exist.
    CommitOffsets {
        version: i16,
        request: Arc<OffsetCommitRequest>,
    },
    FetchOffsets {
        require_stable: bool,
        request: OffsetFetchRequestGroup,
    },
    DeleteOffsets(OffsetDeleteRequest),
    DescribeClassic {
        version: i16,
        group: Str,
    },
    /// Checked by itself already.
    ConsumerHeartbeat {
        client: Client,
        request: ConsumerGroupHeartbeatRequest,
    },
    DescribeConsumer {
        group: Str,
    },
    /// Of the whole partition.
    List {
        states: Vec<Str>,
        types: Vec<Str>,
    },
    Delete {
        group: Str,
    },
    /// Of the whole partition, at most so many.
    Committed {
        max: usize,
    },
}

/// One variant per question.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Join(JoinGroupResponse),
    Sync(SyncGroupResponse),
    Heartbeat(HeartbeatResponse),
    Leave(LeaveGroupResponse),
    CommitOffsets(OffsetCommitResponse),
    FetchOffsets(OffsetFetchResponseGroup),
    DeleteOffsets(OffsetDeleteResponse),
    DescribeClassic(DescribedGroup),
    ConsumerHeartbeat(ConsumerGroupHeartbeatResponse),
    DescribeConsumer(DescribedConsumerGroup),
    List(Result<Vec<ListedGroup>, ErrorCode>),
    Delete(ErrorCode),
    Committed(Vec<CommittedAt>),
}

impl Request {
    /// The answer that is nothing but an error.
    pub fn refusal(&self, error: ErrorCode) -> Reply {
        let error_code = error.code();
        match self {
            Self::Join { request, .. } => join::refusal(request.member_id.clone(), error),
            Self::Sync(_) => sync::refusal(error),
            Self::Heartbeat(_) => Reply::Heartbeat(HeartbeatResponse { error_code, ..Default::default() }),
            Self::Leave { .. } => Reply::Leave(LeaveGroupResponse { error_code, ..Default::default() }),
            Self::CommitOffsets { request, .. } => Reply::CommitOffsets(refuse_commits(request, error)),
            Self::FetchOffsets { request, .. } => {
                let group_id = request.group_id.clone();
                Reply::FetchOffsets(OffsetFetchResponseGroup { group_id, error_code, ..Default::default() })
            }
            Self::DeleteOffsets(_) => Reply::DeleteOffsets(OffsetDeleteResponse { error_code, ..Default::default() }),
            Self::DescribeClassic { group, .. } => {
                Reply::DescribeClassic(DescribedGroup { group_id: group.clone(), error_code, ..Default::default() })
            }
            Self::ConsumerHeartbeat { .. } => {
                Reply::ConsumerHeartbeat(ConsumerGroupHeartbeatResponse { error_code, ..Default::default() })
            }
            Self::DescribeConsumer { group } => Reply::DescribeConsumer(DescribedConsumerGroup {
                group_id: group.clone(),
                error_code,
                ..Default::default()
            }),
            Self::List { .. } => Reply::List(Err(error)),
            Self::Delete { .. } => Reply::Delete(error),
            Self::Committed { .. } => Reply::Committed(Vec::new()),
        }
    }
}

/// A refusal for when no coordinator answers: a large one is made only then.
pub enum Refusal {
    Made(Reply),
    OfCommits(Arc<OffsetCommitRequest>, ErrorCode),
}

impl Refusal {
    pub fn of(request: &Request, error: ErrorCode) -> Self {
        match request {
            Request::CommitOffsets { request, .. } => Self::OfCommits(request.clone(), error),
            other => Self::Made(other.refusal(error)),
        }
    }

    pub fn reply(self) -> Reply {
        match self {
            Self::Made(reply) => reply,
            Self::OfCommits(request, error) => Reply::CommitOffsets(refuse_commits(&request, error)),
        }
    }
}

impl Reply {
    /// The same answer when what it tells of did not become durable. One that is an error already stays as it is.
    pub fn undone(self, error: ErrorCode) -> Self {
        let code = error.code();
        match self {
            Self::Join(reply) if reply.error_code == 0 => join::refusal(reply.member_id, error),
            Self::Sync(reply) if reply.error_code == 0 => sync::refusal(error),
            Self::Heartbeat(reply) if reply.error_code == 0 => {
                Self::Heartbeat(HeartbeatResponse { error_code: code, ..Default::default() })
            }
            Self::Leave(_) => Self::Leave(LeaveGroupResponse { error_code: code, ..Default::default() }),
            Self::CommitOffsets(mut reply) => {
                let partitions = reply.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
                partitions
                    .filter(|partition| partition.error_code == 0)
                    .for_each(|partition| partition.error_code = code);
                Self::CommitOffsets(reply)
            }
            Self::FetchOffsets(reply) if reply.error_code == 0 => Self::FetchOffsets(OffsetFetchResponseGroup {
                group_id: reply.group_id,
                error_code: code,
                ..Default::default()
            }),
            Self::DeleteOffsets(_) => {
                Self::DeleteOffsets(OffsetDeleteResponse { error_code: code, ..Default::default() })
            }
            Self::DescribeClassic(reply) if reply.error_code == 0 => Self::DescribeClassic(DescribedGroup {
                group_id: reply.group_id,
                error_code: code,
                ..Default::default()
            }),
            Self::ConsumerHeartbeat(reply) if reply.error_code == 0 => {
                Self::ConsumerHeartbeat(ConsumerGroupHeartbeatResponse { error_code: code, ..Default::default() })
            }
            Self::DescribeConsumer(reply) if reply.error_code == 0 => Self::DescribeConsumer(DescribedConsumerGroup {
                group_id: reply.group_id,
                error_code: code,
                ..Default::default()
            }),
            Self::List(Ok(_)) => Self::List(Err(error)),
            Self::Delete(ErrorCode::None) => Self::Delete(error),
            told => told,
        }
    }
}

/// The error at every partition.
pub fn refuse_commits(request: &OffsetCommitRequest, error: ErrorCode) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| offset_commit_response::OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(|partition| commit_result(partition.partition_index, error)).collect(),
        ..Default::default()
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

pub fn commit_result(index: i32, error: ErrorCode) -> offset_commit_response::OffsetCommitResponsePartition {
    offset_commit_response::OffsetCommitResponsePartition {
        partition_index: index,
        error_code: error.code(),
        ..Default::default()
    }
}

pub fn delete_result(index: i32, error: ErrorCode) -> offset_delete_response::OffsetDeleteResponsePartition {
    offset_delete_response::OffsetDeleteResponsePartition {
        partition_index: index,
        error_code: error.code(),
        ..Default::default()
    }
}
