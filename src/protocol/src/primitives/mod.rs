//! The types of fields that Rust has no type for.

mod record_bytes;
mod str;

pub use bytes::Bytes;
pub use record_bytes::Records;
pub use uuid::Uuid;

pub use self::str::Str;
