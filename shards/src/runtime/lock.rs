//! Owns the lock that keeps two processes off one data directory.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// An exclusive lock on `<directory>/.lock`, held until dropped or the process ends, however it ends.
///
/// It is a record lock over the whole file: the kind Apache Kafka takes on the same file, so neither starts on the
/// other's directory.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

#[derive(Debug, thiserror::Error)]
pub enum LockFault {
    #[error("{} is held by another process: stop it, or set log.dirs to another directory", path.display())]
    Held { path: PathBuf },
    #[error("cannot lock {}: {source}", path.display())]
    Unusable { path: PathBuf, source: io::Error },
}

impl Lock {
    /// Creates the lock file when it is missing. Does not wait. Blocks on the disk: call it before the shards start.
    pub fn acquire(directory: &Path) -> Result<Self, LockFault> {
        let path = directory.join(".lock");
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = match opened {
            Ok(file) => file,
            Err(source) => return Err(LockFault::Unusable { path, source }),
        };
        let whole_file = libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file)) {
            Ok(_) => Ok(Self { _file: file }),
            Err(Errno::EAGAIN | Errno::EACCES) => Err(LockFault::Held { path }),
            Err(errno) => Err(LockFault::Unusable { path, source: errno.into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::executors::tests::TempDir;

    #[test]
    fn a_directory_is_locked_once_at_a_time() {
        let dir = TempDir::new();
        let first = Lock::acquire(dir.path()).unwrap();
        assert!(matches!(Lock::acquire(dir.path()), Err(LockFault::Held { .. })));
        drop(first);
        Lock::acquire(dir.path()).unwrap();
    }

    #[test]
    fn the_fault_names_the_file_and_the_remedy() {
        let dir = TempDir::new();
        let _first = Lock::acquire(dir.path()).unwrap();
        let message = Lock::acquire(dir.path()).unwrap_err().to_string();
        assert!(message.contains(".lock") && message.contains("log.dirs"), "{message}");
    }
}
