//! What a coordinator decides, and what it may use to decide: the trait that groups and transactions implement.

use super::timers::Timers;
use crate::config::BrokerConfig;
use crate::metadata::Image;
use bytes::Bytes;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::primitives::Str;
use odradek_shards::clock::Instant;
use odradek_shards::types::{ProducerId, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// A record of the internal topic as its bytes; no value deletes the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

/// Where a record came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Later records have larger numbers: the offset of one that was read, a guess of it for one just decided.
    pub position: i64,
    /// Of the transaction it belongs to.
    pub producer: Option<ProducerId>,
}

/// The time and the chance of one turn.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now: Instant,
    pub wall: Timestamp,
    pub random: u128,
}

/// The cluster and the configuration as of now.
#[derive(Clone)]
pub struct Scene {
    pub image: Arc<Image>,
    pub config: Arc<BrokerConfig>,
    /// Topics that went with the last image.
    pub deleted_topics: Arc<[Str]>,
}

/// Names a request until it is answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// The state of one partition of an internal topic.
pub trait Machine: Sized + 'static {
    type Request: Send + 'static;
    type Reply: Send + 'static;
    type Record;
    type Timer: Ord + Clone;

    /// The internal topic.
    const TOPIC: &'static str;

    fn new(scene: &Scene) -> Self;

    /// The codec that batches are written in.
    fn codec(scene: &Scene) -> odradek_shards::record::Codec;

    fn encode(record: &Self::Record) -> RawRecord;

    /// None for a kind of a later release, or of no interest here.
    fn decode(raw: RawRecord) -> Result<Option<Self::Record>, odradek_protocol::codec::DecodeError>;

    /// Takes a record into the state: while loading, and right after it was decided.
    fn replay(&mut self, record: Self::Record, source: Source);

    /// A transaction's records of this partition count from now on, or never.
    fn end_transaction(&mut self, producer: ProducerId, committed: bool);

    /// The whole partition has been read.
    fn begin(&mut self, turn: &mut Turn<'_, Self>);

    /// Answers now or in a later turn.
    fn handle(&mut self, turn: &mut Turn<'_, Self>, ticket: Ticket, request: Self::Request);

    /// A deadline has passed.
    fn expire(&mut self, turn: &mut Turn<'_, Self>, timer: Self::Timer);

    /// The cluster or the configuration has changed.
    fn publish(&mut self, turn: &mut Turn<'_, Self>, scene: &Scene);

    /// This state ends here: every request it keeps is answered.
    fn resign(&mut self, turn: &mut Turn<'_, Self>);

    /// The answer of who does not coordinate, or cannot now.
    fn refuse(request: &Self::Request, error: ErrorCode) -> Self::Reply;

    /// The same answer after all was undone.
    fn undo(reply: Self::Reply, error: ErrorCode) -> Self::Reply;
}

/// One turn of a machine: what it may know, and what it wishes.
pub struct Turn<'a, M: Machine> {
    pub moment: Moment,
    pub(super) timers: &'a mut Timers<M::Timer>,
    pub(super) wishes: Wishes<M>,
}

/// What a turn brings about, in order.
pub(super) struct Wishes<M: Machine> {
    pub records: Vec<Wish<M::Record>>,
    pub replies: Vec<(Ticket, M::Reply)>,
}

pub(super) struct Wish<R> {
    pub record: R,
    pub is_replayed: bool,
}

impl<'a, M: Machine> Turn<'a, M> {
    pub fn new(moment: Moment, timers: &'a mut Timers<M::Timer>) -> Self {
        Self { moment, timers, wishes: Wishes { records: Vec::new(), replies: Vec::new() } }
    }

    /// Leaves once everything recorded up to the end of this turn is durable.
    pub fn reply(&mut self, ticket: Ticket, reply: M::Reply) {
        self.wishes.replies.push((ticket, reply));
    }

    /// Written, and replayed at the end of this turn.
    pub fn record(&mut self, record: M::Record) {
        self.wishes.records.push(Wish { record, is_replayed: true });
    }

    /// Written; the state has it already.
    pub fn keep(&mut self, record: M::Record) {
        self.wishes.records.push(Wish { record, is_replayed: false });
    }

    pub fn schedule(&mut self, timer: M::Timer, after: Duration) {
        self.timers.schedule(timer, self.moment.now + after);
    }

    pub fn cancel(&mut self, timer: &M::Timer) {
        self.timers.cancel(timer);
    }

    pub fn is_scheduled(&self, timer: &M::Timer) -> bool {
        self.timers.is_scheduled(timer)
    }

    /// Another one each time; as random as the turn.
    pub fn uuid(&mut self) -> Uuid {
        let random = self.moment.random;
        self.moment.random = random.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(1);
        uuid::Builder::from_random_bytes(random.to_be_bytes()).into_uuid()
    }

    /// What has been decided so far.
    pub fn records(&self) -> impl Iterator<Item = &M::Record> {
        self.wishes.records.iter().map(|wish| &wish.record)
    }
}
