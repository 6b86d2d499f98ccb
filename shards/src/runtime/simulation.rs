//! Owns the simulated executor: one thread, a virtual clock, and a seed that decides which ready task runs next.

use super::random::Random;
use crate::clock::Instant;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Runs `future` and all it spawns to `future`'s end, on a virtual clock: sleeping takes no time, and the same seed
/// gives the same order of events. Tasks left over at the end are dropped.
///
/// Panics when nothing can make progress any more, or when tasks spin without time passing.
pub fn simulate<T>(seed: u64, future: impl Future<Output = T>) -> T {
    let entered = Entered::enter(seed);
    entered.simulation.run(future)
}

/// Whether the caller runs inside [`simulate`].
pub fn is_active() -> bool {
    CURRENT.with_borrow(Option::is_some)
}

pub(crate) fn virtual_now() -> Option<Instant> {
    CURRENT.with_borrow(|current| current.as_ref().map(|simulation| simulation.now.get()))
}

pub(super) fn virtual_random() -> Option<u64> {
    CURRENT.with_borrow(|current| current.as_ref().map(|simulation| simulation.random.borrow_mut().next_u64()))
}

pub(super) fn current() -> Option<Rc<Simulation>> {
    CURRENT.with_borrow(Clone::clone)
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Simulation>>> = const { RefCell::new(None) };
}

/// More polls than this at one instant is a livelock.
const POLLS_PER_INSTANT: u64 = 10_000_000;

/// The first instant, so that subtracting a few hours stays meaningful.
const START: Instant = Instant::from_nanos(86_400_000_000_000);

const MAIN: u64 = 0;

pub(super) struct Simulation {
    now: Cell<Instant>,
    random: RefCell<Random>,
    tasks: RefCell<BTreeMap<u64, Task>>,
    timers: RefCell<BTreeMap<(Instant, u64), Waker>>,
    ready: Arc<Mutex<Vec<u64>>>,
    last_id: Cell<u64>,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    wake: Arc<TaskWake>,
}

impl Simulation {
    pub(super) fn spawn(&self, future: Pin<Box<dyn Future<Output = ()>>>) {
        let id = self.next_id();
        let wake = self.task_wake(id);
        wake.wake_by_ref();
        self.tasks.borrow_mut().insert(id, Task { future, wake });
    }

    pub(super) fn sleep_until(self: Rc<Self>, deadline: Instant) -> Sleep {
        Sleep { key: (deadline, self.next_id()), simulation: self }
    }

    pub(super) async fn yield_now(&self) {
        let mut yielded = false;
        poll_fn(|cx| {
            if yielded {
                return Poll::Ready(());
            }
            yielded = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut main = pin!(future);
        let wake = self.task_wake(MAIN);
        wake.wake_by_ref();
        let mut polls = 0;
        loop {
            let Some(id) = self.pick() else {
                self.advance();
                polls = 0;
                continue;
            };
            polls += 1;
            assert!(polls < POLLS_PER_INSTANT, "the simulation spins: tasks run and no time passes");
            if id != MAIN {
                self.poll_task(id);
            } else if let Poll::Ready(output) = wake.poll(main.as_mut()) {
                return output;
            }
        }
    }

    /// A ready task, chosen by the seed.
    fn pick(&self) -> Option<u64> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        match ready.len() as u64 {
            0 => None,
            1 => ready.pop(),
            len => Some(ready.swap_remove(self.random.borrow_mut().below(len) as usize)),
        }
    }

    fn poll_task(&self, id: u64) {
        let task = self.tasks.borrow_mut().remove(&id);
        let Some(mut task) = task else { return };
        if task.wake.clone().poll(task.future.as_mut()).is_pending() {
            self.tasks.borrow_mut().insert(id, task);
        }
    }

    /// Nothing is ready: jump to the next timer and wake all that are due.
    fn advance(&self) {
        let next = self.timers.borrow().first_key_value().map(|((deadline, _), _)| *deadline);
        let Some(deadline) = next else {
            panic!("the simulation is stuck at {:?}: no task is ready and no timer is set", self.now.get());
        };
        self.now.set(self.now.get().max(deadline));
        loop {
            let waker = match self.timers.borrow_mut().first_entry() {
                Some(entry) if entry.key().0 <= deadline => entry.remove(),
                _ => return,
            };
            waker.wake();
        }
    }

    fn next_id(&self) -> u64 {
        self.last_id.set(self.last_id.get() + 1);
        self.last_id.get()
    }

    fn task_wake(&self, id: u64) -> Arc<TaskWake> {
        Arc::new(TaskWake { id, queued: AtomicBool::new(false), ready: self.ready.clone() })
    }
}

/// A timer of the virtual clock; dropping it takes it off.
pub(super) struct Sleep {
    simulation: Rc<Simulation>,
    key: (Instant, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.simulation.now.get() >= self.key.0 {
            return Poll::Ready(());
        }
        if self.key.0 < Instant::NEVER {
            self.simulation.timers.borrow_mut().insert(self.key, cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.simulation.timers.borrow_mut().remove(&self.key);
    }
}

struct TaskWake {
    id: u64,
    queued: AtomicBool,
    ready: Arc<Mutex<Vec<u64>>>,
}

impl TaskWake {
    fn poll<F: Future + ?Sized>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        self.queued.store(false, Ordering::Relaxed);
        let waker = Waker::from(self.clone());
        future.poll(&mut Context::from_waker(&waker))
    }
}

impl Wake for TaskWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(self.id);
        }
    }
}

/// The simulation is current on this thread while this lives.
struct Entered {
    simulation: Rc<Simulation>,
}

impl Entered {
    fn enter(seed: u64) -> Self {
        let simulation = Rc::new(Simulation {
            now: Cell::new(START),
            random: RefCell::new(Random::new(seed)),
            tasks: RefCell::default(),
            timers: RefCell::default(),
            ready: Arc::default(),
            last_id: Cell::new(MAIN),
        });
        let before = CURRENT.replace(Some(simulation.clone()));
        assert!(before.is_none(), "a simulation runs inside no other");
        Self { simulation }
    }
}

impl Drop for Entered {
    /// Leftover tasks are dropped while they can still ask the time and spawn.
    fn drop(&mut self) {
        loop {
            let task = self.simulation.tasks.borrow_mut().pop_first();
            if task.is_none() {
                break;
            }
        }
        CURRENT.set(None);
    }
}

#[cfg(test)]
mod tests;
