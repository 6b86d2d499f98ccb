//! The real disk: direct I/O through glommio, and name changes on the blocking thread.

mod cached;
mod directory;
mod file;
mod probe;

pub(super) use directory::{Directory, open_log_dir};
pub(super) use file::File;

use super::shortage::explain;
use glommio::GlommioError;
use std::io;

/// The kernel's error under glommio's.
pub(super) fn plain<T>(error: GlommioError<T>) -> io::Error {
    match error {
        GlommioError::IoError(error) | GlommioError::EnhancedIoError { source: error, .. } => error,
        other => other.into(),
    }
}

#[cfg(test)]
mod tests;
