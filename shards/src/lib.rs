//! The engine of one core.

pub mod budget;
pub mod clock;
pub mod error;
pub mod limits;
pub mod log;
pub mod mailbox;
pub mod placement;
pub mod record;
pub mod runtime;
pub mod types;
