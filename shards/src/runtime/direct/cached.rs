//! Owns a file as the kernel's page cache shows it, beside the direct descriptor. Direct writes drop the pages they
//! overwrite before they complete, so what is read here after a write has completed is never older than the write.
#![allow(unsafe_code)]

use crate::runtime::executor::blocking;
use bytes::Bytes;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

/// Read only.
#[derive(Clone)]
pub(super) struct Cached(Arc<fs::File>);

impl Cached {
    /// The same file once more. Inline: its inode is in memory.
    pub fn of(direct: BorrowedFd<'_>) -> io::Result<Self> {
        let file = fs::File::open(format!("/proc/self/fd/{}", direct.as_raw_fd()))?;
        Ok(Self(Arc::new(file)))
    }

    /// `len` bytes from memory; `None` when some of them would have to be read from the disk, or lie past the end.
    pub fn at_hand(&self, pos: u64, len: usize) -> Option<Bytes> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            match read_more(&self.0, &mut bytes, len, pos, libc::RWF_NOWAIT) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return None,
            }
        }
        Some(bytes.into())
    }

    /// Up to `len` bytes, which the kernel keeps in memory as long as it has no better use for that; fewer only at the end
    /// of the file.
    pub async fn read(&self, pos: u64, len: usize) -> io::Result<Bytes> {
        let file = self.0.clone();
        blocking(move || {
            let mut bytes = Vec::with_capacity(len);
            while bytes.len() < len && read_more(&file, &mut bytes, len, pos, 0)? > 0 {}
            Ok(bytes.into())
        })
        .await
    }
}

/// Appends what lies behind `bytes`, which were read from `pos` on, until there are `len`. Returns how many came.
fn read_more(file: &fs::File, bytes: &mut Vec<u8>, len: usize, pos: u64, flags: libc::c_int) -> io::Result<usize> {
    let at = libc::off_t::try_from(pos + bytes.len() as u64).map_err(|_| io::ErrorKind::InvalidInput)?;
    let wanted = len - bytes.len();
    let spare = &mut bytes.spare_capacity_mut()[..wanted];
    let room = libc::iovec { iov_base: spare.as_mut_ptr().cast(), iov_len: spare.len() };
    // SAFETY: `file` is open for the length of the call, and `room` is memory of `bytes` that nobody else refers to.
    let read = unsafe { libc::preadv2(file.as_raw_fd(), &raw const room, 1, at, flags) };
    let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has written the first `read` bytes of the spare capacity, at most `wanted`.
    unsafe { bytes.set_len(bytes.len() + read) };
    Ok(read)
}
