//! The codec against what it does not share a line with: bytes made from the field tables, another codec, and enemies.
// Clippy takes only functions marked as tests for tests.
#![allow(clippy::unwrap_used)]

#[path = "../../build/model.rs"]
#[allow(dead_code)]
mod model;
#[path = "../../build/names.rs"]
#[allow(dead_code)]
mod names;
#[path = "../../build/schema.rs"]
#[allow(dead_code)]
mod schema;

mod allocator;
mod catalogue;
mod golden;
mod hostile;
mod oracle;
mod refusals;
mod round_trip;
mod sample;
mod tables;
mod trial;
