//! Accepts connections on shard 0 and hands each to the shard with the fewest.

use super::counts::{ConnectionCounts, Fill, Place};
use crate::log_limit::LogLimit;
use odradek_shards::runtime;
use odradek_shards::runtime::net::{Accepted, Listener, Reaction, reaction};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tracing::{info, warn};

/// Pause after the process or the system ran out of descriptors or memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);
/// How often a full broker looks whether a connection has closed.
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// A connection on its way to the shard that will serve it.
pub struct Incoming {
    pub accepted: Accepted,
    pub place: Place,
    /// Name of the listener it came in by.
    pub listener: Arc<str>,
    /// Unique in this process.
    pub number: u64,
}

static NEXT_CONNECTION: AtomicU64 = AtomicU64::new(0);

/// Accepts as long as the shard runs. `hand_off` takes each connection to `place.shard`.
pub async fn accept_loop(
    listener: Listener,
    name: Arc<str>,
    counts: Arc<ConnectionCounts>,
    hand_off: impl Fn(Incoming) + 'static,
) {
    let (refused, full) = (LogLimit::default(), LogLimit::default());
    loop {
        wait_for_room(&name, &counts, &full).await;
        match listener.accept().await {
            Ok(accepted) => match counts.admit(accepted.peer().ip()) {
                Some(place) => {
                    let number = NEXT_CONNECTION.fetch_add(1, Relaxed);
                    hand_off(Incoming { accepted, place, listener: name.clone(), number });
                }
                None => {
                    if let Some(left_out) = refused.admit() {
                        info!(peer = %accepted.peer(), left_out, "refusing a connection: max.connections.per.ip reached");
                    }
                }
            },
            Err(error) if reaction(&error) == Reaction::Stop => panic!("listener {name} is broken: {error}"),
            Err(error) => go_on_after(&error, &name, &refused).await,
        }
    }
}

/// With `max.connections` open the next one waits in the backlog, as in Kafka.
async fn wait_for_room(name: &str, counts: &ConnectionCounts, told: &LogLimit) {
    let told = counts.fill().and_then(|fill| told.admit().map(|left_out| (fill, left_out)));
    let connections = counts.total();
    match told {
        Some((Fill::Configured, left_out)) => {
            warn!(listener = name, connections, left_out, "max.connections reached: not accepting until one closes");
        }
        Some((Fill::Descriptors, left_out)) => warn!(
            listener = name,
            connections,
            left_out,
            "not accepting until a connection closes: the logs need the other open files; raise RLIMIT_NOFILE \
             (`ulimit -n`, LimitNOFILE in systemd)"
        ),
        None => {}
    }
    while counts.fill().is_some() {
        runtime::sleep(FULL_PAUSE).await;
    }
}

async fn go_on_after(error: &io::Error, name: &str, told: &LogLimit) {
    if reaction(error) == Reaction::Continue {
        return;
    }
    if let Some(left_out) = told.admit() {
        warn!(listener = name, %error, left_out, "cannot accept connections; raise the limit on open files (ulimit -n)");
    }
    runtime::sleep(EXHAUSTED_PAUSE).await;
}
