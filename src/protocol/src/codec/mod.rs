//! How values become bytes and bytes values: the parts the generated code is written in.

mod error;
mod message;
mod reader;
mod writer;

pub use error::{DecodeError, EncodeError};
pub use message::{Element, Message};
pub use reader::{ALLOCATION_SLACK, ARRAY_ELEMENTS_MAX, Reader, TAGS_MAX, Tags};
pub use writer::Writer;
