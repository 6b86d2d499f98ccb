//! What group and transaction coordinators share: one state machine per partition of an internal topic, on the shard
//! that owns the partition.
//!
//! A request yields records and replies; the records change the state at once, and the replies wait until the records are
//! durable. So whoever sees an uncommitted state hears of it only when it is committed, and when an append fails the
//! state is thrown away and read again from the log. [`Machine`] decides, [`Runtime`] keeps the order, both pure.

pub mod driver;
pub mod java_hash;
mod loader;
pub mod machine;
mod memory;
pub mod runtime;
pub mod timers;

pub use driver::{Asking, Berth, Coordinators, mesh};
pub use machine::{Draft, Machine, Moment, RawRecord, Scene, Source, Ticket, Turn};
pub use runtime::Runtime;
pub use timers::Timers;
