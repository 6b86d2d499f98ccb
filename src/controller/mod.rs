//! The controller: a request yields records and a reply, only replay changes state, the reply waits for commit.

pub mod request;

pub use request::{ControllerReply, ControllerRequest};
