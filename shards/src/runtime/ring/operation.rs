//! Owns what files and sockets ask of the ring, each as a future.
#![allow(unsafe_code)]

use super::executor::current;
use super::submission::{Keep, Key, Memory};
use crate::runtime::AlignedBuffer;
use bytes::Bytes;
use futures_util::future::join_all;
use io_uring::squeue::Entry;
use io_uring::{opcode, types};
use std::ffi::CString;
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Opens a file; `flags` and `mode` as open(2) has them.
pub(in crate::runtime) async fn open(path: CString, flags: i32, mode: libc::mode_t) -> io::Result<OwnedFd> {
    let entry =
        opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr()).flags(flags | libc::O_CLOEXEC).mode(mode).build();
    // SAFETY: the entry refers to the path, whose bytes stay where they are when it moves.
    let result = unsafe { Operation::start(entry, None, Memory::Path(path)) }.await;
    let descriptor = checked(result)?;
    // SAFETY: the kernel has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as i32) })
}

/// Writes the buffer and returns how much of it was written.
pub(in crate::runtime) async fn write(file: &Arc<OwnedFd>, buffer: AlignedBuffer, pos: u64) -> io::Result<usize> {
    let len = u32::try_from(buffer.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let entry = opcode::Write::new(types::Fd(file.as_raw_fd()), buffer.as_ptr(), len).offset(pos).build();
    // SAFETY: the entry refers to the buffer's memory, which stays where it is when it moves, and is ours alone.
    checked(unsafe { Operation::start(entry, Some(file.clone()), Memory::Buffer(buffer)) }.await)
}

/// Reads `len` bytes from `pos` on, both aligned as the file wants it, in parts of `part` bytes at the same time, each
/// when it has its `turn`, which it keeps until it is done. Fewer only at the end of the file.
pub(in crate::runtime) async fn read<T>(
    file: &Arc<OwnedFd>,
    pos: u64,
    len: usize,
    part: usize,
    turn: impl AsyncFn(usize) -> T,
) -> io::Result<Bytes> {
    let mut buffer = AlignedBuffer::recycled(len);
    let memory = buffer.as_mut_ptr();
    let buffer = Rc::new(buffer);
    let parts = (0..len).step_by(part).map(|at| {
        let (size, pos) = (part.min(len - at), pos + at as u64);
        // SAFETY: the part begins within the buffer.
        let room = unsafe { memory.add(at) };
        let entry = opcode::Read::new(types::Fd(file.as_raw_fd()), room, size as u32).offset(pos).build();
        let (buffer, turn) = (buffer.clone(), &turn);
        async move {
            let turn = turn(size).await;
            // SAFETY: the entry refers to a part of the buffer, and no two of them overlap. The operations keep the
            // buffer, and nobody looks at its bytes before the last of them is done.
            let done = unsafe { Operation::start(entry, Some(file.clone()), Memory::Shared(buffer)) }.await;
            drop(turn);
            done
        }
    });
    let parts: Vec<_> = parts.collect();
    let mut read = 0;
    for (nth, result) in join_all(parts).await.into_iter().enumerate() {
        let got = checked(result)?;
        // What comes behind a short part is past the end.
        if read == nth * part {
            read += got;
        }
    }
    let buffer = Rc::into_inner(buffer).expect("an operation lets go of its memory when it is done");
    Ok(Bytes::from_owner(buffer).slice(..read))
}

/// fdatasync(2).
pub(in crate::runtime) async fn data_sync(file: &Arc<OwnedFd>) -> io::Result<()> {
    let entry = opcode::Fsync::new(types::Fd(file.as_raw_fd())).flags(types::FsyncFlags::DATASYNC).build();
    // SAFETY: the entry refers to no memory.
    checked(unsafe { Operation::start(entry, Some(file.clone()), Memory::Nothing) }.await).map(drop)
}

/// fallocate(2): reserves space up to `len` bytes, which become the size when it was less.
pub(in crate::runtime) async fn allocate_space(file: &Arc<OwnedFd>, len: u64) -> io::Result<()> {
    let entry = opcode::Fallocate::new(types::Fd(file.as_raw_fd()), len).build();
    // SAFETY: the entry refers to no memory.
    checked(unsafe { Operation::start(entry, Some(file.clone()), Memory::Nothing) }.await).map(drop)
}

/// Waits until the socket takes bytes, or has failed.
pub(in crate::runtime) async fn writable(socket: &Arc<OwnedFd>) -> io::Result<()> {
    poll(socket, libc::POLLOUT).await
}

/// Waits until there is something to read, or it has failed.
pub(super) async fn readable(file: &Arc<OwnedFd>) -> io::Result<()> {
    poll(file, libc::POLLIN).await
}

async fn poll(file: &Arc<OwnedFd>, events: libc::c_short) -> io::Result<()> {
    let entry = opcode::PollAdd::new(types::Fd(file.as_raw_fd()), events as u32).build();
    // SAFETY: the entry refers to no memory.
    let mut operation = unsafe { Operation::start(entry, Some(file.clone()), Memory::Nothing) };
    operation.endless = true;
    checked(operation.await).map(drop)
}

/// The outcome of an operation. Dropped early the operation goes on, unless it could wait for ever.
struct Operation {
    key: Option<Key>,
    endless: bool,
}

impl Operation {
    /// # Safety
    ///
    /// As [`super::submission::Ring::start`].
    unsafe fn start(entry: Entry, file: Option<Arc<OwnedFd>>, memory: Memory) -> Self {
        // SAFETY: by this function's own contract.
        let key = unsafe { current().ring.borrow_mut().start(entry, Keep { file, memory }) };
        Self { key: Some(key), endless: false }
    }
}

impl Future for Operation {
    type Output = i32;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let key = self.key.expect("an operation is polled until it is done");
        match current().ring.borrow_mut().poll(key, cx.waker()) {
            Some(done) => {
                self.key = None;
                Poll::Ready(done)
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let executor = current();
        let mut ring = executor.ring.borrow_mut();
        if ring.abandon(key) && self.endless {
            ring.cancel(key);
        }
    }
}

/// What an operation answers: a number, or an error below zero.
fn checked(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}
