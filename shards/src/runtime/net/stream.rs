//! Owns a connection of this shard, in two halves that two tasks may use at once.
#![allow(unsafe_code)]

use crate::runtime::ring::{self, Watched};
use crate::runtime::yield_now;
use bytes::{Buf, Bytes, BytesMut};
use nix::sys::socket::{MsgFlags, recv};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::{Rc, Weak};

/// A connection. The descriptor closes when the last of its halves is dropped.
pub struct Stream {
    socket: Rc<Shared>,
    peer: SocketAddr,
}

/// Reading waits for the watch, writing for an operation of its own; so the halves share one descriptor.
struct Shared(Watched);

impl Stream {
    pub(super) fn new(descriptor: OwnedFd, peer: SocketAddr) -> Self {
        Self { socket: Rc::new(Shared(Watched::new(descriptor))), peer }
    }

    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub fn split(self) -> (ReadHalf, WriteHalf) {
        (ReadHalf { socket: self.socket.clone(), at_once: 0 }, WriteHalf(self.socket))
    }

    /// A handle that ends the connection from a third task without keeping it open.
    pub fn closer(&self) -> Closer {
        Closer(Rc::downgrade(&self.socket))
    }
}

/// Connects to `address`, with Nagle's delay off.
pub async fn connect(address: SocketAddr) -> io::Result<Stream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    let connecting = socket.connect(&address.into());
    let stream = Stream::new(socket.into(), address);
    match connecting {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
            ring::writable(stream.socket.0.descriptor()).await?;
            stream.socket.with(|socket| socket.take_error())?.map_or(Ok(stream), Err)
        }
        Err(error) => Err(error),
        Ok(()) => Ok(stream),
    }
}

/// The receiving half; for one task at a time.
pub struct ReadHalf {
    socket: Rc<Shared>,
    /// Reads in a row that did not have to wait.
    at_once: u32,
}

/// A peer that always has bytes waiting would keep its task running, and the executor from looking at its rings: other
/// sockets and finished disk writes would go unseen for as long. After this many reads the rings get a look.
const READS_AT_ONCE_MAX: u32 = 8;

impl ReadHalf {
    /// Waits for bytes and returns how many were put into `into`; 0 when the peer (or a [`Closer`]) ended the stream.
    ///
    /// Dropping the future loses nothing.
    pub async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let room = into.len();
        self.receive(room, |socket| Ok(recv(socket.as_raw_fd(), into, MsgFlags::MSG_DONTWAIT)?)).await
    }

    /// As `read`, of at most `room` bytes behind what `into` holds, in memory that need not be initialised.
    ///
    /// # Panics
    /// When `into` has not allocated so much room.
    pub async fn read_behind(&mut self, into: &mut BytesMut, room: usize) -> io::Result<usize> {
        self.receive(room, |socket| receive_behind(socket, into, room)).await
    }

    async fn receive(
        &mut self,
        room: usize,
        mut receive: impl FnMut(&OwnedFd) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.at_once == READS_AT_ONCE_MAX {
            self.at_once = 0;
            yield_now().await;
        }
        let mut waited = false;
        let read = poll_fn(|cx| {
            let read = self.socket.0.poll_read(cx, &mut receive, |received| *received < room);
            waited |= read.is_pending();
            read
        });
        let read = read.await;
        self.at_once = if waited { 0 } else { self.at_once + 1 };
        read
    }

    /// Whether bytes may be noticed some milliseconds late from now on. The shard then wakes for many such connections
    /// together, not for each.
    pub fn doze(&self, dozes: bool) {
        self.socket.0.doze(dozes);
    }
}

fn receive_behind(socket: &OwnedFd, into: &mut BytesMut, room: usize) -> io::Result<usize> {
    let free = &mut into.spare_capacity_mut()[..room];
    // SAFETY: the kernel writes at most `room` bytes to memory that is ours for so long, and reads none of it.
    let received = unsafe { libc::recv(socket.as_raw_fd(), free.as_mut_ptr().cast(), room, libc::MSG_DONTWAIT) };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    assert!(received <= room, "the kernel keeps to the room it was given");
    // SAFETY: so many bytes behind the length have just been written, within the capacity.
    unsafe { into.set_len(into.len() + received) };
    Ok(received)
}

/// The sending half; for one task at a time.
pub struct WriteHalf(Rc<Shared>);

impl WriteHalf {
    /// Hands all bytes to the kernel, waiting for room. After an error, or when dropped midway, an unknown part of
    /// them is sent: close the connection.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let sent = self.0.send(&[IoSlice::new(bytes)]).await?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    /// Like [`WriteHalf::write_all`] for a frame in pieces, without joining them: one system call takes up to
    /// [`PIECES_PER_CALL`] of them. A long frame lets others have their turn in between.
    pub async fn write_pieces(&mut self, mut pieces: Vec<Bytes>) -> io::Result<()> {
        let (mut first, mut in_this_turn) = (0, 0);
        loop {
            if in_this_turn >= SENT_AT_ONCE_MAX {
                in_this_turn = 0;
                yield_now().await;
            }
            while pieces.get(first).is_some_and(Bytes::is_empty) {
                first += 1;
            }
            if first == pieces.len() {
                return Ok(());
            }
            let mut sent = self.0.send_pieces(&pieces[first..]).await?;
            in_this_turn += sent;
            while sent > 0 {
                let taken = sent.min(pieces[first].len());
                pieces[first].advance(taken);
                sent -= taken;
                first += usize::from(pieces[first].is_empty());
            }
        }
    }

    /// The other half dozes no longer, from now on and not only from its next read.
    pub fn wake_reader_at_once(&self) {
        self.0.0.rouse();
    }

    /// Ends the sending direction after what was written.
    pub fn shutdown(&mut self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }
}

/// The kernel copies what it takes, and nobody else has a turn meanwhile.
const SENT_AT_ONCE_MAX: usize = 256 << 10;

/// How many pieces one system call takes.
pub const PIECES_PER_CALL: usize = 64;

/// Ends a connection whose halves are in other tasks' hands.
#[derive(Clone)]
pub struct Closer(Weak<Shared>);

impl Closer {
    /// Both halves see the end: reads return 0, writes fail. Nothing when the connection is gone already.
    pub fn close(&self) {
        if let Some(socket) = self.0.upgrade() {
            // An error means that the peer was faster.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    async fn send_pieces(&self, pieces: &[Bytes]) -> io::Result<usize> {
        let mut room = SENT_AT_ONCE_MAX;
        let slices = pieces.iter().take(PIECES_PER_CALL).map_while(|piece| {
            let taken = piece.len().min(room);
            room -= taken;
            (taken > 0 || piece.is_empty()).then(|| IoSlice::new(&piece[..taken]))
        });
        let slices: Vec<IoSlice<'_>> = slices.collect();
        self.send(&slices).await
    }

    /// Hands over what the socket takes, once it takes any.
    async fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        loop {
            match self.with(|socket| socket.send_vectored_with_flags(slices, flags)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ring::writable(self.0.descriptor()).await?;
                }
                result => return result,
            }
        }
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.with(|socket| socket.shutdown(how))
    }

    fn with<T>(&self, call: impl FnOnce(&SockRef<'_>) -> T) -> T {
        call(&SockRef::from(&**self.0.descriptor()))
    }
}
