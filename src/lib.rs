//! The broker around the shards.

pub mod cli;
pub mod config;
pub mod console;
pub mod controller;
pub mod coordinator;
pub mod exchange;
pub mod group;
pub mod handlers;
pub mod log_dirs;
pub mod log_limit;
pub mod metadata;
pub mod metrics;
pub mod network;
pub mod raft;
pub mod server;
