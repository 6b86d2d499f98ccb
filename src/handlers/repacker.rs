//! Batches of topics that store by a codec of their own (`compression.type`): packed on the blocking thread, appended in
//! the order they came.

use super::context::Context;
use super::per_shard::PerShard;
use odradek_shards::message::{AppendPart, AppendResult, Reply, Request};
use odradek_shards::record::{Rejected, Rules};
use odradek_shards::runtime;
use odradek_shards::runtime::sync::{Sender, oneshot};
use odradek_shards::types::ShardId;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;

/// Where in the request a part stands: topic and partition.
pub type Place = (usize, usize);

/// A part that cannot be appended at once.
pub struct Unpacked {
    pub place: Place,
    pub owner: ShardId,
    pub part: AppendPart,
    pub rules: Rules,
}

/// A job that was handed over: parts refused meanwhile, and the answers to come of the others.
struct Handed {
    refused: Vec<(Place, Rejected)>,
    answers: Answers,
}

type Answers = Pin<Box<dyn Future<Output = Vec<(Place, Option<AppendResult>)>>>>;

struct Job {
    parts: Vec<Unpacked>,
    done: Sender<Handed>,
}

/// What became of a part.
pub type Outcome = Result<Option<AppendResult>, Rejected>;

/// One shard's queue. It is bounded by what connections may have in flight.
#[derive(Default)]
pub struct Repacker {
    queue: RefCell<VecDeque<Job>>,
    at_work: Cell<bool>,
}

impl Repacker {
    /// A batch that needs no packing must not overtake those that wait here.
    pub fn is_busy(&self) -> bool {
        self.at_work.get()
    }

    /// Takes its place in the queue at the call.
    pub fn append(context: &Rc<Context>, parts: Vec<Unpacked>) -> impl Future<Output = Vec<(Place, Outcome)>> + use<> {
        let (done, handed) = oneshot();
        let myself = &context.repacker;
        myself.queue.borrow_mut().push_back(Job { parts, done });
        if !myself.at_work.replace(true) {
            runtime::spawn(work(context.clone()));
        }
        async move {
            let Ok(Handed { refused, answers }) = handed.await else { return Vec::new() };
            let refused = refused.into_iter().map(|(place, rejected)| (place, Err(rejected)));
            let answered = answers.await.into_iter().map(|(place, answer)| (place, Ok(answer)));
            refused.chain(answered).collect()
        }
    }
}

/// One job after another, until there is none.
async fn work(context: Rc<Context>) {
    loop {
        let next = context.repacker.queue.borrow_mut().pop_front();
        let Some(Job { parts, done }) = next else { break };
        let packed = runtime::blocking(move || parts.into_iter().map(pack).collect::<Vec<_>>()).await;
        context.shards.credit().await;
        drop(done.send(hand_over(&context, packed)));
    }
    context.repacker.at_work.set(false);
}

fn pack(mut unpacked: Unpacked) -> Result<Unpacked, (Place, Rejected)> {
    match unpacked.part.batch.clone().stored(&unpacked.rules) {
        Ok(batch) => {
            unpacked.part.batch = batch;
            Ok(unpacked)
        }
        Err(rejected) => Err((unpacked.place, rejected)),
    }
}

/// Sends what was packed to its shards, in one go.
fn hand_over(context: &Context, packed: Vec<Result<Unpacked, (Place, Rejected)>>) -> Handed {
    let mut parts = PerShard::default();
    let mut refused = Vec::new();
    for unpacked in packed {
        match unpacked {
            Ok(Unpacked { place, owner, part, .. }) => parts.add(owner, place, part),
            Err(rejected) => refused.push(rejected),
        }
    }
    Handed { refused, answers: Box::pin(ask(context, parts)) }
}

/// Sends parts at the call.
pub fn ask(
    context: &Context,
    parts: PerShard<Place, AppendPart>,
) -> impl Future<Output = Vec<(Place, Option<AppendResult>)>> + use<> {
    parts.ask(
        &context.shards,
        |parts| Request::Append { parts },
        |reply| match reply {
            Reply::Append(results) => Some(results),
            _ => None,
        },
    )
}
