//! Append requests under way: each part is decided by its partition, the request is answered when all are.

use super::responder::Responder;
use crate::error::Unavailable;
use crate::message::{AppendResult, Reply};
use crate::partition::Ticket;

/// Requests by slot. A ticket is slot and part, so that an answer finds its place without a search.
#[derive(Default)]
pub struct Appends {
    slots: Vec<Option<Append>>,
    free: Vec<u32>,
}

struct Append {
    results: Vec<AppendResult>,
    undecided: usize,
    responder: Responder,
}

impl Appends {
    /// A request of `parts` parts, at least one; the slot is part of its tickets.
    pub fn open(&mut self, parts: usize, responder: Responder) -> u32 {
        assert!(parts > 0, "an empty request is answered at once");
        let results = vec![Err(Unavailable::NotReady.into()); parts];
        let append = Append { results, undecided: parts, responder };
        match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(append);
                slot
            }
            None => {
                self.slots.push(Some(append));
                u32::try_from(self.slots.len() - 1).expect("requests in flight are bounded by credit")
            }
        }
    }

    pub fn ticket(slot: u32, part: usize) -> Ticket {
        let part = u32::try_from(part).expect("the parts of a request fit a frame");
        Ticket(u64::from(slot) << 32 | u64::from(part))
    }

    /// Decides one part, once; the last one answers the request.
    pub fn decide(&mut self, ticket: Ticket, result: AppendResult) {
        let (slot, part) = ((ticket.0 >> 32) as usize, (ticket.0 & 0xffff_ffff) as usize);
        let append = self.slots[slot].as_mut().expect("a part is decided once");
        append.results[part] = result;
        append.undecided -= 1;
        if append.undecided == 0 {
            let append = self.slots[slot].take().expect("it was there above");
            self.free.push(slot as u32);
            append.responder.reply(Reply::Append(append.results));
        }
    }
}
