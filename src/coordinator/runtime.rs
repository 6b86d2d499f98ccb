//! The order of one coordinator: turns in, batches to append out, replies released when their batch is durable.

use super::machine::{Machine, Moment, RawRecord, Scene, Source, Ticket, Turn, Wish, Wishes};
use super::timers::Timers;
use odradek_protocol::error::ErrorCode;
use odradek_shards::clock::Instant;
use std::collections::VecDeque;

/// A machine at work. One append is under way at a time; what is decided meanwhile gathers for the next.
pub struct Runtime<M: Machine> {
    machine: M,
    timers: Timers<M::Timer>,
    /// Of the next record.
    position: i64,
    /// Bytes of a batch.
    batch_bytes_max: usize,
    waiting: VecDeque<Decided<M>>,
    /// Replies of the append under way.
    flying: Option<Vec<(Ticket, M::Reply)>>,
    released: Vec<(Ticket, M::Reply)>,
    warnings: Vec<String>,
    is_broken: bool,
}

/// What one turn decided.
struct Decided<M: Machine> {
    records: Vec<RawRecord>,
    bytes: usize,
    replies: Vec<(Ticket, M::Reply)>,
}

impl<M: Machine> Runtime<M> {
    /// Around a machine that has read its partition up to `position`.
    pub fn new(machine: M, position: i64, batch_bytes_max: usize, moment: Moment) -> Self {
        let mut runtime = Self {
            machine,
            timers: Timers::default(),
            position,
            batch_bytes_max,
            waiting: VecDeque::new(),
            flying: None,
            released: Vec::new(),
            warnings: Vec::new(),
            is_broken: false,
        };
        runtime.turn(moment, |machine, turn| machine.begin(turn));
        runtime
    }

    /// Bytes that clients made it hold, about.
    pub fn held(&self) -> usize {
        self.machine.held()
    }

    pub fn handle(&mut self, moment: Moment, ticket: Ticket, request: M::Request) {
        self.turn(moment, |machine, turn| machine.handle(turn, ticket, request));
    }

    /// The answer to a request that decides nothing, unless what was decided before it is not durable yet.
    pub fn answer_at_once(&mut self, moment: Moment, request: &M::Request) -> Option<M::Reply> {
        if self.flying.is_some() || !self.waiting.is_empty() || self.is_broken {
            return None;
        }
        let mut turn = Turn::new(moment, self.batch_bytes_max, &mut self.timers);
        let reply = self.machine.answer_at_once(&mut turn, request);
        assert!(turn.is_void(), "what is answered at once decides nothing");
        reply
    }

    pub fn publish(&mut self, moment: Moment, scene: &Scene) {
        self.turn(moment, |machine, turn| machine.publish(turn, scene));
    }

    /// Lets one passed deadline act; false when there is none.
    pub fn expire(&mut self, moment: Moment) -> bool {
        let Some(timer) = self.timers.pop(moment.now) else { return false };
        self.turn(moment, |machine, turn| machine.expire(turn, timer));
        true
    }

    /// Not later than the next deadline.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Records to append now, all in one batch; none while an append is under way.
    pub fn begin_append(&mut self) -> Option<Vec<RawRecord>> {
        if self.flying.is_some() || self.waiting.is_empty() {
            return None;
        }
        let (mut records, mut replies, mut bytes) = (Vec::new(), Vec::new(), 0);
        while let Some(next) = self.waiting.front() {
            bytes += next.bytes;
            if !records.is_empty() && bytes > self.batch_bytes_max {
                break;
            }
            let next = self.waiting.pop_front().expect("there is a first");
            records.extend(next.records);
            replies.extend(next.replies);
        }
        self.flying = Some(replies);
        Some(records)
    }

    /// The append under way is durable.
    pub fn appended(&mut self) {
        let replies = self.flying.take().expect("only an append under way can end");
        self.released.extend(replies);
    }

    /// The state has what no batch can hold: it must be read again.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Replies that may leave.
    pub fn released(&mut self) -> Vec<(Ticket, M::Reply)> {
        std::mem::take(&mut self.released)
    }

    /// What to tell who runs this broker.
    pub fn warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Ends it: whatever is not durable is undone, and every request has its answer.
    pub fn resign(mut self, moment: Moment, error: ErrorCode) -> Vec<(Ticket, M::Reply)> {
        let mut turn = Turn::new(moment, self.batch_bytes_max, &mut self.timers);
        self.machine.resign(&mut turn);
        let kept = turn.wishes.replies;
        let waiting = self.waiting.into_iter().flat_map(|decided| decided.replies);
        let undone = self.flying.into_iter().flatten().chain(waiting);
        let undone = undone.map(|(ticket, reply)| (ticket, M::undo(reply, error)));
        self.released.into_iter().chain(undone).chain(kept).collect()
    }

    fn turn(&mut self, moment: Moment, act: impl FnOnce(&mut M, &mut Turn<'_, M>)) {
        let mut turn = Turn::new(moment, self.batch_bytes_max, &mut self.timers);
        act(&mut self.machine, &mut turn);
        let wishes = turn.wishes;
        self.decide(wishes);
    }

    fn decide(&mut self, wishes: Wishes<M>) {
        let Wishes { records: wished, replies, warnings } = wishes;
        self.warnings.extend(warnings);
        let (mut decided, mut records) = (Vec::with_capacity(wished.len()), Vec::with_capacity(wished.len()));
        for Wish { draft, is_replayed, is_end } in wished {
            let (record, raw) = draft.encoded::<M>();
            decided.push((record, is_replayed));
            records.push((raw, is_end));
        }
        let Some(mut pieces) = torn(records, self.batch_bytes_max) else {
            self.is_broken |= decided.iter().any(|(_, is_replayed)| !is_replayed);
            let refused = replies.into_iter().map(|(ticket, reply)| (ticket, M::undo(reply, TOO_LARGE)));
            return self.park(refused.collect());
        };
        for (record, is_replayed) in decided {
            let source = Source { position: self.position, producer: None };
            self.position += 1;
            if is_replayed {
                self.machine.replay(record, source);
            }
        }
        let Some((last, bytes)) = pieces.pop() else { return self.park(replies) };
        let earlier = pieces.into_iter().map(|(records, bytes)| Decided { records, bytes, replies: Vec::new() });
        self.waiting.extend(earlier);
        self.waiting.push_back(Decided { records: last, bytes, replies });
    }

    /// Behind everything decided so far.
    fn park(&mut self, replies: Vec<(Ticket, M::Reply)>) {
        match (self.waiting.back_mut(), &mut self.flying) {
            (Some(last), _) => last.replies.extend(replies),
            (None, Some(flying)) => flying.extend(replies),
            (None, None) => self.released.extend(replies),
        }
    }
}

/// What Kafka says of records that do not fit into one batch.
const TOO_LARGE: ErrorCode = ErrorCode::UnknownServerError;

/// Records that come into the log together, with their bytes.
type Piece = (Vec<RawRecord>, usize);

/// One piece of all when a batch takes that, else as few as can be, torn where that is allowed; none when it cannot be.
fn torn(records: Vec<(RawRecord, bool)>, batch_bytes_max: usize) -> Option<Vec<Piece>> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut whole: Piece = Default::default();
    let total: usize = records.iter().map(|(record, _)| record.size()).sum();
    let last = records.len().wrapping_sub(1);
    for (at, (record, is_end)) in records.into_iter().enumerate() {
        whole.1 += record.size();
        whole.0.push(record);
        if at != last && (!is_end || total <= batch_bytes_max) {
            continue;
        }
        let (more, bytes) = std::mem::take(&mut whole);
        match pieces.last_mut().filter(|piece| piece.1 + bytes <= batch_bytes_max) {
            Some(piece) => {
                piece.0.extend(more);
                piece.1 += bytes;
            }
            None if bytes <= batch_bytes_max => pieces.push((more, bytes)),
            None => return None,
        }
    }
    Some(pieces)
}

#[cfg(test)]
impl<M: Machine> Runtime<M> {
    pub fn machine(&self) -> &M {
        &self.machine
    }
}

#[cfg(test)]
mod tests;
