//! Why a measurement could not be made.

use odradek_protocol::codec::{DecodeError, EncodeError};
use odradek_protocol::error::ErrorCode;
use std::io;
use std::net::SocketAddr;

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("cannot reach {0}: {1}")]
    Connect(SocketAddr, io::Error),
    #[error("the connection broke: {0}")]
    Connection(#[from] io::Error),
    #[error("the broker sent what cannot be read: {0}")]
    Decode(#[from] DecodeError),
    #[error("a request cannot be written: {0}")]
    Encode(#[from] EncodeError),
    #[error("the broker serves {key} in versions {low} to {high} only")]
    Version { key: &'static str, low: i16, high: i16 },
    #[error("{what}: {code}")]
    Broker { what: String, code: ErrorCode },
    #[error("{0}")]
    Arguments(String),
    #[error("verification failed: {0}")]
    Verify(String),
    #[error("the broker broke the protocol: {0}")]
    Protocol(&'static str),
}

impl Failure {
    /// `Ok` when the code says there is no error.
    pub fn check(code: i16, what: impl FnOnce() -> String) -> Result<(), Self> {
        let code = ErrorCode::from_code(code);
        if code.is_none() { Ok(()) } else { Err(Self::Broker { what: what(), code }) }
    }
}
