//! The real disk: direct I/O through glommio, and name changes on the blocking thread.

mod cached;
mod directory;
mod file;
mod probe;

pub(super) use directory::{Directory, open_log_dir};
pub(super) use file::File;

use glommio::GlommioError;
use std::io;
use std::path::Path;

/// The same kind of error, with the operation and the path in front.
fn explain(what: &str, path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what} {}: {error}", path.display()))
}

/// The kernel's error under glommio's.
pub(super) fn plain<T>(error: GlommioError<T>) -> io::Error {
    match error {
        GlommioError::IoError(error) | GlommioError::EnhancedIoError { source: error, .. } => error,
        other => other.into(),
    }
}

#[cfg(test)]
mod tests;
