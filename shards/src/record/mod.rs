//! Bytes of a record batch (message format v2): reading, checking, building. Knows no file, no partition and no request.

mod attributes;
mod batch;
mod builder;
mod compression;
mod control;
mod crc;
mod iterator;
mod rejected;
mod rules;
mod snappy;
mod validator;
mod varint;
mod walk;
mod zstd_stream;

pub use attributes::{Attributes, Codec, TimestampType};
pub use batch::{Batch, BatchError, BatchHeader, Batches, Corruption, HEADER_LEN, LOG_OVERHEAD, batches};
pub use builder::{BatchBuilder, NewRecord};
pub use compression::{Inflater, deflate};
pub use control::{ControlRecord, ControlRecordType, EndTransactionMarker};
pub use iterator::{Header, Record, RecordIter};
pub use rejected::{RecordError, Rejected};
pub use rules::{Compression, Origin, Rules};
pub use validator::{ValidBatch, validate};
