//! What a coordinator decides, and what it may use to decide: the trait that groups and transactions implement.

use super::timers::Timers;
use crate::config::BrokerConfig;
use crate::metadata::Image;
use bytes::Bytes;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::primitives::Str;
use odradek_shards::clock::Instant;
use odradek_shards::types::{ProducerId, Timestamp};
use std::hash::Hash;
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

/// The time, the chance and the room of one turn.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now: Instant,
    pub wall: Timestamp,
    pub random: u128,
    /// The machines of this shard hold as much as they may: nothing new is taken on.
    pub is_full: bool,
}

/// The cluster and the configuration as of now.
#[derive(Clone)]
pub struct Scene {
    pub image: Arc<Image>,
    pub config: Arc<BrokerConfig>,
    /// Topics that came with the last image, or whose partitions changed with it.
    pub changed_topics: Arc<[Str]>,
    /// Topics that went with it.
    pub deleted_topics: Arc<[Str]>,
    /// Brokers changed with it, and perhaps their racks.
    pub brokers_changed: bool,
}

/// Names a request until it is answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// The state of one partition of an internal topic.
pub trait Machine: Sized + 'static {
    type Request: Send + 'static;
    type Reply: Send + 'static;
    type Record;
    type Timer: Ord + Hash + Clone;

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

    /// The answer to a request that decides nothing, but may set deadlines; none to one that has to be [handled](Self::handle).
    fn answer_at_once(&mut self, turn: &mut Turn<'_, Self>, request: &Self::Request) -> Option<Self::Reply>;

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

    /// Bytes that clients made this state hold, about.
    fn held(&self) -> usize;

    /// What all of them on a shard may hold, and the setting that says so.
    fn memory(scene: &Scene) -> (usize, &'static str);
}

/// Bytes a record takes in a batch beside key and value, at most.
const RECORD_OVERHEAD: usize = 32;

impl RawRecord {
    /// Bytes it takes in a batch, at most.
    pub fn size(&self) -> usize {
        RECORD_OVERHEAD + self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// A record as it was decided, and its bytes once somebody had to know how many they are: they are made once.
#[derive(Clone, Debug)]
pub struct Draft<R> {
    pub record: R,
    raw: Option<RawRecord>,
}

impl<R> From<R> for Draft<R> {
    fn from(record: R) -> Self {
        Self { record, raw: None }
    }
}

impl<R> Draft<R> {
    /// Bytes it takes in a batch, at most.
    pub fn size<M: Machine<Record = R>>(&mut self) -> usize {
        self.raw.get_or_insert_with(|| M::encode(&self.record)).size()
    }

    /// The record and its bytes.
    pub(super) fn encoded<M: Machine<Record = R>>(self) -> (R, RawRecord) {
        let raw = self.raw.unwrap_or_else(|| M::encode(&self.record));
        (self.record, raw)
    }
}

/// One turn of a machine: what it may know, and what it wishes.
pub struct Turn<'a, M: Machine> {
    pub moment: Moment,
    /// Bytes that records may take which have to come into the log together.
    pub batch_bytes_max: usize,
    pub(super) timers: &'a mut Timers<M::Timer>,
    pub(super) wishes: Wishes<M>,
}

/// What a turn brings about, in order.
pub(super) struct Wishes<M: Machine> {
    pub records: Vec<Wish<M::Record>>,
    pub replies: Vec<(Ticket, M::Reply)>,
    pub warnings: Vec<String>,
}

pub(super) struct Wish<R> {
    pub draft: Draft<R>,
    pub is_replayed: bool,
    /// The state is a good one after it, though the rest of the turn be lost.
    pub is_end: bool,
}

impl<'a, M: Machine> Turn<'a, M> {
    pub fn new(moment: Moment, batch_bytes_max: usize, timers: &'a mut Timers<M::Timer>) -> Self {
        let wishes = Wishes { records: Vec::new(), replies: Vec::new(), warnings: Vec::new() };
        Self { moment, batch_bytes_max, timers, wishes }
    }

    /// Leaves once everything recorded up to the end of this turn is durable.
    pub fn reply(&mut self, ticket: Ticket, reply: M::Reply) {
        self.wishes.replies.push((ticket, reply));
    }

    /// For whoever runs this broker: what is wrong, and what to do about it.
    pub fn warn(&mut self, warning: String) {
        self.wishes.warnings.push(warning);
    }

    /// Written, and replayed at the end of this turn.
    pub fn record(&mut self, record: impl Into<Draft<M::Record>>) {
        self.wishes.records.push(Wish { draft: record.into(), is_replayed: true, is_end: false });
    }

    /// Written; the state has it already.
    pub fn keep(&mut self, record: impl Into<Draft<M::Record>>) {
        self.wishes.records.push(Wish { draft: record.into(), is_replayed: false, is_end: false });
    }

    /// A turn too large for one batch may be torn here: what was decided so far stands by itself.
    pub fn may_tear(&mut self) {
        if let Some(last) = self.wishes.records.last_mut() {
            last.is_end = true;
        }
    }

    /// Whether these come into the log together.
    pub fn fits<'r>(&self, records: impl IntoIterator<Item = &'r mut Draft<M::Record>>) -> bool
    where
        M::Record: 'r,
    {
        let sizes = records.into_iter().map(Draft::size::<M>);
        sizes.sum::<usize>() <= self.batch_bytes_max
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

    /// Nothing was decided.
    pub(super) fn is_void(&self) -> bool {
        self.wishes.records.is_empty() && self.wishes.replies.is_empty() && self.wishes.warnings.is_empty()
    }

    /// What has been decided so far.
    pub fn records(&self) -> impl Iterator<Item = &M::Record> {
        self.wishes.records.iter().map(|wish| &wish.draft.record)
    }
}
