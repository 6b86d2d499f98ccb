//! Where an answer goes: back through a mailbox, or to a future on this very shard.

use crate::mailbox::Envelope;
use crate::message::{Reply, Request};
use crate::runtime::sync::{Receiver, Sender, oneshot};

/// Owes one reply. Dropped without one, who asked sees [`Reply::Closed`].
#[must_use = "whoever asked waits for a reply"]
pub enum Responder {
    Remote(Envelope<Request, Reply>),
    Local(Sender<Reply>),
}

impl Responder {
    pub fn local() -> (Self, Receiver<Reply>) {
        let (sender, receiver) = oneshot();
        (Self::Local(sender), receiver)
    }

    pub fn reply(self, reply: Reply) {
        match self {
            Self::Remote(envelope) => envelope.reply(reply),
            Self::Local(sender) => drop(sender.send(reply)),
        }
    }
}
