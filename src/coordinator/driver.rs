//! Runs the coordinators of one shard: takes requests from every shard, appends what they decide, keeps their deadlines.

use super::machine::{Machine, Moment, RawRecord, Scene, Ticket};
use super::memory::Memory;
use super::runtime::Runtime;
use crate::coordinator::loader;
use crate::metadata::Image;
use futures_util::future::select;
use odradek_protocol::error::ErrorCode;
use odradek_shards::Shards;
use odradek_shards::clock::Instant;
use odradek_shards::error::{AppendError, Unavailable};
use odradek_shards::mailbox::{self, Envelope, Mesh, Port};
use odradek_shards::message::{Acks, AppendPart, Reply, Request};
use odradek_shards::record::{BatchBuilder, NewRecord, ValidBatch};
use odradek_shards::runtime::sync::Notify;
use odradek_shards::runtime::{self, Class, now, random_u64, sleep_until, spawn_in, wall_clock, yield_now};
use odradek_shards::types::{LeaderEpoch, NodeId, PartitionIndex, ShardId, TopicPartition};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tracing::{error, info, warn};

/// Requests served before other tasks of the shard have their turn.
const REQUESTS_PER_TURN: usize = 64;
/// Deadlines that act before other tasks have their turn.
const EXPIRIES_PER_TURN: usize = 64;
/// Or so long: one of them may have very much to do.
const TURN_MAX: Duration = Duration::from_millis(2);
/// Pause before a partition is read again whose append or read has failed.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);
/// What the clock sleeps until while it does not sleep: no deadline is earlier, so none rings for it.
const AWAKE: Instant = Instant::from_nanos(0);
/// A batch's header, which the machine's records share with.
const BATCH_OVERHEAD: usize = 128;

/// A question to the coordinator of one partition.
pub struct Asking<M: Machine> {
    pub partition: PartitionIndex,
    pub request: M::Request,
}

type AskPort<M> = Port<Asking<M>, <M as Machine>::Reply>;
type AskEnvelope<M> = Envelope<Asking<M>, <M as Machine>::Reply>;

/// A shard's way to all coordinators of a kind, on its way to the shard's thread.
pub struct Berth<M: Machine>(mailbox::Berth<Asking<M>, M::Reply>);

/// One per shard, by index.
pub fn mesh<M: Machine>(shards: u16) -> Vec<Berth<M>> {
    Mesh::new(shards).into_iter().map(Berth).collect()
}

impl<M: Machine> Berth<M> {
    /// `node`: this broker.
    pub fn attach(self, node: NodeId) -> Coordinators<M> {
        let house = Rc::new(House {
            node,
            port: self.0.attach(),
            shards: OnceCell::new(),
            scene: RefCell::default(),
            rooms: RefCell::default(),
            memory: Cell::default(),
            appending: RefCell::default(),
            landed: Notify::new(),
            earlier: Notify::new(),
            sleeping_until: Cell::new(AWAKE),
        });
        Coordinators { house }
    }
}

/// The coordinators of a shard, and the way to those of the others. Clones share it.
pub struct Coordinators<M: Machine> {
    house: Rc<House<M>>,
}

impl<M: Machine> Clone for Coordinators<M> {
    fn clone(&self) -> Self {
        Self { house: self.house.clone() }
    }
}

struct House<M: Machine> {
    node: NodeId,
    port: AskPort<M>,
    shards: OnceCell<Shards>,
    scene: RefCell<Option<Scene>>,
    rooms: RefCell<BTreeMap<PartitionIndex, Rc<Room<M>>>>,
    memory: Cell<Memory>,
    /// Partitions with an append under way, of a state that is there or of one that has gone.
    appending: RefCell<BTreeSet<TopicPartition>>,
    /// Rung when one ends.
    landed: Notify,
    /// Rung when the next deadline became an earlier one.
    earlier: Notify,
    sleeping_until: Cell<Instant>,
}

/// One partition led here.
struct Room<M: Machine> {
    partition: TopicPartition,
    epoch: Cell<LeaderEpoch>,
    /// None while the partition is being read, and after it has gone.
    runtime: RefCell<Option<Runtime<M>>>,
    asked: RefCell<HashMap<Ticket, AskEnvelope<M>>>,
    next_ticket: Cell<u64>,
    /// What its machine held when that was last looked at.
    held: Cell<usize>,
    /// Counts the states there were.
    generation: Cell<u64>,
    is_gone: Cell<bool>,
}

impl<M: Machine> Coordinators<M> {
    /// Starts to serve; `shards` is this shard's handle.
    pub fn open(&self, shards: Shards) {
        assert!(self.house.shards.set(shards).is_ok(), "coordinators are opened once");
        spawn_in(Class::Data, self.house.clone().serve());
        spawn_in(Class::Data, self.house.clone().keep_time());
    }

    /// Asks the coordinator of `partition`, wherever it is; the request is on its way when this returns.
    pub fn ask(
        &self,
        partition: TopicPartition,
        request: M::Request,
    ) -> impl Future<Output = Option<M::Reply>> + use<M> {
        let call =
            self.house.port.call(self.shards().owner(partition), Asking { partition: partition.partition, request });
        async move { call.await.ok() }
    }

    /// The answer to a request that decides nothing, when its coordinator is of this shard and has nothing else to do
    /// before; who gets none [asks](Self::ask).
    pub fn answer_at_once(&self, partition: TopicPartition, request: &M::Request) -> Option<M::Reply> {
        let is_here = self.shards().owner(partition) == self.house.me() && !self.house.port.has_requests_of_its_own();
        let room = is_here.then(|| self.house.rooms.borrow().get(&partition.partition).cloned())??;
        let (answer, deadline) = {
            let mut runtime = room.runtime.borrow_mut();
            let runtime = runtime.as_mut()?;
            (runtime.answer_at_once(self.house.moment(), request), runtime.next_deadline())
        };
        self.house.expect(deadline);
        answer
    }

    /// Another image or configuration is in force: leads what it says.
    pub fn publish(&self, scene: &Scene) {
        *self.house.scene.borrow_mut() = Some(scene.clone());
        self.house.memory.set(self.house.memory.get().limited_to(M::memory(scene).0));
        let led = self.house.led(&scene.image);
        self.house.leave_all_but(&led);
        for (index, (partition, epoch)) in led {
            let room = self.house.rooms.borrow().get(&index).cloned();
            match room {
                Some(room) => {
                    room.epoch.set(epoch);
                    self.house.publish(&room, scene);
                }
                None => self.house.enter(index, partition, epoch),
            }
        }
    }

    /// Ends all of them: what they keep is answered.
    pub fn close(&self) {
        self.house.leave_all_but(&BTreeMap::new());
    }

    fn shards(&self) -> &Shards {
        self.house.shards()
    }
}

impl<M: Machine> House<M> {
    fn shards(&self) -> &Shards {
        self.shards.get().expect("coordinators are opened before they are asked")
    }

    fn me(&self) -> ShardId {
        self.shards().me()
    }

    /// Partitions of the internal topic that this shard coordinates.
    fn led(&self, image: &Image) -> BTreeMap<PartitionIndex, (TopicPartition, LeaderEpoch)> {
        let Some(topic) = image.topics().by_name(M::TOPIC) else { return BTreeMap::new() };
        let led = topic.partitions().filter(|(_, state)| state.leader == self.node);
        led.map(|(index, state)| (index, (TopicPartition { topic: topic.id, partition: index }, state.leader_epoch)))
            .filter(|(_, (partition, _))| self.shards().owner(*partition) == self.me())
            .collect()
    }

    fn enter(self: &Rc<Self>, index: PartitionIndex, partition: TopicPartition, epoch: LeaderEpoch) {
        let room = Rc::new(Room {
            partition,
            epoch: Cell::new(epoch),
            runtime: RefCell::default(),
            asked: RefCell::default(),
            next_ticket: Cell::default(),
            held: Cell::default(),
            generation: Cell::default(),
            is_gone: Cell::default(),
        });
        self.rooms.borrow_mut().insert(index, room.clone());
        spawn_in(Class::Data, self.clone().load(room));
    }

    fn leave_all_but(&self, led: &BTreeMap<PartitionIndex, (TopicPartition, LeaderEpoch)>) {
        let is_led = |index: &PartitionIndex, room: &Rc<Room<M>>| {
            led.get(index).is_some_and(|(partition, _)| *partition == room.partition)
        };
        let mut gone = Vec::new();
        self.rooms.borrow_mut().retain(|index, room| {
            let stays = is_led(index, room);
            if !stays {
                gone.push(room.clone());
            }
            stays
        });
        for room in gone {
            room.is_gone.set(true);
            self.end(&room, ErrorCode::NotCoordinator);
        }
    }

    /// Reads the partition, again and again until it can be, and opens the room.
    async fn load(self: Rc<Self>, room: Rc<Room<M>>) {
        let began = now();
        while !room.is_gone.get() {
            self.landed(room.partition).await;
            let scene = self.scene.borrow().clone().expect("a room is entered because of a scene");
            match loader::load::<M>(self.shards(), room.partition, &scene).await {
                Ok(loaded) if !room.is_gone.get() => {
                    let batch_bytes_max = self.batch_bytes_max(&scene);
                    let runtime = Runtime::new(loaded.machine, loaded.position, batch_bytes_max, self.moment());
                    *room.runtime.borrow_mut() = Some(runtime);
                    let current = self.scene.borrow().clone().expect("it was there before");
                    self.publish(&room, &current);
                    let (partition, took) = (room.partition.partition, began.elapsed().as_millis());
                    if loaded.records > 0 {
                        info!("{}-{partition} loaded: {} records in {took} ms", M::TOPIC, loaded.records);
                    }
                    return;
                }
                Ok(_) => return,
                Err(error) => {
                    let partition = room.partition.partition;
                    warn!("{}-{partition} could not be loaded: {error}; trying again", M::TOPIC);
                    runtime::sleep(RELOAD_PAUSE).await;
                }
            }
        }
    }

    /// No append is under way: the log has all that it will have of the states before.
    async fn landed(&self, partition: TopicPartition) {
        while self.appending.borrow().contains(&partition) {
            self.landed.notified().await;
        }
    }

    /// What the topic takes in one batch.
    fn batch_bytes_max(&self, scene: &Scene) -> usize {
        let overrides = scene.image.configs().of(crate::metadata::ResourceType::Topic, M::TOPIC);
        let config = crate::config::TopicConfig::resolve(overrides, &scene.config);
        (config.max_message_bytes as usize).saturating_sub(BATCH_OVERHEAD)
    }

    fn publish(self: &Rc<Self>, room: &Rc<Room<M>>, scene: &Scene) {
        if let Some(runtime) = room.runtime.borrow_mut().as_mut() {
            runtime.publish(self.moment(), scene);
        }
        self.turned(room);
    }

    /// Requests in, turns out; ends with the shard.
    async fn serve(self: Rc<Self>) {
        let (mut served, mut spent) = (0, Duration::ZERO);
        loop {
            let (envelope, Asking { partition, request }) = self.port.receive().await;
            let began = now();
            self.accept(envelope, partition, request);
            served += 1;
            spent += now() - began;
            if served >= REQUESTS_PER_TURN || spent >= TURN_MAX {
                yield_now().await;
                (served, spent) = (0, Duration::ZERO);
            }
        }
    }

    fn accept(self: &Rc<Self>, envelope: AskEnvelope<M>, index: PartitionIndex, request: M::Request) {
        let Some(room) = self.rooms.borrow().get(&index).cloned() else {
            return envelope.reply(M::refuse(&request, ErrorCode::NotCoordinator));
        };
        let refused = match room.runtime.borrow_mut().as_mut() {
            None => Some((envelope, M::refuse(&request, ErrorCode::CoordinatorLoadInProgress))),
            Some(runtime) => {
                runtime.handle(self.moment(), room.register(envelope), request);
                None
            }
        };
        match refused {
            Some((envelope, refusal)) => envelope.reply(refusal),
            None => self.turned(&room),
        }
    }

    /// Lets go what may leave, begins the next append, and wakes the clock when a deadline came nearer.
    fn turned(self: &Rc<Self>, room: &Rc<Room<M>>) {
        let (released, append, deadline, is_broken) = {
            let mut runtime = room.runtime.borrow_mut();
            let Some(runtime) = runtime.as_mut() else { return };
            self.count(room, runtime.held());
            runtime.warnings().iter().for_each(|warning| warn!("{}: {warning}", M::TOPIC));
            let is_broken = runtime.is_broken();
            let append = if is_broken { None } else { runtime.begin_append() };
            (runtime.released(), append, runtime.next_deadline(), is_broken)
        };
        room.answer(released);
        if is_broken {
            return self.undo(room, AppendError::BatchTooLarge);
        }
        if let Some(records) = append {
            self.appending.borrow_mut().insert(room.partition);
            spawn_in(Class::Data, self.clone().append(room.clone(), records));
        }
        self.expect(deadline);
    }

    /// Wakes the clock when it would sleep too long.
    fn expect(&self, deadline: Option<Instant>) {
        if deadline.is_some_and(|deadline| deadline < self.sleeping_until.get()) {
            self.earlier.notify_one();
        }
    }

    async fn append(self: Rc<Self>, room: Rc<Room<M>>, records: Vec<RawRecord>) {
        let batch = self.batch(&records);
        let generation = room.generation.get();
        let part = AppendPart {
            partition: room.partition,
            batch,
            leader_epoch_expected: Some(room.epoch.get()),
            acks: Acks::All,
        };
        let reply = self.shards().call(self.me(), Request::Append { parts: vec![part] }).await;
        let result = match reply {
            Reply::Append(mut results) => results.pop().unwrap_or(Err(Unavailable::UnknownPartition.into())),
            _ => Err(Unavailable::ShuttingDown.into()),
        };
        self.appending.borrow_mut().remove(&room.partition);
        self.landed.notify_all();
        match result {
            // The state that decided this has gone, and its requests are answered.
            _ if room.generation.get() != generation => {}
            Ok(_) => {
                if let Some(runtime) = room.runtime.borrow_mut().as_mut() {
                    runtime.appended();
                }
                self.turned(&room);
            }
            Err(error) => self.undo(&room, error),
        }
    }

    fn batch(&self, records: &[RawRecord]) -> ValidBatch {
        let codec = M::codec(self.scene.borrow().as_ref().expect("a room is entered because of a scene"));
        let timestamp = wall_clock();
        let mut builder = BatchBuilder::new().codec(codec, None);
        for RawRecord { key, value } in records {
            builder.append(&NewRecord { timestamp, key: Some(key), value: value.as_deref(), headers: &[] });
        }
        builder.build()
    }

    /// The log did not take what was decided: the state goes, and comes back from the log.
    fn undo(self: &Rc<Self>, room: &Rc<Room<M>>, error: AppendError) {
        if room.is_gone.get() {
            return;
        }
        error!("{}-{} could not be appended to: {error}; its state is read again", M::TOPIC, room.partition.partition);
        self.end(room, code_of(error));
        let (house, room) = (self.clone(), room.clone());
        spawn_in(Class::Data, async move {
            runtime::sleep(RELOAD_PAUSE).await;
            house.load(room).await;
        });
    }

    /// Lets passed deadlines act; ends with the shard.
    async fn keep_time(self: Rc<Self>) {
        loop {
            if self.expire() {
                yield_now().await;
                continue;
            }
            let next = self.next_deadline();
            self.sleeping_until.set(next);
            let earlier = self.earlier.notified();
            if next == Instant::NEVER {
                earlier.await;
            } else {
                drop(select(pin!(sleep_until(next)), earlier).await);
            }
            self.sleeping_until.set(AWAKE);
        }
    }

    fn next_deadline(&self) -> Instant {
        let rooms = self.rooms.borrow();
        let deadlines = rooms.values().filter_map(|room| room.runtime.borrow().as_ref()?.next_deadline());
        deadlines.min().unwrap_or(Instant::NEVER)
    }

    /// Deadlines act; whether some may be left for another turn.
    fn expire(self: &Rc<Self>) -> bool {
        let rooms: Vec<_> = self.rooms.borrow().values().cloned().collect();
        let (until, mut acted) = (now() + TURN_MAX, 0);
        let is_over = |acted| acted >= EXPIRIES_PER_TURN || now() >= until;
        for room in rooms {
            while !is_over(acted) && room.expire(self.moment()) {
                acted += 1;
            }
            self.turned(&room);
        }
        is_over(acted)
    }

    /// A state ends: whoever waits for it is answered.
    fn end(&self, room: &Room<M>, error: ErrorCode) {
        let ended = room.runtime.borrow_mut().take();
        room.generation.set(room.generation.get() + 1);
        if let Some(runtime) = ended {
            room.answer(runtime.resign(self.moment(), error));
            assert!(room.asked.borrow().is_empty(), "who resigns answers every request");
        }
        self.count(room, 0);
    }

    fn moment(&self) -> Moment {
        let random = u128::from(random_u64()) << 64 | u128::from(random_u64());
        Moment { now: now(), wall: wall_clock(), random, is_full: self.memory.get().is_full() }
    }

    /// The room's machine holds so many bytes now.
    fn count(&self, room: &Room<M>, held: usize) {
        let before = self.memory.get();
        let memory = before.changed(room.held.replace(held), held);
        self.memory.set(memory);
        if memory.is_short() && !before.is_short() {
            let setting = self.scene.borrow().as_ref().map_or("", |scene| M::memory(scene).1);
            warn!(
                "{} on shard {} holds {} MiB, as much as {setting} lets it: what is new is refused, what is there goes \
                 on; delete what nobody uses, or raise {setting}",
                M::TOPIC,
                self.me(),
                memory.held() >> 20
            );
        }
    }
}

impl<M: Machine> Room<M> {
    fn register(&self, envelope: AskEnvelope<M>) -> Ticket {
        let ticket = Ticket(self.next_ticket.get());
        self.next_ticket.set(ticket.0 + 1);
        self.asked.borrow_mut().insert(ticket, envelope);
        ticket
    }

    fn answer(&self, replies: Vec<(Ticket, M::Reply)>) {
        for (ticket, reply) in replies {
            let envelope = self.asked.borrow_mut().remove(&ticket).expect("a request is answered once");
            envelope.reply(reply);
        }
    }

    fn expire(&self, moment: Moment) -> bool {
        self.runtime.borrow_mut().as_mut().is_some_and(|runtime| runtime.expire(moment))
    }
}

/// What those hear whose records were not appended.
fn code_of(error: AppendError) -> ErrorCode {
    match error {
        AppendError::Unavailable(Unavailable::Storage | Unavailable::FencedLeaderEpoch | Unavailable::ShuttingDown) => {
            ErrorCode::NotCoordinator
        }
        AppendError::BatchTooLarge => ErrorCode::UnknownServerError,
        _ => ErrorCode::CoordinatorNotAvailable,
    }
}
