//! Group coordinators: classic groups, consumer groups (KIP-848) and committed offsets, by partition of `__consumer_offsets`.
//!
//! ```text
//! handlers -> Groups (driver.rs) -> the partition's shard -> GroupMachine (machine.rs)
//!   classic/    JoinGroup, SyncGroup, Heartbeat, LeaveGroup: the state lives in memory, a generation is recorded whole
//!   consumer/   ConsumerGroupHeartbeat (KIP-848): every change of the state is a record; assignor/ says who gets what
//!   migration   from one kind to the other, with members of both kinds on the way
//!   offsets/    commits, fetches, deletion, expiry: the records are the state
//! ```

mod assignor;
mod check;
mod classic;
mod classic_requests;
mod consumer;
mod describe;
pub mod driver;
mod embedded;
mod kind;
pub mod lag;
mod limits;
mod list;
mod machine;
mod migration;
mod offsets;
mod record;
mod remove;
mod replay;
mod request;
mod settings;
mod timer;
mod topic_changes;
mod weight;

pub use consumer::validate::validate as validate_heartbeat;
pub use driver::{Berth, Groups, mesh};
pub use lag::{Lag, Lags};
pub use machine::GroupMachine;
pub use request::{Client, Reply, Request};
pub use settings::TOPIC;

#[cfg(test)]
mod tests;
