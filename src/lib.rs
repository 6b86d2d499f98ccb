//! The broker around the shards.

pub mod cli;
pub mod config;
pub mod server;
