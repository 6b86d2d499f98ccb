//! What the cluster is, as every shard reads it: an immutable image, replaced whole when a committed change is published.
//!
//! Records of the metadata log become a [`Delta`] over an [`Image`]; the finished delta gives the next image. The controller replays the
//! same records into an image of its own, so there is one meaning of a record.

pub mod cluster;
pub mod configs;
pub mod delta;
pub mod driver;
pub mod features;
pub mod image;
pub mod kept;
pub mod producer_ids;
pub mod replay;
pub mod shared_map;
pub mod topics;

pub use configs::{ConfigResource, ResourceType};
pub use delta::Delta;
pub use driver::Publisher;
pub use image::{Image, Provenance};
pub use replay::{ReplayError, Replayer};
