//! The broker around the shards.

pub mod config;
