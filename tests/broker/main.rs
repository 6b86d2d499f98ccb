//! The broker as a process, asked over the wire: by frames of our own making and by a real client.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

#[path = "../../src/protocol/build/model.rs"]
#[allow(dead_code)]
mod model;
#[path = "../../src/protocol/build/names.rs"]
#[allow(dead_code)]
mod names;
#[path = "../../src/protocol/tests/codec/sample.rs"]
#[allow(dead_code)]
mod sample;
#[path = "../../src/protocol/build/schema.rs"]
#[allow(dead_code)]
mod schema;

mod admin;
mod api_versions;
mod batches;
mod book;
mod configs;
mod drowsing;
mod every_version;
mod fetching;
mod groups;
mod groups_after_crash;
mod harness;
mod hostile;
mod hostile_groups;
mod hostile_heartbeats;
mod kill_nine;
mod ledger;
mod log_dirs;
mod member;
mod metrics;
mod pipelining;
mod producing;
mod rdkafka_client;
mod rdkafka_groups;
mod rdkafka_kills;
mod reader;
mod rebalance_storm;
mod restart;
mod storm;
mod wire;
