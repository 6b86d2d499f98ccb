//! The quorum that keeps the metadata log (KRaft: KIP-595, 630, 853): who leads, what is committed.
//!
//! [`Quorum`] decides and is pure; [`Raft`] carries out what it says on a log, a small file and other tasks of shard 0.
//!
//! ```text
//!             one voter: me                   vote durable               leadership durable
//! Unattached ---------------> Candidate(e+1) --------------> (elected) --------------------> Leader(e+1)
//!     ^                                                                                         |
//!     '------------------------------------ Resigned <------------------------------------------'
//! ```
//! With more voters an unattached replica stays so: the exchange of votes and fetches between them is not here yet.

mod accumulator;
pub mod driver;
mod election_state;
mod format;
mod input;
mod leader;
mod log_reader;
mod quorum;
mod snapshot;
mod voters;

pub use accumulator::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, TooLarge};
pub use driver::{AppendError, Raft, RaftError, RaftSettings};
pub use election_state::{ElectionState, ElectionStateError};
pub use format::Formatting;
pub use input::{Input, Moment, Output};
pub use log_reader::{CommittedBatch, Unreadable};
pub use quorum::{LogEnd, Quorum, Role};
pub use snapshot::{Snapshot, SnapshotError, SnapshotId, kraft_version};
pub use voters::{Voter, VoterEndpoint, VoterSet};
