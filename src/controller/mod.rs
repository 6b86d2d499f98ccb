//! The controller: a request yields records and a reply, only replay changes state, the reply waits for commit.
//!
//! [`State`] decides and is pure; one file per subject. Elections beyond "the leader is gone or back" and reassignments are not here yet.

mod appends;
mod brokers;
mod configs;
pub mod directories;
mod driver;
mod features;
mod heartbeats;
mod leadership;
mod partition_change;
mod partitions;
mod placer;
mod producer_ids;
pub mod request;
mod result;
mod state;
mod topic_creation;
mod topic_deletion;
mod topic_name;

pub use driver::{Berth, Controller, ControllerError, mesh};
pub use request::{ControllerReply, ControllerRequest};
pub use result::{Decision, Moment};
pub use state::{Settings, State, bootstrap_features};
pub use topic_name::{collide, validate_topic_name};
