//! The connections of one shard: starts them, closes the idle ones in one sweep, closes all at the end.

use super::connection::{self, Connection};
use super::counts::Place;
use super::listener::Incoming;
use crate::exchange::{Dispatch, Peer};
use crate::log_limit::LogLimit;
use odradek_shards::budget::Budget;
use odradek_shards::runtime;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;
use tracing::{debug, warn};

/// How long a connection may take none of its answers while others wait for memory.
const STALL_MAX: Duration = Duration::from_secs(30);

/// What every connection of a shard obeys.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `socket.request.max.bytes`
    pub request_bytes_max: usize,
    /// `connections.max.idle.ms`
    pub idle_max: Duration,
}

/// One shard's connections.
pub struct Connections {
    pub(super) settings: Settings,
    pub(super) dispatch: Rc<dyn Dispatch>,
    pub(super) budget: Budget,
    /// What answers hold until they are sent.
    replies: Budget,
    pub(super) closed_by_fault: LogLimit,
    open: RefCell<HashMap<u64, Rc<Connection>>>,
    stopping: Cell<bool>,
}

impl Connections {
    /// `budget` bounds the bytes of requests that the shard holds, `replies` those of answers.
    pub fn new(settings: Settings, dispatch: Rc<dyn Dispatch>, budget: Budget, replies: Budget) -> Rc<Self> {
        Rc::new(Self {
            settings,
            dispatch,
            budget,
            replies,
            closed_by_fault: LogLimit::default(),
            open: RefCell::default(),
            stopping: Cell::new(false),
        })
    }

    /// Serves a connection that was handed to this shard, until it closes.
    pub fn adopt(self: &Rc<Self>, incoming: Incoming) {
        if self.stopping.get() {
            return;
        }
        let Incoming { accepted, place, listener, number } = incoming;
        let peer = Rc::new(Peer::new(accepted.peer(), listener.as_ref().into(), number));
        let stream = match accepted.adopt() {
            Ok(stream) => stream,
            Err(error) => {
                debug!(peer = %peer.address, %error, "a connection was lost before it was served");
                return;
            }
        };
        let connection = Rc::new(Connection::new(peer, stream.closer()));
        let (read_half, write_half) = stream.split();
        self.open.borrow_mut().insert(number, connection.clone());
        let reading = Rc::new(Opened { shard: self.clone(), connection, number, _place: place });
        let writing = reading.clone();
        runtime::spawn(async move { connection::read(read_half, &reading.connection, &reading.shard).await });
        runtime::spawn(async move { connection::write(write_half, &writing.connection, &writing.shard).await });
    }

    /// Closes connections on which nothing happened for `connections.max.idle.ms`, and those that keep memory for
    /// answers they do not take while others wait for it. Runs as long as the shard.
    pub async fn sweep(self: Rc<Self>) {
        let interval = (self.settings.idle_max / 4).clamp(Duration::from_millis(50), Duration::from_secs(10));
        while !self.stopping.get() {
            runtime::sleep(interval).await;
            let now = runtime::now();
            for connection in self.open.borrow().values() {
                let peer = connection.peer.address;
                if connection.is_idle(now, self.settings.idle_max) {
                    debug!(%peer, "closing an idle connection");
                    connection.close();
                } else if self.replies.is_contended() && connection.is_stalled(now, STALL_MAX) {
                    warn!(%peer, "closing a connection: it takes no answers, and others wait for the memory they hold");
                    connection.close();
                }
            }
        }
    }

    /// Takes no more connections and closes the open ones; answers already on their way are cut.
    pub fn stop(&self) {
        self.stopping.set(true);
        self.open.borrow().values().for_each(|connection| connection.close());
    }
}

/// A connection while either of its tasks runs; leaves the shard's list when both have ended.
struct Opened {
    shard: Rc<Connections>,
    connection: Rc<Connection>,
    number: u64,
    _place: Place,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.shard.open.borrow_mut().remove(&self.number);
    }
}
