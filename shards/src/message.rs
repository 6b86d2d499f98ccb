//! Every message that may cross cores: plain values, one [`Reply`] variant for each [`Request`] variant.
//!
//! A request names partitions by identity; the shard that gets it must own all of them ([`crate::placement`]).
//! Results stand in the order of the parts they answer.

mod metrics;

use crate::error::{AppendError, ChangeError, MoveError, ReadError, Unavailable};
use crate::log::{Aborted, LogConfig, Records};
use crate::record::ValidBatch;
use crate::runtime::Instant;
use crate::types::{LeaderEpoch, Offset, ShardId, Timestamp, TopicPartition};
use std::sync::Arc;
use std::time::Duration;

pub use metrics::{CleanerCounts, JournalMetrics, PartitionMetrics, Quarantined, ScrubCounts, ShardMetrics};

/// What a shard can be asked.
#[derive(Debug)]
pub enum Request {
    /// One validated batch per part; answered when every part is refused or on disk.
    Append {
        parts: Vec<AppendPart>,
    },
    Read(ReadRequest),
    /// Answered once: data, an error, the deadline or a [`Request::CancelAwait`].
    AwaitData(AwaitRequest),
    CancelAwait(AwaitId),
    ListOffsets(Vec<ListOffsetsPart>),
    DeleteRecords(Vec<DeleteRecordsPart>),
    EpochEnd(Vec<EpochEndPart>),
    /// `None` describes every partition of the shard.
    Describe(Option<Vec<TopicPartition>>),
    /// Applied in order; answered when all are done (logs opened, directories renamed).
    Change(Vec<PartitionChange>),
    /// What the shard tells whoever watches the broker.
    Metrics,
    /// The offsets that a log directory's checkpoint files record.
    Checkpoint,
    /// How its logs are compacted from now on.
    Cleaner(CleanerSettings),
    /// The logs there have been opened after a crash, and their file system has been synced since: what they found may be
    /// noted. Answered when it is; from then on nobody needs the notes of the run before.
    Synced(LogDirIndex),
    /// Bytes per second that moves between log directories may copy from now on.
    MoveRate(f64),
    /// Answered when there is something to tell the broker; asked again after each answer.
    News,
    /// To another log directory, in the background; to the one where it lies, if it is on its way elsewhere.
    Move(Vec<MovePart>),
    /// The answer to [`News::Assign`].
    Assigned {
        partition: TopicPartition,
        is_recorded: bool,
    },
    /// The directory failed on another shard: nothing in it is served any more.
    FailLogDir(LogDirIndex),
    /// No request is served after it; answered when every log is closed, with what [`Request::Checkpoint`] answers.
    Shutdown,
}

/// What a shard answers.
#[derive(Debug)]
pub enum Reply {
    Append(Vec<AppendResult>),
    Read(Vec<ReadResult>),
    AwaitData(Awaited),
    CancelAwait,
    ListOffsets(Vec<ListOffsetsResult>),
    DeleteRecords(Vec<DeleteRecordsResult>),
    EpochEnd(Vec<EpochEndResult>),
    Describe(Vec<Description>),
    Metrics(Box<ShardMetrics>),
    Change(Vec<Result<(), ChangeError>>),
    Checkpoint(Vec<PartitionCheckpoint>),
    Cleaner,
    Synced,
    MoveRate,
    News(News),
    Move(Vec<Result<(), MoveError>>),
    Assigned,
    FailLogDir,
    Shutdown(Vec<PartitionCheckpoint>),
    /// The shard has shut down, or its mailbox is gone.
    Closed,
}

/// What a shard has to tell the broker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// A read, write or sync failed there. On this shard the directory is offline already.
    LogDirFailed { log_dir: LogDirIndex, cause: String },
    /// The controller is to record that the partition lies there; [`Request::Assigned`] is waited for.
    /// `log_start` must be durable there before.
    Assign { partition: TopicPartition, topic: Arc<str>, log_dir: LogDirIndex, log_start: Offset },
    /// It lies there now.
    Moved { partition: TopicPartition, topic: Arc<str>, log_dir: LogDirIndex },
}

#[derive(Clone, Copy, Debug)]
pub struct MovePart {
    pub partition: TopicPartition,
    pub to: LogDirIndex,
    /// A copy may be begun: no log directory is offline in which there could be one already.
    pub may_begin: bool,
}

/// `log.cleaner.*`, as far as they are one shard's.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CleanerSettings {
    pub enabled: bool,
    /// Between two looks when nothing was dirty enough.
    pub backoff: Duration,
    /// Bytes of the map of keys.
    pub map_bytes: usize,
    /// How full it may get.
    pub load_factor: f64,
    /// Bytes read and written.
    pub bytes_per_second: f64,
}

impl Default for CleanerSettings {
    /// Kafka's, of a broker with one shard.
    fn default() -> Self {
        Self {
            enabled: true,
            backoff: Duration::from_secs(15),
            map_bytes: 128 << 20,
            load_factor: 0.9,
            bytes_per_second: f64::MAX,
        }
    }
}

/// `acks` of a Produce request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acks {
    /// 0: the client reads no response; the reply here still comes, and an error in it closes the connection.
    None,
    /// 1: the leader has written it.
    Leader,
    /// -1: every in-sync replica has it.
    All,
}

#[derive(Clone, Debug)]
pub struct AppendPart {
    pub partition: TopicPartition,
    pub batch: ValidBatch,
    /// Refused when the partition is at another epoch (KIP-951 clients, replication); `None` asks for no check.
    pub leader_epoch_expected: Option<LeaderEpoch>,
    pub acks: Acks,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppendOk {
    pub base_offset: Offset,
    /// `Timestamp::NONE` unless the topic stamps LogAppendTime.
    pub log_append_time: Timestamp,
    pub log_start_offset: Offset,
}

pub type AppendResult = Result<AppendOk, AppendError>;

/// `isolation_level` of a Fetch or ListOffsets request (KIP-98).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Isolation {
    #[default]
    ReadUncommitted,
    ReadCommitted,
}

#[derive(Debug)]
pub struct ReadRequest {
    pub parts: Vec<ReadPart>,
    /// Bytes for all parts together, spent in their order.
    pub max_bytes: usize,
    /// The first part with data returns one whole batch even if it is larger than both limits (KIP-74).
    pub min_one: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct ReadPart {
    pub partition: TopicPartition,
    pub from: Offset,
    pub max_bytes: usize,
    pub current_leader_epoch: Option<LeaderEpoch>,
    /// Epoch of the last record the reader has, to detect that its log went another way (KIP-595).
    pub last_fetched_epoch: Option<LeaderEpoch>,
    pub isolation: Isolation,
}

#[derive(Clone, Debug)]
pub struct ReadOk {
    pub records: Records,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start_offset: Offset,
    /// Where the reader's log parts from ours; `records` is empty then.
    pub diverging: Option<EpochEnd>,
    /// With `read_committed`: aborted transactions that touch the records, ordered by their markers.
    pub aborted: Vec<Aborted>,
}

pub type ReadResult = Result<ReadOk, ReadError>;

/// Names a parked [`AwaitRequest`]; unique over all shards ([`crate::Shards::next_await_id`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AwaitId {
    pub origin: ShardId,
    pub number: u64,
}

/// Asks to be told when readable bytes lie at or past the given offsets.
#[derive(Debug)]
pub struct AwaitRequest {
    pub id: AwaitId,
    /// The next offset to read of each partition, after what was read already.
    pub parts: Vec<(TopicPartition, Offset)>,
    /// Bytes over all parts together; 0 counts as 1.
    pub min_bytes: usize,
    pub isolation: Isolation,
    pub until: Instant,
}

/// Why an [`AwaitRequest`] was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Awaited {
    /// Enough bytes, or an error that the next read will report: read again.
    Ready,
    Expired,
    Cancelled,
}

/// What `timestamp` of a ListOffsets request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OffsetQuery {
    /// -1: the end of what the isolation level lets be read.
    Latest,
    /// -2: the log start offset.
    Earliest,
    /// -3: the record with the largest timestamp (KIP-734).
    MaxTimestamp,
    /// -4: the first offset on local disk (KIP-405).
    EarliestLocal,
    /// -5: the last offset in tiered storage (KIP-1005); none here.
    LatestTiered,
    /// The first record at or after this time.
    At(Timestamp),
}

#[derive(Clone, Copy, Debug)]
pub struct ListOffsetsPart {
    pub partition: TopicPartition,
    pub query: OffsetQuery,
    pub current_leader_epoch: Option<LeaderEpoch>,
    pub isolation: Isolation,
}

/// `None` fields are Kafka's -1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ListedOffset {
    pub timestamp: Option<Timestamp>,
    pub offset: Option<Offset>,
    pub leader_epoch: Option<LeaderEpoch>,
}

pub type ListOffsetsResult = Result<ListedOffset, Unavailable>;

#[derive(Clone, Copy, Debug)]
pub struct DeleteRecordsPart {
    pub partition: TopicPartition,
    /// Records below this offset go; `None` is the high watermark (-1 on the wire).
    pub before: Option<Offset>,
}

/// The new log start offset ("low watermark" on the wire).
pub type DeleteRecordsResult = Result<Offset, ReadError>;

#[derive(Clone, Copy, Debug)]
pub struct EpochEndPart {
    pub partition: TopicPartition,
    pub current_leader_epoch: Option<LeaderEpoch>,
    pub leader_epoch: LeaderEpoch,
}

/// The largest epoch not above the one asked for, and the offset where it ends (KIP-101).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochEnd {
    pub leader_epoch: LeaderEpoch,
    pub end_offset: Offset,
}

/// `Ok(None)`: no such epoch in this log.
pub type EpochEndResult = Result<Option<EpochEnd>, Unavailable>;

/// One partition's sizes and offsets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    pub partition: TopicPartition,
    pub topic: Arc<str>,
    pub log_dir: LogDirIndex,
    /// Bytes of all segments, as far as they hold records.
    pub size: u64,
    pub leader_epoch: LeaderEpoch,
    pub log_start_offset: Offset,
    pub high_watermark: Offset,
    pub log_end_offset: Offset,
    /// A write failed: appends are refused until the process starts again.
    pub offline: bool,
    /// Its copy on the way to another log directory.
    pub future: Option<FutureDescription>,
}

/// A partition's copy on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FutureDescription {
    pub log_dir: LogDirIndex,
    pub size: u64,
    /// Offsets it is behind.
    pub lag: i64,
}

/// What the checkpoint files of a log directory say of one partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionCheckpoint {
    pub partition: TopicPartition,
    pub topic: Arc<str>,
    pub log_dir: LogDirIndex,
    /// Everything below it is on stable storage (`recovery-point-offset-checkpoint`).
    pub recovery_point: Offset,
    /// `log-start-offset-checkpoint`.
    pub log_start_offset: Offset,
    /// `replication-offset-checkpoint`.
    pub high_watermark: Offset,
    /// `cleaner-offset-checkpoint`; of a compacted topic.
    pub cleaned: Option<Offset>,
    /// False after a write error, or when the log could not be closed: the directory must not be marked clean.
    pub sound: bool,
}

/// Which of the shard's log directories, in the order of `log.dirs`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct LogDirIndex(pub u16);

/// A step from one metadata image to the next, as far as a shard must act on it.
#[derive(Debug)]
pub enum PartitionChange {
    Open(OpenPartition),
    Reconfigure {
        partition: TopicPartition,
        config: Arc<LogConfig>,
    },
    /// We lead it at a new epoch.
    LeaderEpoch {
        partition: TopicPartition,
        epoch: LeaderEpoch,
    },
    /// Its topic is gone: answered when the directory is renamed, the files go later.
    Delete {
        partition: TopicPartition,
    },
    /// It lies in a log directory that cannot be used: requests hear of it.
    Absent {
        partition: TopicPartition,
    },
    /// Remove a directory that a past run had renamed for deletion (`*-delete`), or one that is to be.
    Discard {
        log_dir: LogDirIndex,
        name: String,
    },
}

/// Opens a partition's log, or creates it.
#[derive(Clone, Debug)]
pub struct OpenPartition {
    pub partition: TopicPartition,
    /// Name of the topic, for the directory's name.
    pub topic: Arc<str>,
    pub log_dir: LogDirIndex,
    pub config: Arc<LogConfig>,
    pub leader_epoch: LeaderEpoch,
    /// The log directory was closed in order (`.kafka_cleanshutdown`): no scan is needed.
    pub clean: bool,
    /// From `recovery-point-offset-checkpoint`; 0 when not listed.
    pub recovery_point: Offset,
    /// From `log-start-offset-checkpoint`; 0 when not listed.
    pub log_start: Offset,
    /// From `cleaner-offset-checkpoint`; 0 when not listed.
    pub cleaned: Offset,
    /// Its log is complete in this directory of `log_dir`, which gets the partition's name first.
    pub promote: Option<String>,
    /// A copy on its way that goes on: its log directory, and the name of its own.
    pub future: Option<(LogDirIndex, String)>,
}
