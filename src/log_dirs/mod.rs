//! The log directories as a whole: whose they are, whether they were closed in order, what their checkpoints say.
//!
//! ```text
//! <log.dir>/.lock                              held while the process lives
//!           meta.properties                    cluster.id, node.id, directory.id; written once
//!           .kafka_cleanshutdown               written last at a clean stop, removed first at the next start
//!           recovery-point-offset-checkpoint   below it a log is on stable storage
//!           log-start-offset-checkpoint        below it records are deleted
//!           replication-offset-checkpoint      high watermarks
//!           <topic>-<partition>/               a log
//! ```
//! Every file is Apache Kafka's, byte for byte. Opening blocks, before the shards start; later writes go through the
//! shards' runtime.

mod checkpoints;
mod clean_shutdown;
mod error;
mod files;
mod log_dir;
mod meta_properties;
mod open;
mod table;

pub use checkpoints::{Checkpoint, mark_clean, write_checkpoints};
pub use error::LogDirError;
pub use log_dir::{Home, LogDir, LogDirs, Whereabouts};
pub use open::open;
pub use table::{LogDirRow, LogDirTable};
