//! Owns what is learnt about a file system before the first real file is opened on it: that it can be written, and the
//! alignment of its direct I/O.
#![allow(unsafe_code)]

use super::explain;
use super::file::File;
use crate::runtime::{BLOCK_BYTES, executor::blocking, ring};
use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Returns the alignment of direct I/O in this directory, after a block was read there.
pub(super) async fn probe(dir: &Path) -> io::Result<usize> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let path = dir.join(format!(".odradek-probe-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    let written = path.clone();
    let alignment = blocking(move || write_probe(&written)).await.map_err(|error| unusable(dir, error))?;
    let read = read_probe(&path, alignment).await;
    let removed = blocking(move || std::fs::remove_file(path)).await;
    read.map_err(|error| no_direct_io(dir, error))?;
    removed.map_err(|error| unusable(dir, error))?;
    Ok(alignment)
}

fn write_probe(path: &PathBuf) -> io::Result<usize> {
    std::fs::write(path, [0; BLOCK_BYTES])?;
    let file = std::fs::File::open(path)?;
    file.sync_all()?;
    Ok(offset_alignment(&file)?.max(BLOCK_BYTES))
}

async fn read_probe(path: &Path, alignment: usize) -> io::Result<()> {
    let at = CString::new(path.as_os_str().as_bytes())?;
    let file = File::new(ring::open(at, libc::O_RDONLY | libc::O_DIRECT, 0).await?, path.to_owned(), alignment)?;
    let read = file.read_at(0, BLOCK_BYTES).await.map(|bytes| bytes.len());
    file.close().await?;
    match read? {
        BLOCK_BYTES => Ok(()),
        short => {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("a block just written reads as {short} bytes")))
        }
    }
}

/// What positions in the file must be multiples of, as the kernel says; 0 when it does not know.
fn offset_alignment(file: &std::fs::File) -> io::Result<usize> {
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the descriptor is open, the path is an empty C string (AT_EMPTY_PATH: stat the descriptor itself), and
    // `found` is writable memory of statx's size that the kernel fills.
    let result = unsafe {
        libc::statx(file.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH, libc::STATX_DIOALIGN, found.as_mut_ptr())
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all-zero bytes are a valid statx (it holds integers only), and the kernel overwrote it on success.
    let found = unsafe { found.assume_init() };
    Ok(found.stx_dio_offset_align as usize)
}

fn unusable(dir: &Path, error: io::Error) -> io::Error {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => "give the user that runs odradek write access, or set log.dirs elsewhere",
        io::ErrorKind::ReadOnlyFilesystem => "mount the file system read-write, or set log.dirs elsewhere",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space, or set log.dirs elsewhere",
        _ => "check the disk, or set log.dirs elsewhere",
    };
    let explained = explain("cannot write to log directory", dir, error);
    io::Error::new(explained.kind(), format!("{explained}; {remedy}"))
}

fn no_direct_io(dir: &Path, error: io::Error) -> io::Error {
    let explained = explain("no direct I/O in log directory", dir, error);
    let remedy = "use a local file system that knows O_DIRECT, such as ext4 or xfs";
    io::Error::new(explained.kind(), format!("{explained}; {remedy}"))
}
