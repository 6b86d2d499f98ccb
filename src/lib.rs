//! The broker around the shards.

pub mod cli;
pub mod config;
pub mod controller;
pub mod metadata;
pub mod server;
