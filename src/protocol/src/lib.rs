//! Kafka's wire messages and log records, generated at build time from the field tables in `schemas/`.
//!
//! [`codec`] reads and writes; [`messages`] and [`records`] are the generated structs; [`api`] is the table of requests.
//! Bytes from outside are hostile: decoding never panics and never allocates more than four times the frame and 64 KiB.

pub mod api;
pub mod codec;
pub mod error;
pub mod frame;
pub mod header;
pub mod primitives;
pub mod records;

/// Requests, responses, headers and the records a client may meet, a module each.
pub mod messages {
    include!(concat!(env!("OUT_DIR"), "/messages.rs"));
}

include!(concat!(env!("OUT_DIR"), "/listing.rs"));
