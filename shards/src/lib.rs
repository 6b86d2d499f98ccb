//! The engine of one core.

pub mod types;
