//! One connection: reads frames, has them served in order of arrival, sends answers in that order.
//!
//! ```text
//! socket -> Frames -> Dispatch::serve, polled once -> Replies -> socket
//!           reading task                              writing task
//! ```

use super::connections::Connections;
use super::drowsiness::Drowsiness;
use super::frames::{FrameError, Frames};
use super::replies::{Batch, Charges, Outgoing, Replies};
use crate::exchange::{Answer, Closing, Peer};
use bytes::Bytes;
use futures_util::future::{Either, select};
use odradek_shards::budget::Charge;
use odradek_shards::runtime::net::{Closer, ReadHalf, WriteHalf};
use odradek_shards::runtime::{self, Instant};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tracing::{debug, warn};

/// Frames started before other tasks of the shard get a turn.
const FRAMES_PER_TURN: usize = 64;
/// How long a large request may wait, half received, for memory that other requests hold.
const MEMORY_WAIT_MAX: Duration = Duration::from_secs(10);
/// Bytes sent before the connection counts as active again.
const STEP_BYTES: usize = 1 << 20;
/// How long answers may still leave after the peer's last byte.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// What the two tasks share, and what the shard's sweep looks at.
pub struct Connection {
    pub peer: Rc<Peer>,
    closer: Closer,
    replies: RefCell<Replies>,
    active: Cell<Instant>,
    drowsiness: RefCell<Drowsiness>,
    sending: Cell<bool>,
    state: Cell<State>,
    reader: Seat,
    starter: Seat,
    writer: Seat,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Open,
    /// No more requests are read; those under way are still answered.
    Draining,
    Closed,
}

/// Why a connection ended by our doing.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Request(Closing),
    #[error("no memory came free for the rest of its request; see odradek.request.memory.bytes")]
    NoMemory,
}

impl Connection {
    pub fn new(peer: Rc<Peer>, closer: Closer) -> Self {
        Self {
            peer,
            closer,
            replies: RefCell::default(),
            active: Cell::new(runtime::now()),
            drowsiness: RefCell::default(),
            sending: Cell::new(false),
            state: Cell::new(State::Open),
            reader: Seat::default(),
            starter: Seat::default(),
            writer: Seat::default(),
        }
    }

    /// True when no byte moved for `idle_max`.
    pub fn is_idle(&self, now: Instant, idle_max: Duration) -> bool {
        now.saturating_since(self.active.get()) >= idle_max
    }

    /// True when the peer has taken nothing of what it asked for in this time.
    pub fn is_stalled(&self, now: Instant, stall_max: Duration) -> bool {
        self.sending.get() && self.is_idle(now, stall_max)
    }

    /// Ends both tasks at their next turn.
    pub fn close(&self) {
        self.enter(State::Closed);
        self.closer.close();
    }

    fn enter(&self, state: State) {
        if self.state.get() != State::Closed {
            self.state.set(state);
        }
        self.reader.wake();
        self.starter.wake();
        self.writer.wake();
    }

    fn is_closed(&self) -> bool {
        self.state.get() == State::Closed
    }

    fn touch(&self) {
        self.active.set(runtime::now());
    }

    /// Completes when the connection is closed. For the reading task, once it reads no more.
    async fn closed(&self) {
        poll_fn(|context| if self.is_closed() { Poll::Ready(()) } else { self.reader.park(context) }).await;
    }

    /// Completes when another request may be started, or none ever will.
    async fn room(&self) {
        poll_fn(|context| {
            let free = self.is_closed() || self.replies.borrow().has_room();
            if free { Poll::Ready(()) } else { self.starter.park(context) }
        })
        .await;
    }

    /// The next thing to do with the socket; `None` when all is sent and no more will come.
    async fn batch(&self) -> Option<Batch> {
        poll_fn(|context| self.poll_batch(context)).await
    }

    fn poll_batch(&self, context: &mut Context<'_>) -> Poll<Option<Batch>> {
        if self.is_closed() {
            return Poll::Ready(None);
        }
        let mut replies = self.replies.borrow_mut();
        let batch = replies.poll_batch(context);
        if replies.has_room() {
            self.starter.wake();
        }
        match batch {
            Poll::Ready(batch) => Poll::Ready(Some(batch)),
            Poll::Pending if self.state.get() == State::Draining && replies.is_empty() => Poll::Ready(None),
            Poll::Pending => self.writer.park(context),
        }
    }

    /// Starts a request and polls it once, so that its ordered part is done before the next frame's.
    fn start(&self, frame: Bytes, charges: Charges, shard: &Connections) {
        self.drowsiness.borrow_mut().hear(shard.dispatch.may_wait(&frame), self.active.get());
        let mut serving = shard.dispatch.serve(frame, &self.peer);
        let polled = match serving.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Ok(answer),
            Poll::Pending => Err(serving),
        };
        if matches!(polled, Ok(Answer::Close(_))) {
            self.state.set(State::Draining);
        }
        self.replies.borrow_mut().push(polled, charges);
        self.writer.wake();
    }
}

/// Where one task waits for another.
#[derive(Default)]
struct Seat(RefCell<Option<Waker>>);

impl Seat {
    fn park<T>(&self, context: &Context<'_>) -> Poll<T> {
        *self.0.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }

    fn wake(&self) {
        let waker = self.0.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The reading task: runs until the peer, a fault or the broker ends the connection.
pub async fn read(mut half: ReadHalf, connection: &Connection, shard: &Connections) {
    if let Err(fault) = read_frames(&mut half, connection, shard).await {
        tell(&fault, connection, shard);
    }
    connection.enter(State::Draining);
    let drained = pin!(connection.closed());
    select(drained, pin!(runtime::sleep(DRAIN_MAX))).await;
    connection.close();
}

async fn read_frames(half: &mut ReadHalf, connection: &Connection, shard: &Connections) -> Result<(), Fault> {
    let mut frames = Frames::new(shard.settings.request_bytes_max);
    let mut held = Vec::new();
    loop {
        start_whole(&mut frames, &mut held, connection, shard).await?;
        half.doze(connection.drowsiness.borrow().is_drowsy());
        if connection.state.get() != State::Open {
            return Ok(());
        }
        if frames.at_boundary() {
            shard.budget.room().await;
        }
        if let wanted @ 1.. = frames.wanted() {
            held.push(memory(wanted, shard).await?);
        }
        let (space, room) = frames.space();
        match half.read_behind(space, room).await {
            Ok(0) => return Ok(()),
            Ok(count) => frames.filled(count),
            Err(error) => {
                debug!(peer = %connection.peer.address, %error, "a connection failed");
                connection.close();
                return Ok(());
            }
        }
        connection.touch();
    }
}

/// Memory for more of a large frame. Requests half received could wait for each other, hence the limit.
async fn memory(bytes: usize, shard: &Connections) -> Result<Charge, Fault> {
    if let Some(charge) = shard.budget.try_charge(bytes) {
        return Ok(charge);
    }
    let charging = pin!(shard.budget.charge(bytes));
    match select(charging, pin!(runtime::sleep(MEMORY_WAIT_MAX))).await {
        Either::Left((charge, _)) => Ok(charge),
        Either::Right(_) => Err(Fault::NoMemory),
    }
}

/// Starts every whole frame, as fast as the limits allow. `held` is what a large one was charged while it arrived.
async fn start_whole(
    frames: &mut Frames,
    held: &mut Vec<Charge>,
    connection: &Connection,
    shard: &Connections,
) -> Result<(), Fault> {
    let mut started = 0;
    while connection.state.get() == State::Open {
        let Some(frame) = frames.next()? else { break };
        connection.room().await;
        let first = if held.is_empty() { Some(charge(frame.len(), shard).await) } else { None };
        if !shard.dispatch.has_room() {
            shard.dispatch.room().await;
        }
        connection.start(frame, Charges { first, rest: std::mem::take(held) }, shard);
        started += 1;
        if started % FRAMES_PER_TURN == 0 {
            runtime::yield_now().await;
        }
    }
    Ok(())
}

async fn charge(bytes: usize, shard: &Connections) -> Charge {
    match shard.budget.try_charge(bytes) {
        Some(charge) => charge,
        None => shard.budget.charge(bytes).await,
    }
}

/// The writing task: sends answers until the connection is closed or drained.
pub async fn write(mut half: WriteHalf, connection: &Connection, shard: &Connections) {
    while let Some(batch) = connection.batch().await {
        match batch {
            Batch::Write(outgoing) => {
                if outgoing.stirs {
                    connection.drowsiness.borrow_mut().stir(runtime::now());
                    half.wake_reader_at_once();
                }
                connection.sending.set(true);
                if let Err(error) = send(&mut half, outgoing, connection).await {
                    debug!(peer = %connection.peer.address, %error, "an answer could not be sent");
                    break;
                }
                connection.sending.set(false);
            }
            Batch::Close(closing) => {
                tell(&Fault::Request(closing), connection, shard);
                break;
            }
        }
    }
    connection.close();
    // Requests under way see their futures dropped here; none of them holds anything beyond itself.
    drop(connection.replies.take());
}

/// Sends in steps, so that progress can be seen.
async fn send(half: &mut WriteHalf, outgoing: Outgoing, connection: &Connection) -> io::Result<()> {
    let Outgoing { pieces, holds, .. } = outgoing;
    let mut step = Vec::new();
    let mut step_bytes = 0;
    for mut piece in pieces {
        while step_bytes + piece.len() > STEP_BYTES {
            step.push(piece.split_to(STEP_BYTES - step_bytes));
            half.write_pieces(std::mem::take(&mut step)).await?;
            step_bytes = 0;
            connection.touch();
        }
        step_bytes += piece.len();
        step.push(piece);
    }
    half.write_pieces(step).await?;
    connection.touch();
    drop(holds);
    Ok(())
}

fn tell(fault: &Fault, connection: &Connection, shard: &Connections) {
    if let Some(left_out) = shard.closed_by_fault.admit() {
        let Peer { address, listener, .. } = &*connection.peer;
        let client = connection.peer.software();
        warn!(peer = %address, %listener, client, left_out, "closing a connection: {fault}");
    }
}
