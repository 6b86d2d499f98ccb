//! Owns a real file opened with `O_DIRECT`.
#![allow(unsafe_code)]

use super::cached::Cached;
use super::{explain, plain};
use crate::runtime::AlignedBuffer;
use crate::runtime::blocks::Blocks;
use crate::runtime::yield_now;
use bytes::{Bytes, BytesMut};
use futures_util::future::join_all;
use glommio::GlommioError;
use glommio::io::DmaFile;
use nix::errno::Errno;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;
use std::rc::{Rc, Weak};

pub(in crate::runtime) struct File {
    dma: DmaFile,
    path: PathBuf,
    alignment: usize,
    written: Written,
    /// Opened when it is first asked for; `None` when that failed.
    cached: OnceCell<Option<Cached>>,
}

/// Longest single read; a longer one is several at the same time. Very large direct reads have hung in the kernel.
const READ_BYTES_MAX: usize = 1 << 20;

impl File {
    pub(super) fn new(dma: DmaFile, path: PathBuf, alignment: usize) -> Self {
        let written = Written::of(&dma);
        Self { dma, path, alignment, written, cached: OnceCell::new() }
    }

    pub(in crate::runtime) fn alignment(&self) -> usize {
        self.alignment
    }

    pub(in crate::runtime) fn allocate(&self, len: usize) -> AlignedBuffer {
        AlignedBuffer::dma(self.dma.alloc_dma_buffer(len))
    }

    pub(in crate::runtime) async fn write_at(&self, buffer: AlignedBuffer, pos: u64) -> io::Result<()> {
        let len = buffer.len();
        let buffer = buffer.into_dma().expect("a buffer is written to the disk it was allocated for");
        let claim = self.written.blocks.claim(pos, len);
        let written = self.dma.write_at(buffer, pos).await;
        claim.finish();
        match written.map_err(|error| self.fault("cannot write to", error))? {
            whole if whole == len => Ok(()),
            // The kernel stops short when it runs out of space; asking for the rest would say so.
            short => Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!("cannot write to {}: {short} of {len} bytes fitted", self.path.display()),
            )),
        }
    }

    pub(in crate::runtime) async fn read_at(&self, pos: u64, len: usize) -> io::Result<Bytes> {
        let skip = (pos % self.alignment as u64) as usize;
        let (first, size) = (pos - skip as u64, (skip + len).next_multiple_of(self.alignment));
        let parts = (0..size).step_by(READ_BYTES_MAX).map(|at| (at, READ_BYTES_MAX.min(size - at)));
        let reads = parts.clone().map(|(at, part)| self.dma.read_at_aligned(first + at as u64, part));
        let mut bytes = BytesMut::with_capacity(len);
        for (read, (at, part)) in join_all(reads).await.into_iter().zip(parts) {
            if at > 0 {
                // Copying takes its time.
                yield_now().await;
            }
            let read = read.map_err(|error| self.fault("cannot read", error))?;
            let (from, to) = (skip.saturating_sub(at), read.len().min((skip + len).saturating_sub(at)));
            bytes.extend_from_slice(read.get(from..to).unwrap_or_default());
            // The end of the file.
            if read.len() < part {
                break;
            }
        }
        Ok(bytes.freeze())
    }

    pub(in crate::runtime) fn at_hand(&self, pos: u64, len: usize) -> Option<Bytes> {
        self.cached()?.at_hand(pos, len)
    }

    pub(in crate::runtime) async fn read_and_keep(&self, pos: u64, len: usize) -> io::Result<Bytes> {
        match self.cached() {
            Some(cached) => cached.read(pos, len).await.map_err(|error| explain("cannot read", &self.path, error)),
            None => self.read_at(pos, len).await,
        }
    }

    fn cached(&self) -> Option<&Cached> {
        self.cached.get_or_init(|| Cached::of(self.descriptor()).ok()).as_ref()
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: `dma` owns the descriptor and is borrowed for as long as this borrow of it lives.
        unsafe { BorrowedFd::borrow_raw(self.dma.as_raw_fd()) }
    }

    pub(in crate::runtime) async fn sync(&self) -> io::Result<()> {
        self.dma.fdatasync().await.map_err(|error| self.fault("cannot sync", error))
    }

    pub(in crate::runtime) async fn pre_allocate(&self, len: u64) -> io::Result<()> {
        match self.dma.pre_allocate(len, false).await.map_err(plain) {
            Ok(()) => Ok(()),
            // Not every file system can reserve; the size must be ahead of the writes all the same.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => match self.len()? < len {
                true => self.truncate(len).await,
                false => Ok(()),
            },
            Err(error) => Err(explain("cannot allocate space for", &self.path, error)),
        }
    }

    pub(in crate::runtime) async fn truncate(&self, len: u64) -> io::Result<()> {
        self.dma.truncate(len).await.map_err(|error| self.fault("cannot truncate", error))
    }

    /// Inline: fstat of an open file on a local disk reads the inode in memory.
    pub(in crate::runtime) fn len(&self) -> io::Result<u64> {
        let found = nix::sys::stat::fstat(self.descriptor())
            .map_err(|errno: Errno| explain("cannot stat", &self.path, errno.into()))?;
        Ok(found.st_size as u64)
    }

    pub(in crate::runtime) async fn close(self) -> io::Result<()> {
        let path = self.path;
        self.dma.close().await.map_err(|error| explain("cannot close", &path, plain(error)))
    }

    fn fault(&self, what: &str, error: GlommioError<()>) -> io::Error {
        explain(what, &self.path, plain(error))
    }
}

/// Device and inode: the same file through whatever name.
type Identity = (u32, u32, u64);

thread_local! {
    static WRITTEN: RefCell<BTreeMap<Identity, Weak<Blocks>>> = const { RefCell::new(BTreeMap::new()) };
}

/// The blocks in flight of one file, shared by all its handles on this shard.
struct Written {
    identity: Identity,
    blocks: Rc<Blocks>,
}

impl Written {
    fn of(dma: &DmaFile) -> Self {
        let identity = (dma.dev_major(), dma.dev_minor(), dma.inode());
        WRITTEN.with_borrow_mut(|written| {
            if let Some(blocks) = written.get(&identity).and_then(Weak::upgrade) {
                return Self { identity, blocks };
            }
            let blocks = Rc::new(Blocks::default());
            written.insert(identity, Rc::downgrade(&blocks));
            Self { identity, blocks }
        })
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if Rc::strong_count(&self.blocks) == 1 {
            WRITTEN.with_borrow_mut(|written| written.remove(&self.identity));
        }
    }
}
