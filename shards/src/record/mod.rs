//! Bytes of a record batch (message format v2): reading, checking, building. Knows no file, no partition and no request.

mod attributes;
mod batch;
mod builder;
mod compression;
mod control;
mod crc;
mod deflater;
mod iterator;
mod rebuild;
mod rejected;
mod rules;
mod snappy;
mod validator;
mod varint;
mod visit;
mod walk;
mod zstd_stream;

pub use attributes::{Attributes, Codec, TimestampType};
pub use batch::{Batch, BatchError, BatchHeader, Batches, Corruption, HEADER_LEN, LOG_OVERHEAD, batches};
pub use builder::{BatchBuilder, NewRecord};
pub use compression::Inflater;
pub use control::{ControlRecord, ControlRecordType, EndTransactionMarker};
pub use deflater::deflate;
pub use iterator::{Header, Record, RecordIter};
pub use rejected::{RecordError, Rejected};
pub use rules::{Compression, Origin, Rules};
pub use validator::{ValidBatch, validate};
pub use visit::{Seen, Visitor};
