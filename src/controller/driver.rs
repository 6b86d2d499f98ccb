//! Runs the controller on shard 0: appends what it decides, publishes what is committed, and only then lets replies go.

use super::appends::{chunks, encoded};
use super::request::{ControllerReply, ControllerRequest};
use super::result::{Decision, Moment};
use super::state::{Settings, State};
use crate::metadata::{Delta, Image, Publisher, ReplayError, Replayer};
use crate::raft::{AppendError, CommittedBatch, Raft, RaftError};
use futures_util::try_join;
use odradek_protocol::records::metadata::MetadataRecord;
use odradek_shards::mailbox::{self, Mesh, Port};
use odradek_shards::record::ControlRecordType;
use odradek_shards::runtime::sync::Notify;
use odradek_shards::runtime::{Instant, now, random_u64, sleep_until, yield_now};
use odradek_shards::types::{LeaderEpoch, Offset, ShardId};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The shard the controller lives on.
const HOME: ShardId = ShardId(0);
/// How often a controller that expects no heartbeat looks at its clock.
const IDLE: Duration = Duration::from_secs(60);

/// Requests decided before other tasks of the shard have their turn.
const REQUESTS_PER_TURN: u64 = 16;

/// The metadata cannot be read or kept any more; the node must stop.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    #[error(transparent)]
    Raft(#[from] RaftError),
    #[error("the metadata log cannot be replayed: {0}")]
    Replay(#[from] ReplayError),
}

/// A shard's way to the controller, on its way to the shard's thread.
pub struct Berth(mailbox::Berth<ControllerRequest, ControllerReply>);

/// One per shard, by index.
pub fn mesh(shards: u16) -> Vec<Berth> {
    Mesh::new(shards).into_iter().map(Berth).collect()
}

impl Berth {
    pub fn attach(self) -> Controller {
        Controller { port: Rc::new(self.0.attach()) }
    }
}

/// What every shard asks the controller through; clones share it.
#[derive(Clone)]
pub struct Controller {
    port: Rc<Port<ControllerRequest, ControllerReply>>,
}

impl Controller {
    /// Asks; the request is on its way when this returns. The reply comes when its effects are in force on every shard.
    pub fn call(&self, request: ControllerRequest) -> impl Future<Output = ControllerReply> + use<> {
        let call = self.port.call(HOME, request);
        async move { call.await.unwrap_or(ControllerReply::NotController) }
    }

    /// On shard 0: replays and publishes the metadata log, and answers requests while this node leads its quorum.
    ///
    /// Ends when the log or its meaning fails. Requests wait until this node leads for the first time. The first call
    /// of `publish` brings everything the log said at start; its delta is over an empty image.
    pub async fn lead<F>(
        &self,
        raft: Raft,
        settings: Settings,
        publish: impl Fn(Arc<Delta>, Arc<Image>) -> F,
    ) -> Result<Infallible, ControllerError>
    where
        F: Future<Output = ()>,
    {
        let office = Office {
            port: self.port.clone(),
            raft,
            settings,
            active: RefCell::new(None),
            has_led: Cell::new(false),
            published: Cell::new(Offset(-1)),
            last_append: Cell::new(Offset(-1)),
            parked: RefCell::default(),
            began: Notify::new(),
        };
        let ended = try_join!(office.publish(Publisher::new(publish)), office.serve(), office.watch());
        office.abdicate();
        let (published, (), ()) = ended?;
        Ok(published)
    }
}

/// A reply that waits until its offset is published.
struct Parked {
    offset: Offset,
    envelope: mailbox::Envelope<ControllerRequest, ControllerReply>,
    reply: ControllerReply,
}

/// The state of a leader, by the epoch it leads.
struct Active {
    epoch: LeaderEpoch,
    state: State,
}

/// All the controller's tasks share.
struct Office {
    port: Rc<Port<ControllerRequest, ControllerReply>>,
    raft: Raft,
    settings: Settings,
    active: RefCell<Option<Active>>,
    has_led: Cell<bool>,
    published: Cell<Offset>,
    last_append: Cell<Offset>,
    /// In the order of their offsets.
    parked: RefCell<VecDeque<Parked>>,
    /// Leading has begun.
    began: Notify,
}

impl Office {
    /// Commits in, images out; parked replies follow them.
    async fn publish<P, F>(&self, mut publisher: Publisher<P>) -> Result<Infallible, ControllerError>
    where
        P: Fn(Arc<Delta>, Arc<Image>) -> F,
        F: Future<Output = ()>,
    {
        let snapshot = self.raft.snapshot();
        snapshot.kraft_version.into_iter().for_each(|level| publisher.set_kraft_version(level));
        publisher.replay(&snapshot.records, snapshot.provenance())?;
        let mut next = self.raft.first_offset();
        loop {
            for batch in self.raft.committed(next).await? {
                next = Offset(batch.last.offset.0 + 1);
                replay(&mut publisher, &batch)?;
            }
            if self.raft.high_watermark() > Some(next) {
                continue;
            }
            self.claim(publisher.replayer());
            if self.settled(&publisher) {
                publisher.publish().await;
                self.published.set(publisher.published());
                self.release();
            }
        }
    }

    /// A new cluster is shown once its first records are committed, not empty.
    fn settled<P, F>(&self, publisher: &Publisher<P>) -> bool
    where
        P: Fn(Arc<Delta>, Arc<Image>) -> F,
        F: Future<Output = ()>,
    {
        !publisher.replayer().settled().is_empty()
    }

    /// Takes office when everything of earlier epochs has been replayed.
    fn claim(&self, replayer: &Replayer) {
        let Some((epoch, start)) = self.raft.leading() else { return };
        let is_current = self.active.borrow().as_ref().is_some_and(|active| active.epoch == epoch);
        if is_current || replayer.provenance().offset < start {
            return;
        }
        let state = State::new(self.settings.clone(), replayer.clone(), &self.moment());
        let records = state.activate(self.raft.bootstrap());
        self.active.replace(Some(Active { epoch, state }));
        self.has_led.set(true);
        if let Err(error) = self.append(&records, true) {
            tracing::error!(%error, "the controller could not begin");
        }
        self.began.notify_all();
    }

    /// Requests in, decisions out.
    async fn serve(&self) -> Result<(), ControllerError> {
        while !self.has_led.get() {
            self.began.notified().await;
        }
        for turn in 1_u64.. {
            let (envelope, request) = self.port.receive().await;
            match self.decide(&request) {
                Some((offset, reply)) if offset > self.published.get() => {
                    self.parked.borrow_mut().push_back(Parked { offset, envelope, reply });
                }
                Some((_, reply)) => envelope.reply(reply),
                None => envelope.reply(ControllerReply::NotController),
            }
            if turn % REQUESTS_PER_TURN == 0 {
                yield_now().await;
            }
        }
        Ok(())
    }

    /// The reply, and the offset it waits for: that of its own records, else of all it may have been decided upon.
    fn decide(&self, request: &ControllerRequest) -> Option<(Offset, ControllerReply)> {
        self.raft.leading()?;
        let moment = self.moment();
        let Decision { records, reply, is_atomic } = self.active.borrow_mut().as_mut()?.state.decide(&moment, request);
        match self.append(&records, is_atomic) {
            Ok(()) => Some((self.last_append.get(), reply)),
            Err(error) => {
                tracing::warn!(%error, "a decision of the controller was not recorded");
                self.abdicate();
                None
            }
        }
    }

    /// Fences brokers that have fallen silent.
    async fn watch(&self) -> Result<(), ControllerError> {
        loop {
            let expiry = self.active.borrow().as_ref().and_then(|active| active.state.next_expiry());
            sleep_until(expiry.unwrap_or(Instant::NEVER).min(now() + IDLE)).await;
            let moment = self.moment();
            let records = self.active.borrow_mut().as_mut().map(|active| active.state.tick(&moment));
            if let Err(error) = self.append(&records.unwrap_or_default(), false) {
                tracing::warn!(%error, "a silent broker was not fenced");
            }
        }
    }

    /// Writes the records and takes them into the state; a state that cannot take what it decided is no state to go on with.
    fn append(&self, records: &[MetadataRecord], is_atomic: bool) -> Result<(), AppendError> {
        let mut active = self.active.borrow_mut();
        let Some(active) = active.as_mut() else { return Ok(()) };
        let values = encoded(records, active.state.image().features());
        for chunk in chunks(values, is_atomic) {
            self.last_append.set(self.raft.append(&chunk)?);
            for value in chunk {
                let record = MetadataRecord::decode_value(value).expect("what was just encoded can be decoded");
                active.state.replay(&record).expect("the controller records only what can be replayed");
            }
        }
        Ok(())
    }

    /// Lets go what is in force everywhere.
    fn release(&self) {
        let published = self.published.get();
        let mut parked = self.parked.borrow_mut();
        while parked.front().is_some_and(|first| first.offset <= published) {
            let Parked { envelope, reply, .. } = parked.pop_front().expect("there is a first");
            envelope.reply(reply);
        }
    }

    /// Whether what was parked will ever be committed is for the next leader to say.
    fn abdicate(&self) {
        self.active.replace(None);
        for Parked { envelope, .. } in self.parked.borrow_mut().drain(..) {
            envelope.reply(ControllerReply::NotController);
        }
    }

    fn moment(&self) -> Moment {
        let next_offset = self.raft.next_offset().unwrap_or(Offset::ZERO);
        Moment { now: now(), next_offset, seed: [random_u64(), random_u64()] }
    }
}

fn replay<P, F>(publisher: &mut Publisher<P>, batch: &CommittedBatch) -> Result<(), ControllerError>
where
    P: Fn(Arc<Delta>, Arc<Image>) -> F,
    F: Future<Output = ()>,
{
    for control in batch.controls.iter().filter(|control| control.kind == ControlRecordType::KRaftVersion) {
        let level = crate::raft::kraft_version(control).map_err(RaftError::from)?;
        publisher.set_kraft_version(level);
    }
    Ok(publisher.replay(&batch.records, batch.last)?)
}

#[cfg(test)]
mod tests;
