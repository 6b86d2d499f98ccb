//! The engine of one core.

pub mod record;
pub mod types;
