//! Which shard reads what for a fetch, and how long to wait for enough of it.

use super::context::Context;
use super::error_code::KafkaCode;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::fetch_request::FetchPartition;
use odradek_protocol::primitives::Str;
use odradek_shards::Shards;
use odradek_shards::budget::{Budget, Charge};
use odradek_shards::message::{
    AwaitId, AwaitRequest, Awaited, Isolation, ReadOk, ReadPart, ReadRequest, Reply, Request,
};
use odradek_shards::runtime::{self, Instant};
use odradek_shards::types::{LeaderEpoch, Offset, ShardId, TopicId, TopicPartition};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use uuid::Uuid;

/// A topic as the request names it: up to version 12 by name, then by id.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum TopicKey {
    Name(Str),
    Id(Uuid),
}

impl TopicKey {
    pub fn of(name: &Str, id: Uuid, by_id: bool) -> Self {
        if by_id { Self::Id(id) } else { Self::Name(name.clone()) }
    }

    /// The same, holding on to nothing of the request.
    pub fn detached(&self) -> Self {
        match self {
            Self::Name(name) => Self::Name(name.detached()),
            Self::Id(id) => Self::Id(*id),
        }
    }
}

/// One partition of a fetch, as asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    pub topic: TopicKey,
    pub partition: i32,
    pub from: i64,
    pub max_bytes: i32,
    pub current_leader_epoch: i32,
    pub last_fetched_epoch: i32,
}

impl Asked {
    pub fn new(topic: TopicKey, partition: &FetchPartition) -> Self {
        Self {
            topic,
            partition: partition.partition,
            from: partition.fetch_offset,
            max_bytes: partition.partition_max_bytes,
            current_leader_epoch: partition.current_leader_epoch,
            last_fetched_epoch: partition.last_fetched_epoch,
        }
    }
}

/// What bounds a fetch.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub min_bytes: usize,
    pub max_bytes: usize,
    pub until: Instant,
    pub isolation: Isolation,
}

/// A fetch resolved against the image.
pub struct Plan {
    limits: Limits,
    places: Vec<Place>,
    /// What each partition's last read brought; `Err` before the first read of one that can be read.
    results: Vec<Result<ReadOk, ErrorCode>>,
    /// Of the budget for replies, for what the last read brought.
    hold: Option<Charge>,
}

/// What a fetch brought: a result per partition asked for, and what they hold of the budget for replies.
pub struct Fetched {
    pub results: Vec<Result<ReadOk, ErrorCode>>,
    pub hold: Option<Charge>,
}

/// One fetch may bring this share of the memory that is free for answers, so that a few large ones leave room.
pub const SHARE_OF_FREE: usize = 16;
/// What a fetch may bring however little memory is free.
const BYTES_LEAST: usize = 1 << 20;

enum Place {
    Refused,
    Read { owner: ShardId, part: ReadPart },
}

impl Plan {
    pub fn new(context: &Context, asked: &[Asked], limits: Limits) -> Self {
        let mut plan = Self { limits, places: Vec::new(), results: Vec::new(), hold: None };
        for asked in asked {
            let (place, result) = match resolve(context, asked) {
                Ok(partition) => {
                    let owner = context.shards.owner(partition);
                    let part = part(partition, asked, limits.isolation);
                    (Place::Read { owner, part }, Err(ErrorCode::UnknownServerError))
                }
                Err(error) => (Place::Refused, Err(error)),
            };
            plan.places.push(place);
            plan.results.push(result);
        }
        plan
    }

    /// Reads until there is enough, something is wrong or time is up. The first reads are sent at the first poll,
    /// unless memory for answers is short.
    pub async fn run(mut self, context: &Context) -> Fetched {
        let mut due = self.owners();
        let mut before = None;
        loop {
            self.read(context, &due).await;
            let bytes = self.bytes();
            let stuck = before.is_some_and(|before| bytes <= before);
            if self.is_enough(bytes) || stuck || runtime::now() >= self.limits.until {
                break;
            }
            before = Some(bytes);
            due = self.wait(&context.shards, bytes).await;
            if due.is_empty() {
                // Time is up: what came meanwhile is less than was asked for, and still better than nothing.
                if self.limits.min_bytes > 1 {
                    let owners = self.owners();
                    self.read(context, &owners).await;
                }
                break;
            }
        }
        Fetched { results: self.results, hold: self.hold }
    }

    fn owners(&self) -> Vec<ShardId> {
        let mut owners: Vec<ShardId> = self.reads().map(|(_, owner, _)| owner).collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }

    fn reads(&self) -> impl Iterator<Item = (usize, ShardId, &ReadPart)> {
        self.places.iter().enumerate().filter_map(|(index, place)| match place {
            Place::Read { owner, part } => Some((index, *owner, part)),
            Place::Refused => None,
        })
    }

    /// Reads every partition of these shards again.
    async fn read(&mut self, context: &Context, due: &[ShardId]) {
        let max_bytes = self.bytes_max(&context.replies);
        let mut hold = context.replies.charge(max_bytes).await;
        let mut sent = Vec::with_capacity(due.len());
        for shard in due {
            sent.push((*shard, self.send_read(&context.shards, *shard, max_bytes)));
        }
        for (shard, reply) in sent {
            let indexes: Vec<usize> = self.reads().filter(|(_, owner, _)| *owner == shard).map(|(i, ..)| i).collect();
            match reply.await {
                Reply::Read(results) => {
                    assert_eq!(results.len(), indexes.len(), "a shard answers every part of a request");
                    for (index, result) in indexes.into_iter().zip(results) {
                        self.results[index] = result.map_err(|error| error.code());
                    }
                }
                _ => indexes.into_iter().for_each(|i| self.results[i] = Err(ErrorCode::NotLeaderOrFollower)),
            }
        }
        hold.shrink(self.bytes());
        self.hold = Some(hold);
    }

    /// What all partitions together may bring now: less when memory for answers gets short.
    fn bytes_max(&self, replies: &Budget) -> usize {
        let asked = self.reads().fold(0usize, |sum, (_, _, part)| sum.saturating_add(part.max_bytes));
        asked.min(self.limits.max_bytes).min((replies.free() / SHARE_OF_FREE).max(BYTES_LEAST))
    }

    fn send_read(&self, shards: &Shards, shard: ShardId, max_bytes: usize) -> impl Future<Output = Reply> + use<> {
        let parts = self.reads().filter(|(_, owner, _)| *owner == shard).map(|(_, _, part)| *part).collect();
        shards.call(shard, Request::Read(ReadRequest { parts, max_bytes, min_one: true }))
    }

    fn bytes(&self) -> usize {
        self.results.iter().flatten().map(|read| read.records.len()).sum()
    }

    /// True when nothing is gained by waiting.
    fn is_enough(&self, bytes: usize) -> bool {
        let wrong = |result: &Result<ReadOk, _>| result.as_ref().map_or(true, |read| read.diverging.is_some());
        bytes >= self.limits.min_bytes || self.places.is_empty() || self.results.iter().any(wrong)
    }

    /// Waits for news from any shard; answers which have some, none when time is up.
    async fn wait(&self, shards: &Shards, bytes: usize) -> Vec<ShardId> {
        let owners = self.owners();
        // When the missing bytes have come, one shard at least has its share of them.
        let share = (self.limits.min_bytes - bytes).div_ceil(owners.len()).max(1);
        let mut parked = Parked { shards, waits: Vec::new() };
        for owner in owners {
            parked.park(owner, self.await_request(shards, owner, share));
        }
        parked.first().await
    }

    fn await_request(&self, shards: &Shards, shard: ShardId, share: usize) -> AwaitRequest {
        let mine = || self.reads().filter(|(_, owner, _)| *owner == shard);
        let here: usize =
            mine().filter_map(|(i, ..)| self.results[i].as_ref().ok()).map(|read| read.records.len()).sum();
        AwaitRequest {
            id: shards.next_await_id(),
            // From where the read began: what it brought counts again, on both sides.
            parts: mine().map(|(_, _, part)| (part.partition, part.from)).collect(),
            min_bytes: here + share,
            isolation: self.limits.isolation,
            until: self.limits.until,
        }
    }
}

fn resolve(context: &Context, asked: &Asked) -> Result<TopicPartition, ErrorCode> {
    let image = context.look();
    let topic = match &asked.topic {
        TopicKey::Name(name) => image.topics().by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition)?,
        TopicKey::Id(id) => image.topics().by_id(TopicId(*id)).ok_or(ErrorCode::UnknownTopicId)?,
    };
    context.led(topic, asked.partition).map(|(partition, _)| partition)
}

fn part(partition: TopicPartition, asked: &Asked, isolation: Isolation) -> ReadPart {
    ReadPart {
        partition,
        from: Offset(asked.from),
        max_bytes: usize::try_from(asked.max_bytes).unwrap_or(0),
        current_leader_epoch: super::leader_epoch(asked.current_leader_epoch),
        last_fetched_epoch: (asked.last_fetched_epoch >= 0).then_some(LeaderEpoch(asked.last_fetched_epoch)),
        isolation,
    }
}

/// Waits parked on shards; cancelled by message when dropped.
struct Parked<'a> {
    shards: &'a Shards,
    waits: Vec<Wait>,
}

struct Wait {
    shard: ShardId,
    id: AwaitId,
    reply: Pin<Box<dyn Future<Output = Reply>>>,
}

impl Parked<'_> {
    fn park(&mut self, shard: ShardId, request: AwaitRequest) {
        let id = request.id;
        let reply = Box::pin(self.shards.call(shard, Request::AwaitData(request)));
        self.waits.push(Wait { shard, id, reply });
    }

    /// The shards that answered first with news; none once all have expired.
    async fn first(mut self) -> Vec<ShardId> {
        poll_fn(|context| {
            let mut ready = Vec::new();
            self.waits.retain_mut(|wait| match wait.reply.as_mut().poll(context) {
                Poll::Ready(Reply::AwaitData(Awaited::Expired)) => false,
                Poll::Ready(_) => {
                    ready.push(wait.shard);
                    false
                }
                Poll::Pending => true,
            });
            if ready.is_empty() && !self.waits.is_empty() { Poll::Pending } else { Poll::Ready(ready) }
        })
        .await
    }
}

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        for wait in &self.waits {
            // Nobody waits for the answer.
            drop(self.shards.call(wait.shard, Request::CancelAwait(wait.id)));
        }
    }
}
