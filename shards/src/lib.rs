//! The engine of one core: partitions, their logs, and the seam to the kernel. Knows no Kafka request, no metadata
//! image and no connection.
//!
//! A shard is a core's executor and all it owns. Shards share nothing; they ask each other by messages of plain values.
//!
//! # A produced batch
//!
//! 1. The connection's shard validates it ([`record::validate`]) and calls the shard that [`placement`] names
//!    ([`Shards::call`] with [`message::Request::Append`], over a [`mailbox`] unless it is the same).
//! 2. The owner's [`shard::Shard`] gives it to its partition at once, in the order of arrival.
//! 3. [`partition::Partition::step`] decides: refused, a repetition, or appended. Then
//!    [`partition::driver`] puts it into the [`log::Log`], in memory, and the request is parked.
//! 4. The [`journal`] of the shard takes what waits of all its partitions along with its next write, synced; what it does
//!    not take is written to the partition's segment, synced if the topic is, one write per partition at a time. When
//!    either is done, the high watermark moves, parked requests are answered and parked fetches hear of bytes. From the
//!    journal, batches reach their segments in the background.
//!
//! # A fetch
//!
//! 1. [`message::Request::Read`] to each owner. Below the high watermark batches come from the log's tail in memory as
//!    slices, or from its segments by direct reads, in a task of their own.
//! 2. When that is less than the client's minimum, [`message::Request::AwaitData`] parks it on each owner until enough
//!    bytes are written, or its time is up; then it reads again.

pub mod budget;
pub mod clock;
pub mod error;
mod handle;
pub mod journal;
pub mod limits;
pub mod log;
pub mod mailbox;
pub mod message;
pub mod partition;
pub mod placement;
pub mod record;
pub mod runtime;
pub mod shard;
pub mod types;

pub use handle::Shards;
