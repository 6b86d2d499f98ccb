//! The real disk: direct I/O through the ring, and name changes on the blocking threads.

mod cached;
mod directory;
mod file;
mod probe;

pub(super) use directory::{Directory, open_log_dir};
pub(super) use file::File;

use super::shortage::explain;

#[cfg(test)]
mod tests;
