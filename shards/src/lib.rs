//! The engine of one core.

pub mod budget;
pub mod error;
pub mod placement;
pub mod record;
pub mod types;
