//! One replica of a partition as a state machine: `step(now, input, outputs)`; only [`driver`] has effects.

mod answers;
mod delayed;
pub mod driver;
mod input;
mod leader;
mod state;

pub use input::{Arrival, Input, Output, Outputs, Sequence, Ticket, WaitId};
pub use leader::Partition;
pub use state::{Io, State};
