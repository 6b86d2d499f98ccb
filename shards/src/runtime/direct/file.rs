//! Owns a real file opened with `O_DIRECT`.

use super::cached::Cached;
use super::explain;
use crate::runtime::blocks::Blocks;
use crate::runtime::executor::blocking;
use crate::runtime::{AlignedBuffer, ring};
use bytes::Bytes;
use nix::errno::Errno;
use nix::sys::stat::{FileStat, fstat};
use nix::unistd;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;

pub(in crate::runtime) struct File {
    /// Operations in flight have handles, too.
    descriptor: Arc<OwnedFd>,
    path: PathBuf,
    alignment: usize,
    written: Written,
    /// Opened when it is first asked for; `None` when that failed.
    cached: OnceCell<Option<Cached>>,
}

/// Longest single read; a longer one is several at the same time. Very large direct reads have hung in the kernel.
const READ_PART_MAX: usize = 1 << 20;

impl File {
    pub(super) fn new(descriptor: OwnedFd, path: PathBuf, alignment: usize) -> io::Result<Self> {
        let written = Written::of(&fstat(&descriptor)?);
        Ok(Self { descriptor: Arc::new(descriptor), path, alignment, written, cached: OnceCell::new() })
    }

    pub(in crate::runtime) fn alignment(&self) -> usize {
        self.alignment
    }

    pub(in crate::runtime) fn allocate(&self, len: usize) -> AlignedBuffer {
        AlignedBuffer::recycled(len)
    }

    pub(in crate::runtime) async fn write_at(&self, buffer: AlignedBuffer, pos: u64) -> io::Result<()> {
        let len = buffer.len();
        let claim = self.written.blocks.claim(pos, len);
        let written = ring::write(&self.descriptor, buffer, pos).await;
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
        self.read_in_turn(pos, len, READ_PART_MAX, async |_| ()).await
    }

    pub(in crate::runtime) async fn read_in_turn<T>(
        &self,
        pos: u64,
        len: usize,
        part: usize,
        turn: impl AsyncFn(usize) -> T,
    ) -> io::Result<Bytes> {
        if len == 0 {
            return Ok(Bytes::new());
        }
        let skip = (pos % self.alignment as u64) as usize;
        let (first, size) = (pos - skip as u64, (skip + len).next_multiple_of(self.alignment));
        let part = part.next_multiple_of(self.alignment).min(READ_PART_MAX);
        let read = ring::read(&self.descriptor, first, size, part, turn).await;
        let read = read.map_err(|error| self.fault("cannot read", error))?;
        let end = read.len().min(skip + len);
        Ok(read.slice(skip.min(end)..end))
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
        self.cached.get_or_init(|| Cached::of(self.descriptor.as_fd()).ok()).as_ref()
    }

    pub(in crate::runtime) async fn sync(&self) -> io::Result<()> {
        ring::data_sync(&self.descriptor).await.map_err(|error| self.fault("cannot sync", error))
    }

    pub(in crate::runtime) async fn pre_allocate(&self, len: u64) -> io::Result<()> {
        match ring::allocate_space(&self.descriptor, len).await {
            Ok(()) => Ok(()),
            // Not every file system can reserve; the size must be ahead of the writes all the same.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => match self.len()? < len {
                true => self.truncate(len).await,
                false => Ok(()),
            },
            Err(error) => Err(self.fault("cannot allocate space for", error)),
        }
    }

    pub(in crate::runtime) async fn truncate(&self, len: u64) -> io::Result<()> {
        let len = libc::off_t::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        let descriptor = self.descriptor.clone();
        let truncated = blocking(move || unistd::ftruncate(&*descriptor, len)).await;
        truncated.map_err(|errno| self.fault("cannot truncate", errno.into()))
    }

    /// Inline: fstat of an open file on a local disk reads the inode in memory.
    pub(in crate::runtime) fn len(&self) -> io::Result<u64> {
        let found = fstat(&self.descriptor).map_err(|errno: Errno| self.fault("cannot stat", errno.into()))?;
        Ok(found.st_size as u64)
    }

    /// On a blocking thread: the last descriptor of a file that was removed frees its blocks.
    pub(in crate::runtime) async fn close(self) -> io::Result<()> {
        let Self { descriptor, cached, path, .. } = self;
        let closed = blocking(move || {
            drop(cached);
            match Arc::into_inner(descriptor) {
                Some(last) => unistd::close(last),
                // An operation that nobody awaits any more still has it.
                None => Ok(()),
            }
        });
        closed.await.map_err(|errno| explain("cannot close", &path, errno.into()))
    }

    fn fault(&self, what: &str, error: io::Error) -> io::Error {
        explain(what, &self.path, error)
    }
}

/// Device and inode: the same file through whatever name.
type Identity = (u64, u64);

thread_local! {
    static WRITTEN: RefCell<BTreeMap<Identity, Weak<Blocks>>> = const { RefCell::new(BTreeMap::new()) };
}

/// The blocks in flight of one file, shared by all its handles on this shard.
struct Written {
    identity: Identity,
    blocks: Rc<Blocks>,
}

impl Written {
    fn of(file: &FileStat) -> Self {
        let identity = (file.st_dev, file.st_ino);
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
