//! Sockets of one shard: listen, accept, hand over, read and write. TCP only, real only.

mod listener;
mod stream;

pub use listener::{Accepted, Listener, Options, Reaction, reaction};
pub use stream::{Closer, ReadHalf, Stream, WriteHalf, connect};

#[cfg(test)]
mod tests;
