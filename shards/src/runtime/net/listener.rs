//! Owns listening sockets, and connections on their way from the shard that accepted them to the one that serves them.

use super::Stream;
use crate::runtime::ring::Watched;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// A listening socket, accepting on the shard that bound it.
pub struct Listener {
    socket: Watched,
    local: SocketAddr,
}

/// How to listen.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections the kernel completes ahead of `accept` (`socket.listen.backlog.size`); it caps them by somaxconn.
    pub backlog: u16,
    /// SO_SNDBUF and SO_RCVBUF in bytes; `None` leaves the kernel's tuning on (-1 in Kafka's terms).
    pub send_buffer_bytes: Option<usize>,
    pub receive_buffer_bytes: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self { backlog: 1024, send_buffer_bytes: None, receive_buffer_bytes: None }
    }
}

impl Listener {
    /// Binds and listens. An IPv6 address serves IPv4 too when it is the unspecified one. Port 0 picks a free port.
    ///
    /// The error names the address and, for a taken port, the remedy.
    pub fn bind(address: SocketAddr, options: Options) -> io::Result<Self> {
        let listening = listen(address, options).map_err(|error| cannot_listen(address, error))?;
        let local = listening.local_addr()?.as_socket().expect("an IP socket has an IP address");
        listening.set_nonblocking(true)?;
        Ok(Self { socket: Watched::new(listening.into()), local })
    }

    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// The next connection, with Nagle's delay off. On an error ask [`reaction`] how to go on.
    pub async fn accept(&self) -> io::Result<Accepted> {
        let accept = |listening: &OwnedFd| SockRef::from(listening).accept();
        let (socket, peer) = poll_fn(|cx| self.socket.poll_read(cx, accept, |_| false)).await?;
        socket.set_tcp_nodelay(true)?;
        let peer = peer.as_socket().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Accepted { descriptor: socket.into(), peer })
    }
}

/// An accepted connection that belongs to no shard yet. Dropping it closes it.
pub struct Accepted {
    descriptor: OwnedFd,
    peer: SocketAddr,
}

impl Accepted {
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Makes the connection this shard's.
    pub fn adopt(self) -> io::Result<Stream> {
        Ok(Stream::new(self.descriptor, self.peer))
    }
}

/// What an acceptor does about an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reaction {
    /// That one connection is lost: accept the next at once.
    Continue,
    /// Descriptors or memory ran out and the connection is still queued: sleep before accepting again, or spin.
    Pause,
    /// The listener itself is broken.
    Stop,
}

/// How an acceptor goes on after `error`.
pub fn reaction(error: &io::Error) -> Reaction {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Reaction::Pause,
        Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP | libc::EFAULT) => Reaction::Stop,
        _ => Reaction::Continue,
    }
}

/// No SO_REUSEPORT: a second broker on the same port must fail, not share its connections.
fn listen(address: SocketAddr, options: Options) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if let SocketAddr::V6(v6) = address {
        socket.set_only_v6(!v6.ip().is_unspecified())?;
    }
    // Before listening: accepted sockets inherit them, and the window scale is fixed by the handshake.
    if let Some(bytes) = options.send_buffer_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(&address.into())?;
    socket.listen(i32::from(options.backlog))?;
    Ok(socket)
}

fn cannot_listen(address: SocketAddr, error: io::Error) -> io::Error {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "another process listens there: stop it, or choose another port in `listeners`",
        io::ErrorKind::AddrNotAvailable => "no interface has that address: correct `listeners`",
        io::ErrorKind::PermissionDenied => "ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher one",
        _ => "correct `listeners`",
    };
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}; {remedy}"))
}
