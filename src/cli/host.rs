//! What the configuration asks of the host: cores to run on, a name to be reached by.

use crate::config::Host;
use std::net::ToSocketAddrs;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A name server that does not answer must not hold up the start.
const LOOKUP_MS_MAX: u64 = 1000;

pub fn host() -> Host {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Host { cores, name: reachable_name }
}

/// The host's name when it can be resolved here, else `localhost`.
fn reachable_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_string();
    if !name.is_empty() && resolves(name.clone()) {
        return name;
    }
    tracing::warn!("the host's name {name:?} does not resolve: clients are told localhost; set advertised.listeners");
    "localhost".into()
}

fn resolves(name: String) -> bool {
    let (answer, answered) = mpsc::channel();
    thread::spawn(move || {
        let is_known = (name.as_str(), 0).to_socket_addrs().is_ok_and(|mut addresses| addresses.next().is_some());
        // Nobody listens any more once the wait is over.
        let _ = answer.send(is_known);
    });
    answered.recv_timeout(Duration::from_millis(LOOKUP_MS_MAX)).unwrap_or(false)
}
