//! One partition's log: its segments in Kafka's files, on the seam of [`crate::runtime`].

mod aborted_read;
mod adopting;
mod append;
mod checkpoint;
mod cleaned_segment;
pub mod cleaner;
mod close;
mod config;
mod delete;
mod disk_read;
mod doomed;
mod error;
mod heat;
mod index;
mod index_file;
mod journaling;
mod leader_epoch;
mod leftovers;
mod limits;
mod loader;
#[allow(clippy::module_inception)] // the room and the type it is about
mod log;
mod lookup;
pub mod names;
mod notes;
mod offset_index;
pub mod open_files;
pub mod partition_metadata;
mod producer_snapshot;
mod producer_state;
mod read;
mod read_ahead;
mod read_pace;
mod records;
mod recovery;
mod reopen;
mod replace;
mod replay;
mod retention;
mod scan;
mod scrub;
mod seal;
mod segment;
mod segment_file;
mod segment_view;
mod segments;
mod tail;
#[cfg(test)]
mod tests;
mod time_index;
mod transaction_index;
mod truncate;
mod waypoint;
mod write;

pub use aborted_read::AbortedRead;
pub use append::Appended;
pub use checkpoint::{
    CLEANED, HIGH_WATERMARKS, LOG_STARTS, Malformed, PartitionOffset, RECOVERY_POINTS, parse_offsets, read_offsets,
    replace_offsets, write_offsets,
};
pub use close::{close, settle, trim, write_back};
pub use config::{CleanupPolicy, Durability, LogConfig};
pub use delete::{Deleted, Deletion, retire};
pub use disk_read::DiskRead;
pub use doomed::Doomed;
pub use error::{AppendError, OpenError, ProducerError, ReadError, StorageError, storage_error};
pub use journaling::{Restored, SyncPoint, Unjournaled};
pub use leader_epoch::{EpochStart, LeaderEpochs};
pub use limits::JOB_BYTES_MAX;
pub use log::{Log, Opening};
pub use lookup::{Lookup, LookupPlan, Search, TimestampOffset};
pub use notes::{Note, Noted};
pub use open_files::OpenFiles;
pub use producer_state::{Admission, ProducerBatch, ProducerState, ProducerStates};
pub use read::ReadPlan;
pub use read_ahead::ReadAhead;
pub use records::Records;
pub use retention::{Breach, Expiry, expired};
pub use scrub::{Damage, SealedSegment};
pub use seal::{Seal, Sealed};
pub use transaction_index::Aborted;
pub use truncate::{Truncated, Truncation};
pub use waypoint::{Marked, Marking, Waypoint};
pub use write::{Write, Written};
