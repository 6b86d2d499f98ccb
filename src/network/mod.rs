//! Sockets: accepts connections, cuts their bytes into frames, sends answers in order.
//!
//! Knows no Kafka request: frames go to the [`crate::exchange::Dispatch`] it is given.

mod connection;
mod connections;
mod counts;
mod drowsiness;
mod frames;
mod listener;
mod replies;

pub use connections::{Connections, Settings};
pub use counts::{ConnectionCounts, ConnectionLimits};
pub use listener::{Incoming, accept_loop};
