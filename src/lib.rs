//! The broker around the shards.

pub mod config;
pub mod controller;
pub mod metadata;
