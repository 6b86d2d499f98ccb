//! Owns how a future is run: tasks, timers, yielding. Knows both executors, and nothing of what they run.

use super::simulation;
use super::sync::oneshot;
use crate::clock::{Instant, now};
use glommio::{Latency, Shares, TaskQueueHandle};
use std::cell::OnceCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
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
        None => spawn_into(future, glommio::executor().current_task_queue()),
    }
}

/// Like [`spawn`], in the task queue of `class`.
pub fn spawn_in(class: Class, future: impl Future<Output = ()> + 'static) {
    match simulation::current() {
        Some(simulation) => simulation.spawn(Box::pin(future)),
        None => spawn_into(future, queue(class)),
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
        None => glommio::timer::sleep(duration.min(LONGEST_SLEEP)).await,
    }
}

/// Sleeps until `deadline`; returns at once when it has passed.
pub async fn sleep_until(deadline: Instant) {
    let left = deadline.saturating_since(now());
    if !left.is_zero() {
        sleep(left).await;
    }
}

/// Lets every other ready task run, and lets the executor look at its rings.
///
/// A plain re-queue would keep the loop among its runnable tasks until the preempt timer (100 ms) and leave finished
/// I/O unseen; an expired timer takes the task off the run queue until the next look.
pub async fn yield_now() {
    if let Some(simulation) = simulation::current() {
        return simulation.yield_now().await;
    }
    let mut timer = pin!(glommio::timer::Timer::new(Duration::from_micros(1)));
    let waited = poll_fn(|cx| match timer.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(false),
        Poll::Pending => Poll::Ready(true),
    });
    match waited.await {
        true => drop(timer.await),
        false => glommio::executor().yield_task_queue_now().await,
    }
}

/// Runs `work` on one of the shard's blocking threads: for system calls that may wait, and for work that takes long. In
/// a simulation it runs at once.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match simulation::current() {
        Some(_) => work(),
        None => glommio::executor().spawn_blocking(work).await,
    }
}

/// A century: keeps "never" within what the kernel's timers can say.
const LONGEST_SLEEP: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Always by way of the queue: `spawn_local` polls the new task at once, inside its parent's borrows.
fn spawn_into(future: impl Future<Output = ()> + 'static, queue: TaskQueueHandle) {
    glommio::spawn_local_into(future, queue).expect("task queues are never removed").detach();
}

struct Queues {
    data: TaskQueueHandle,
    control: TaskQueueHandle,
    background: TaskQueueHandle,
}

thread_local! {
    /// Of the executor on this thread; a thread runs one executor in its life (tests included).
    static QUEUES: OnceCell<(usize, Queues)> = const { OnceCell::new() };
}

fn queue(class: Class) -> TaskQueueHandle {
    QUEUES.with(|cell| {
        let executor = glommio::executor().id();
        let (owner, queues) = cell.get_or_init(|| (executor, Queues::create()));
        assert_eq!(*owner, executor, "a thread runs one executor in its life");
        match class {
            Class::Data => queues.data,
            Class::Control => queues.control,
            Class::Background => queues.background,
        }
    })
}

impl Queues {
    /// No `Latency::Matters`: it shortens the preempt timer, and glommio 0.9 can then park for good.
    fn create() -> Self {
        let queue =
            |shares, name| glommio::executor().create_task_queue(Shares::Static(shares), Latency::NotImportant, name);
        Self { data: queue(1000, "data"), control: queue(500, "control"), background: queue(100, "background") }
    }
}

#[cfg(test)]
mod tests;
