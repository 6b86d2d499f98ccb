//! Owns how a future is run: tasks, timers, yielding. Knows both executors, and nothing of what they run.

use super::sync::oneshot;
use super::{ring, simulation};
use crate::clock::{Instant, now};
use std::future::Future;
use std::time::Duration;

/// Which share of the core a task draws from when the core is full.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// Produce, fetch, connections: what a client waits for.
    Data,
    /// Raft, controller, heartbeats.
    Control,
    /// Write-back, compaction, deletion: must yield often and never delay the others.
    Background,
}

/// Starts a task of this shard in the class of its caller. It is first polled after the caller yields, never before
/// this returns, and can't be cancelled: tell it to stop by a message.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    match simulation::current() {
        Some(simulation) => simulation.spawn(Box::pin(future)),
        None => ring::spawn(ring::class(), future),
    }
}

/// Like [`spawn`], in `class`.
pub fn spawn_in(class: Class, future: impl Future<Output = ()> + 'static) {
    match simulation::current() {
        Some(simulation) => simulation.spawn(Box::pin(future)),
        None => ring::spawn(class, future),
    }
}

/// Like [`spawn`], with a future of the task's result. Dropping that future does not stop the task.
pub fn spawn_joined<T: 'static>(future: impl Future<Output = T> + 'static) -> impl Future<Output = T> {
    let (sender, receiver) = oneshot();
    spawn(async move {
        sender.send(future.await);
    });
    async move { receiver.await.expect("a task runs to its end: nothing cancels it, and a panic ends the process") }
}

/// Sleeps at least this long. `Duration::ZERO` is a [`yield_now`].
pub async fn sleep(duration: Duration) {
    if duration.is_zero() {
        return yield_now().await;
    }
    match simulation::current() {
        Some(simulation) => simulation.sleep_until(now() + duration).await,
        None => ring::add_timer(now() + duration).await,
    }
}

/// Sleeps until `deadline`; returns at once when it has passed.
pub async fn sleep_until(deadline: Instant) {
    let left = deadline.saturating_since(now());
    if !left.is_zero() {
        sleep(left).await;
    }
}

/// Lets every other ready task run, and lets the executor look at its ring.
pub async fn yield_now() {
    match simulation::current() {
        Some(simulation) => simulation.yield_now().await,
        None => ring::yield_now().await,
    }
}

/// Runs `work` on one of the shard's blocking threads: for system calls that may wait, and for work that takes long. In
/// a simulation it runs at once.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match simulation::current() {
        Some(_) => work(),
        None => ring::blocking(work).await,
    }
}

#[cfg(test)]
mod tests;
