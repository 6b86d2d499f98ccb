//! What passes between a connection and the handlers: a frame goes in, an answer comes out.

use bytes::Bytes;
use odradek_protocol::primitives::Str;
use odradek_shards::budget::Charge;
use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;

/// The other end of a connection, and what it said about itself.
pub struct Peer {
    pub address: SocketAddr,
    /// Its address without the port, as coordinators tell of it.
    pub host: Str,
    /// Name of the listener it came in by: decides which endpoints Metadata tells it.
    pub listener: Rc<str>,
    /// Unique in this process.
    pub connection: u64,
    software: RefCell<String>,
}

impl Peer {
    pub fn new(address: SocketAddr, listener: Rc<str>, connection: u64) -> Self {
        let host = format!("/{}", address.ip()).into();
        Self { address, host, listener, connection, software: RefCell::default() }
    }

    /// Name and version of the client's software, as ApiVersions v3 carried them (KIP-511); empty before.
    pub fn software(&self) -> String {
        self.software.borrow().clone()
    }

    pub fn set_software(&self, name: &str, version: &str) {
        *self.software.borrow_mut() = format!("{name} {version}");
    }
}

/// How a request ends.
#[derive(Debug)]
pub enum Answer {
    Reply(Reply),
    /// Nothing is sent (produce with acks=0).
    Silence,
    /// The connection closes once earlier answers have left.
    Close(Closing),
}

impl Answer {
    /// The same, with a reply that makes its receiver say more.
    pub fn stirring(self) -> Self {
        match self {
            Self::Reply(reply) => Self::Reply(Reply { stirs: true, ..reply }),
            other => other,
        }
    }
}

/// A frame to send.
#[derive(Debug)]
pub struct Reply {
    /// The whole frame, length prefix included.
    pub pieces: Vec<Bytes>,
    /// What the pieces hold of the shard's budget for replies, until they are sent.
    pub hold: Option<Charge>,
    /// Who gets it will have something to say soon, however quiet it was.
    pub stirs: bool,
}

impl Reply {
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.iter().all(Bytes::is_empty)
    }
}

/// Why a request ends its connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closing {
    #[error("request of {0} bytes has no complete header")]
    NoHeader(usize),
    #[error("api key {0} is not served")]
    UnknownApi(i16),
    #[error("{api} version {version} is not served")]
    UnservedVersion { api: &'static str, version: i16 },
    #[error("{api} version {version} does not parse: {reason}")]
    Unparsable { api: &'static str, version: i16, reason: String },
    #[error("{api} version {version}: the answer does not encode: {reason}")]
    Unencodable { api: &'static str, version: i16, reason: String },
    #[error("{api} was asked for without acknowledgement and failed: {reason}")]
    Unacknowledged { api: &'static str, reason: String },
}

/// One request under way.
pub type Serving = Pin<Box<dyn Future<Output = Answer>>>;

/// Serves the requests of one shard's connections.
pub trait Dispatch {
    /// Starts a request. `frame` lacks the length prefix. The first poll does everything that must happen in order of
    /// arrival; the future is polled once before the next frame of the connection is begun.
    fn serve(&self, frame: Bytes, from: &Rc<Peer>) -> Serving;

    /// Whether the peer is in no hurry for the answer: the request may be noticed some milliseconds late.
    fn may_wait(&self, frame: &Bytes) -> bool;

    /// Completes when requests may be taken on; at once unless the way to another shard is full.
    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + '_>>;

    /// False when [`Dispatch::room`] would wait.
    fn has_room(&self) -> bool;
}
