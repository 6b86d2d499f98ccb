//! Group coordinators: classic groups, consumer groups (KIP-848) and committed offsets, by partition of `__consumer_offsets`.
//!
//! ```text
//! handlers -> Groups (driver.rs) -> the partition's shard -> GroupMachine (machine.rs)
//!   classic/    JoinGroup, SyncGroup, Heartbeat, LeaveGroup: the state lives in memory, a generation is recorded whole
//!   offsets/    commits, fetches, deletion, expiry: the records are the state
//! ```

mod check;
mod classic;
mod describe;
pub mod driver;
mod group;
mod limits;
mod list;
mod machine;
mod offsets;
mod record;
mod remove;
mod request;
mod settings;
mod timer;

pub use driver::{Berth, Groups, mesh};
pub use machine::GroupMachine;
pub use request::{Client, Reply, Request};
pub use settings::TOPIC;

#[cfg(test)]
mod tests;
