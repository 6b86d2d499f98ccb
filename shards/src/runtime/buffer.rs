//! Owns memory that direct I/O accepts.

use glommio::io::DmaBuffer;
use std::ops::{Deref, DerefMut};

/// Bytes to be written, aligned for the file they were allocated from. Stays on its shard.
///
/// Freshly allocated it is **not zeroed**: it holds arbitrary old bytes (in a memory file: a poison pattern), so
/// overwrite all of it, or [`AlignedBuffer::zero_from`] where your bytes end, before it meets the disk.
pub struct AlignedBuffer(Memory);

enum Memory {
    Dma(DmaBuffer),
    Heap(Vec<u8>),
}

impl AlignedBuffer {
    pub(super) fn dma(buffer: DmaBuffer) -> Self {
        Self(Memory::Dma(buffer))
    }

    pub(super) fn poisoned(len: usize) -> Self {
        Self(Memory::Heap(vec![POISON; len]))
    }

    /// Zeroes everything from `pos` to the end.
    pub fn zero_from(&mut self, pos: usize) {
        self[pos..].fill(0);
    }

    /// Cuts to `len` bytes, which the file's alignment must divide for the buffer to be written.
    pub fn truncate(&mut self, len: usize) {
        assert!(len <= self.len());
        match &mut self.0 {
            Memory::Dma(buffer) => buffer.trim_to_size(len),
            Memory::Heap(bytes) => bytes.truncate(len),
        }
    }

    /// For a write by glommio: `None` for a buffer of another world.
    pub(super) fn into_dma(self) -> Option<DmaBuffer> {
        match self.0 {
            Memory::Dma(buffer) => Some(buffer),
            Memory::Heap(_) => None,
        }
    }
}

/// What "not zeroed" looks like in memory, so that tests see it.
const POISON: u8 = 0xA5;

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Memory::Dma(buffer) => buffer.as_bytes(),
            Memory::Heap(bytes) => bytes,
        }
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Memory::Dma(buffer) => buffer.as_bytes_mut(),
            Memory::Heap(bytes) => bytes,
        }
    }
}
