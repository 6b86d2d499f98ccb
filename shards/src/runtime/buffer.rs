//! Owns memory that direct I/O accepts, and the memory of buffers that are gone.
#![allow(unsafe_code)]

use super::BLOCK_BYTES;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;

/// Bytes to be written to a file, or read from one, aligned for direct I/O.
///
/// Freshly allocated it is **not zeroed**: it holds arbitrary old bytes (for a memory file: a poison pattern), so
/// overwrite all of it, or [`AlignedBuffer::zero_from`] where your bytes end, before it meets the disk.
pub struct AlignedBuffer {
    memory: NonNull<u8>,
    /// What was allocated: a multiple of a block.
    capacity: usize,
    len: usize,
}

// SAFETY: it is the only handle of its memory, which any thread may use and free.
unsafe impl Send for AlignedBuffer {}
// SAFETY: a shared reference gives reading access only.
unsafe impl Sync for AlignedBuffer {}

impl AlignedBuffer {
    /// `len` is a multiple of a block and not 0. Its memory may be a former buffer's, which saves touching fresh pages.
    pub(super) fn recycled(len: usize) -> Self {
        let capacity = rounded(len);
        let memory = POOL.with_borrow_mut(|pool| pool.take(capacity)).unwrap_or_else(|| allocate(capacity));
        Self { memory, capacity, len }
    }

    pub(super) fn poisoned(len: usize) -> Self {
        let mut buffer = Self::recycled(len);
        buffer.fill(POISON);
        buffer
    }

    /// Zeroes everything from `pos` to the end.
    pub fn zero_from(&mut self, pos: usize) {
        self[pos..].fill(0);
    }

    /// Cuts to `len` bytes, which the file's alignment must divide for the buffer to be written.
    pub fn truncate(&mut self, len: usize) {
        assert!(len <= self.len);
        self.len = len;
    }
}

/// What "not zeroed" looks like in memory, so that tests see it.
const POISON: u8 = 0xA5;

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `capacity` bytes were allocated, zeroed when they first were, and are ours alone; `len` is within them.
        unsafe { slice::from_raw_parts(self.memory.as_ptr(), self.len) }
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and this borrow is unique.
        unsafe { slice::from_raw_parts_mut(self.memory.as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for AlignedBuffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        let (memory, capacity) = (self.memory, self.capacity);
        // Of the thread that drops it. When that thread is ending it has no pool any more.
        let kept = POOL.try_with(|pool| pool.borrow_mut().put(memory, capacity)).unwrap_or(false);
        if !kept {
            free(memory, capacity);
        }
    }
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { free: [const { Vec::new() }; CLASSES], bytes: 0 }) };
}

/// Memory to be used again, by the power of two of its size.
struct Pool {
    free: [Vec<NonNull<u8>>; CLASSES],
    bytes: usize,
}

/// 4 KiB to 1 MiB; what is larger is allocated each time.
const CLASSES: usize = 9;
const POOLED_BYTES_MAX: usize = BLOCK_BYTES << (CLASSES - 1);
const POOL_BYTES_MAX: usize = 32 << 20;

impl Pool {
    fn take(&mut self, capacity: usize) -> Option<NonNull<u8>> {
        let memory = self.free[class(capacity)?].pop()?;
        self.bytes -= capacity;
        Some(memory)
    }

    fn put(&mut self, memory: NonNull<u8>, capacity: usize) -> bool {
        match class(capacity) {
            Some(class) if self.bytes + capacity <= POOL_BYTES_MAX => {
                self.free[class].push(memory);
                self.bytes += capacity;
                true
            }
            _ => false,
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for (class, free) in self.free.iter_mut().enumerate() {
            free.drain(..).for_each(|memory| self::free(memory, BLOCK_BYTES << class));
        }
    }
}

fn rounded(len: usize) -> usize {
    let power = len.max(BLOCK_BYTES).next_power_of_two();
    if power <= POOLED_BYTES_MAX { power } else { len.next_multiple_of(BLOCK_BYTES) }
}

/// Of a capacity; `None` for one that is not pooled.
fn class(capacity: usize) -> Option<usize> {
    (capacity <= POOLED_BYTES_MAX).then(|| (capacity / BLOCK_BYTES).ilog2() as usize)
}

fn layout(capacity: usize) -> Layout {
    Layout::from_size_align(capacity, BLOCK_BYTES).expect("a buffer is far smaller than the address space")
}

fn allocate(capacity: usize) -> NonNull<u8> {
    assert!(capacity > 0);
    // SAFETY: the layout is not empty.
    let memory = unsafe { alloc_zeroed(layout(capacity)) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout(capacity)))
}

fn free(memory: NonNull<u8>, capacity: usize) {
    // SAFETY: `memory` came from `allocate(capacity)`, and its only owner gives it up.
    unsafe { dealloc(memory.as_ptr(), layout(capacity)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_aligned_and_as_long_as_asked() {
        for len in [4096, 12288, 1 << 20, (1 << 20) + 4096, 9 << 20] {
            let buffer = AlignedBuffer::recycled(len);
            assert_eq!((buffer.len(), buffer.as_ptr() as usize % BLOCK_BYTES), (len, 0));
        }
    }

    #[test]
    fn memory_is_used_again_by_buffers_of_its_size_and_no_others() {
        let first = AlignedBuffer::recycled(12288).as_ptr();
        let (larger, again) = (AlignedBuffer::recycled(1 << 20), AlignedBuffer::recycled(16384));
        assert_eq!(again.as_ptr(), first);
        assert_ne!(larger.as_ptr(), first);
    }

    #[test]
    fn memory_of_an_odd_size_is_no_other_buffers() {
        for len in [(1 << 20) + 4096, (2 << 20) - 4096, 2 << 20] {
            drop(AlignedBuffer::recycled(len));
        }
        POOL.with_borrow(|pool| assert!(pool.bytes == 0 && pool.free.iter().all(Vec::is_empty)));
        assert_eq!(AlignedBuffer::recycled(1 << 20).capacity, 1 << 20);
    }

    #[test]
    fn what_is_kept_to_be_used_again_is_bounded() {
        let buffers: Vec<_> = (0..70).map(|_| AlignedBuffer::recycled(1 << 20)).collect();
        drop(buffers);
        POOL.with_borrow(|pool| assert_eq!(pool.bytes, POOL_BYTES_MAX));
    }

    #[test]
    fn a_buffer_dropped_on_another_thread_is_freed_there() {
        let buffer = AlignedBuffer::poisoned(4096);
        std::thread::spawn(move || assert!(buffer.iter().all(|byte| *byte == POISON))).join().unwrap();
    }
}
