//! Owns what a file can do, on either disk.

use super::shortage::harmless;
use super::{AlignedBuffer, direct, memory};
use bytes::Bytes;
use std::io;
use std::rc::Rc;

/// An open file of this shard, clones of which share one descriptor. It goes past the page cache, but for
/// [`File::read_and_keep`] and [`File::at_hand`].
#[derive(Clone)]
pub struct File(Inner);

#[derive(Clone)]
enum Inner {
    Direct(Rc<direct::File>),
    Memory(Rc<memory::File>),
}

impl File {
    pub(super) fn direct(file: direct::File) -> Self {
        Self(Inner::Direct(Rc::new(file)))
    }

    pub(super) fn memory(file: memory::File) -> Self {
        Self(Inner::Memory(Rc::new(file)))
    }

    /// What positions and lengths of writes must be multiples of: at least [`super::BLOCK_BYTES`].
    pub fn alignment(&self) -> usize {
        match &self.0 {
            Inner::Direct(file) => file.alignment(),
            Inner::Memory(_) => super::BLOCK_BYTES,
        }
    }

    /// Memory for [`File::write_at`], not zeroed; `len` is a multiple of the alignment and not 0.
    pub fn allocate(&self, len: usize) -> AlignedBuffer {
        self.assert_aligned(0, len);
        match &self.0 {
            Inner::Direct(file) => file.allocate(len),
            Inner::Memory(_) => AlignedBuffer::poisoned(len),
        }
    }

    /// Writes the whole buffer, or fails with an unknown part of it written. On a synced file the bytes are on
    /// stable storage when this returns.
    ///
    /// Panics when position or length are unaligned, or when a write of one of its blocks is in flight, through
    /// whichever handle. Don't drop the future: await it in a task of its own.
    pub async fn write_at(&self, buffer: AlignedBuffer, pos: u64) -> io::Result<()> {
        self.assert_aligned(pos, buffer.len());
        match &self.0 {
            Inner::Direct(file) => file.write_at(buffer, pos).await,
            Inner::Memory(file) => file.write_at(&buffer, pos).await,
        }
    }

    /// Reads up to `len` bytes at any position; fewer only at the end of the file.
    pub async fn read_at(&self, pos: u64, len: usize) -> io::Result<Bytes> {
        match &self.0 {
            Inner::Direct(file) => file.read_at(pos, len).await.map_err(harmless),
            Inner::Memory(file) => file.read_at(pos, len).await,
        }
    }

    /// As [`File::read_at`], in parts of about `part` bytes (not 0), each when it has its `turn`, which is dropped when it
    /// is read.
    pub async fn read_in_turn<T>(
        &self,
        pos: u64,
        len: usize,
        part: usize,
        turn: impl AsyncFn(usize) -> T,
    ) -> io::Result<Bytes> {
        match &self.0 {
            Inner::Direct(file) => file.read_in_turn(pos, len, part, turn).await.map_err(harmless),
            Inner::Memory(file) => {
                let _turn = turn(len).await;
                file.read_at(pos, len).await
            }
        }
    }

    /// As [`File::read_at`], from what the kernel keeps in memory since [`File::read_and_keep`]; `None` unless it has all
    /// of it.
    pub fn at_hand(&self, pos: u64, len: usize) -> Option<Bytes> {
        match &self.0 {
            Inner::Direct(file) => file.at_hand(pos, len),
            Inner::Memory(_) => None,
        }
    }

    /// As [`File::read_at`], by way of the page cache, on a blocking thread.
    pub async fn read_and_keep(&self, pos: u64, len: usize) -> io::Result<Bytes> {
        match &self.0 {
            Inner::Direct(file) => file.read_and_keep(pos, len).await.map_err(harmless),
            Inner::Memory(file) => file.read_at(pos, len).await,
        }
    }

    /// Makes all finished writes and the size durable. After an error nothing written since the last good sync may
    /// be believed, however often this is called again.
    pub async fn sync(&self) -> io::Result<()> {
        match &self.0 {
            Inner::Direct(file) => file.sync().await,
            Inner::Memory(file) => file.sync().await,
        }
    }

    /// Reserves space up to `len` bytes; the size grows to `len` (never shrinks) and the new bytes read as zeros.
    pub async fn pre_allocate(&self, len: u64) -> io::Result<()> {
        match &self.0 {
            Inner::Direct(file) => file.pre_allocate(len).await,
            Inner::Memory(file) => file.pre_allocate(len).await,
        }
    }

    /// Sets the size to exactly `len` bytes, aligned or not.
    pub async fn truncate(&self, len: u64) -> io::Result<()> {
        match &self.0 {
            Inner::Direct(file) => file.truncate(len).await,
            Inner::Memory(file) => file.truncate(len).await,
        }
    }

    /// The size in bytes, preallocated ones included.
    pub async fn len(&self) -> io::Result<u64> {
        match &self.0 {
            Inner::Direct(file) => file.len(),
            Inner::Memory(file) => file.len(),
        }
    }

    /// Closes the descriptor unless clones are left, which then keep it.
    pub async fn close(self) -> io::Result<()> {
        match self.0 {
            Inner::Direct(file) => match Rc::try_unwrap(file) {
                Ok(file) => file.close().await,
                Err(_) => Ok(()),
            },
            Inner::Memory(_) => Ok(()),
        }
    }

    fn assert_aligned(&self, pos: u64, len: usize) {
        let alignment = self.alignment();
        let aligned = pos.is_multiple_of(alignment as u64) && len.is_multiple_of(alignment) && len > 0;
        assert!(aligned, "{len} bytes at {pos} are not aligned to {alignment}");
    }
}
