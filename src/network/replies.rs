//! Answers of one connection, kept in the order of its requests.

use crate::exchange::{Answer, Closing, Reply, Serving};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{FuturesUnordered, Stream};
use odradek_shards::budget::Charge;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Requests of one connection under way at a time; more wait in the socket.
pub const PIPELINED_MAX: usize = 256;
/// Bytes of finished answers one connection may have waiting for its socket.
pub const WAITING_BYTES_MAX: usize = 8 << 20;
/// Pieces below this are joined by copying, larger ones are sent from where they lie.
const JOINED_MAX: usize = 4 << 10;
/// Bytes handed to the socket at a time, unless one answer is larger.
const WRITE_MAX: usize = 256 << 10;

/// Requests under way and answers not yet sent. Owned by one connection; polled by its writing half.
#[derive(Default)]
pub struct Replies {
    /// One slot per request in order; `None` while it is being served.
    slots: VecDeque<Option<Answer>>,
    /// Number of the first slot.
    first: u64,
    serving: FuturesUnordered<Numbered>,
    waiting_bytes: usize,
}

struct Numbered {
    number: u64,
    serving: Serving,
    charges: Charges,
}

/// What a request's frame holds of its shard's budget while it is served.
#[derive(Debug, Default)]
#[expect(dead_code, reason = "held to be dropped")]
pub struct Charges {
    pub first: Option<Charge>,
    /// Of a large frame, whose memory grew in steps.
    pub rest: Vec<Charge>,
}

/// What to do with the socket next.
pub enum Batch {
    Write(Outgoing),
    Close(Closing),
}

/// Answers on their way to the socket, and what they hold until they are there.
#[derive(Default)]
pub struct Outgoing {
    pub pieces: Vec<Bytes>,
    pub holds: Vec<Charge>,
    /// One of them stirs the peer.
    pub stirs: bool,
}

impl Replies {
    /// False when the connection has as much under way as it may.
    pub fn has_room(&self) -> bool {
        self.slots.len() < PIPELINED_MAX && self.waiting_bytes < WAITING_BYTES_MAX
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Adds a request that was polled once: its answer, or the future that will have it.
    pub fn push(&mut self, polled: Result<Answer, Serving>, charges: Charges) {
        let number = self.first + self.slots.len() as u64;
        match polled {
            Ok(answer) => {
                self.waiting_bytes += length(&answer);
                self.slots.push_back(Some(answer));
            }
            Err(serving) => {
                self.slots.push_back(None);
                self.serving.push(Numbered { number, serving, charges });
            }
        }
    }

    /// Runs what can run, then takes the answers that may leave.
    pub fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Batch> {
        while let Poll::Ready(Some((number, answer))) = Pin::new(&mut self.serving).poll_next(context) {
            let slot = usize::try_from(number - self.first).expect("slots are counted in memory");
            self.waiting_bytes += length(&answer);
            let before = self.slots[slot].replace(answer);
            assert!(before.is_none(), "a request is answered once");
        }
        match self.take() {
            Some(batch) => Poll::Ready(batch),
            None => Poll::Pending,
        }
    }

    fn take(&mut self) -> Option<Batch> {
        let mut gathering = Gathering::default();
        while let Some(Some(answer)) = self.slots.front() {
            let leaving = length(answer);
            if matches!(answer, Answer::Close(_)) && !gathering.is_empty() {
                break;
            }
            let answer = self.slots.pop_front().flatten().expect("the front slot was just seen to hold an answer");
            self.first += 1;
            self.waiting_bytes -= leaving;
            match answer {
                Answer::Reply(reply) => gathering.add(reply),
                Answer::Silence => {}
                Answer::Close(closing) => return Some(Batch::Close(closing)),
            }
            if gathering.total >= WRITE_MAX {
                break;
            }
        }
        (!gathering.is_empty()).then(|| Batch::Write(gathering.finish()))
    }
}

/// Length of an answer on the wire.
fn length(answer: &Answer) -> usize {
    match answer {
        Answer::Reply(reply) => reply.len(),
        Answer::Silence | Answer::Close(_) => 0,
    }
}

/// Answers on their way into as few writes as copying little allows.
#[derive(Default)]
struct Gathering {
    pieces: Vec<Bytes>,
    holds: Vec<Charge>,
    /// Small pieces that follow `pieces`, once there is more than one.
    joined: BytesMut,
    total: usize,
    stirs: bool,
}

impl Gathering {
    fn is_empty(&self) -> bool {
        self.total == 0
    }

    fn add(&mut self, reply: Reply) {
        self.holds.extend(reply.hold);
        self.stirs |= reply.stirs;
        for piece in reply.pieces {
            self.total += piece.len();
            let alone = self.pieces.is_empty() && self.joined.is_empty();
            if alone || piece.len() >= JOINED_MAX {
                self.close();
                self.pieces.push(piece);
            } else {
                self.join(&piece);
            }
        }
    }

    /// Joins a small piece with the small one before it.
    fn join(&mut self, piece: &[u8]) {
        if self.joined.is_empty()
            && let Some(before) = self.pieces.pop_if(|before| before.len() < JOINED_MAX)
        {
            self.joined.extend_from_slice(&before);
        }
        self.joined.extend_from_slice(piece);
    }

    fn close(&mut self) {
        if !self.joined.is_empty() {
            self.pieces.push(self.joined.split().freeze());
        }
    }

    fn finish(mut self) -> Outgoing {
        self.close();
        Outgoing { pieces: self.pieces, holds: self.holds, stirs: self.stirs }
    }
}

impl Future for Numbered {
    type Output = (u64, Answer);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let number = self.number;
        self.serving.as_mut().poll(context).map(|answer| {
            self.charges = Charges::default();
            (number, answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use odradek_shards::budget::Budget;
    use std::task::Waker;

    fn reply(text: &'static str) -> Answer {
        Answer::Reply(Reply { pieces: vec![Bytes::from_static(text.as_bytes())], hold: None, stirs: false })
    }

    fn poll(replies: &mut Replies) -> Option<Vec<u8>> {
        match replies.poll_batch(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Batch::Write(outgoing)) => Some(outgoing.pieces.concat()),
            Poll::Ready(Batch::Close(_)) => Some(b"closed".to_vec()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn an_early_answer_waits_for_the_one_before_it() {
        let mut replies = Replies::default();
        let (sender, receiver) = futures_util::future::abortable(std::future::pending::<()>());
        let slow = async move {
            let _ = sender.await;
            reply("slow")
        };
        replies.push(Err(Box::pin(slow)), Charges::default());
        replies.push(Ok(reply("quick")), Charges::default());
        assert_eq!(poll(&mut replies), None);
        receiver.abort();
        assert_eq!(poll(&mut replies).expect("both are ready"), b"slowquick");
        assert!(replies.is_empty());
    }

    #[test]
    fn answers_before_a_close_still_leave() {
        let mut replies = Replies::default();
        replies.push(Ok(reply("last")), Charges::default());
        replies.push(Ok(Answer::Close(Closing::UnknownApi(999))), Charges::default());
        assert_eq!(poll(&mut replies).expect("a reply waits"), b"last");
        assert_eq!(poll(&mut replies).expect("then the close"), b"closed");
    }

    #[test]
    fn a_silent_answer_leaves_nothing() {
        let mut replies = Replies::default();
        replies.push(Ok(Answer::Silence), Charges::default());
        assert_eq!(poll(&mut replies), None);
        assert!(replies.is_empty());
    }

    #[test]
    fn large_pieces_are_not_copied() {
        let mut replies = Replies::default();
        let large = Bytes::from(vec![7; JOINED_MAX]);
        let pieces = vec![Bytes::from_static(b"head"), large.clone()];
        replies.push(Ok(Answer::Reply(Reply { pieces, hold: None, stirs: false })), Charges::default());
        match replies.poll_batch(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Batch::Write(outgoing)) => {
                assert_eq!(outgoing.pieces.len(), 2);
                assert_eq!(outgoing.pieces[1].as_ptr(), large.as_ptr());
            }
            _ => panic!("an answer waits"),
        }
    }

    #[test]
    fn a_request_under_way_holds_its_charge() {
        let budget = Budget::new(10);
        let mut replies = Replies::default();
        let charges = Charges { first: budget.try_charge(10), rest: Vec::new() };
        replies.push(Err(Box::pin(std::future::pending())), charges);
        assert!(!budget.has_room());
        drop(replies);
        assert!(budget.has_room());
    }
}
