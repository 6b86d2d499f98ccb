//! Owns the turns of one thread: ready tasks, then the ring, the timers and what other threads woke.

use super::blocking::Blocking;
use super::dozing::{self, Dozing, Place};
use super::readiness::{Readiness, Watched};
use super::remote::Remote;
use super::submission::{Ring, Wait};
use super::tasks::Tasks;
use super::timers::{Timer, Timers};
use crate::clock::{Instant, now};
use crate::runtime::Class;
use async_task::{Builder, Runnable};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A task that is ready, and the class it belongs to.
pub(super) type Task = Runnable<Class>;

/// How one executor runs.
pub(in crate::runtime) struct Setup<P> {
    /// How long it polls before it sleeps in the kernel.
    pub spin: Duration,
    pub blocking_threads: usize,
    /// Runs first on each of those.
    pub prepare: P,
}

pub(super) struct Executor {
    pub ring: RefCell<Ring>,
    /// From the first that dozes on.
    pub dozing: RefCell<Option<Dozing>>,
    tasks: RefCell<Tasks<Task>>,
    timers: RefCell<Timers>,
    remote: Arc<Remote>,
    blocking: Blocking,
    spin: Duration,
    /// Of the task that runs.
    class: Cell<Class>,
    /// A task asked for a look at the ring.
    look: Cell<bool>,
    /// Kept for its memory.
    woken: RefCell<Vec<Waker>>,
}

/// Makes this thread an executor until `main` has ended. Tasks that still wait then are dropped.
pub(in crate::runtime) fn run<T, P, F>(setup: Setup<P>, main: impl FnOnce() -> F) -> io::Result<T>
where
    T: 'static,
    P: Fn() + Clone + Send + 'static,
    F: Future<Output = T> + 'static,
{
    let executor = Rc::new(Executor::new(setup)?);
    let entered = Entered::enter(executor.clone());
    let bell = Watched::new(executor.remote.bell().try_clone_to_owned()?);
    bell.watch();
    let result = Rc::new(Cell::new(None));
    let (main, to) = (main(), result.clone());
    spawn(Class::Data, async move { to.set(Some(main.await)) });
    loop {
        executor.work();
        if let Some(result) = result.take() {
            drop(bell);
            drop(entered);
            return Ok(result);
        }
        bell.watch();
        executor.look()?;
    }
}

/// Starts a task of this thread; it is first polled after its parent has yielded.
pub(in crate::runtime) fn spawn(class: Class, future: impl Future<Output = ()> + 'static) {
    let remote = current().remote.clone();
    let schedule = move |task: Task| match ID.get() == remote.id {
        true => current().tasks.borrow_mut().push(*task.metadata(), task),
        false => remote.wake(task),
    };
    let (task, handle) = Builder::new().metadata(class).spawn_local(|_| future, schedule);
    handle.detach();
    task.schedule();
}

/// The class of the task that runs.
pub(in crate::runtime) fn class() -> Class {
    current().class.get()
}

/// Lets every other ready task run, and the executor look at its ring.
pub(in crate::runtime) fn yield_now() -> impl Future<Output = ()> {
    let mut yielded = false;
    std::future::poll_fn(move |cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        current().look.set(true);
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Ends at `at`.
pub(in crate::runtime) fn add_timer(at: Instant) -> impl Future<Output = ()> {
    Sleep { at, timer: None }
}

/// Runs `work` on a thread that may block.
pub(in crate::runtime) fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = T> {
    current().blocking.run(work)
}

/// The executor of this thread, which must be one.
pub(super) fn current() -> Rc<Executor> {
    try_current().expect("tasks, files and sockets live on the thread of an executor")
}

pub(super) fn try_current() -> Option<Rc<Executor>> {
    CURRENT.with_borrow(Clone::clone)
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Executor>>> = const { RefCell::new(None) };
    /// Of the current executor's door; 0 without one.
    static ID: Cell<u64> = const { Cell::new(0) };
}

/// How long tasks may keep the ring waiting: a finished write, a socket that has become readable.
const TURN: Duration = Duration::from_micros(200);

impl Executor {
    fn new<P: Fn() + Clone + Send + 'static>(setup: Setup<P>) -> io::Result<Self> {
        Ok(Self {
            ring: RefCell::new(Ring::new()?),
            dozing: RefCell::default(),
            tasks: RefCell::new(Tasks::new()),
            timers: RefCell::default(),
            remote: Arc::new(Remote::new()?),
            blocking: Blocking::start(setup.blocking_threads, setup.prepare)?,
            spin: setup.spin,
            class: Cell::new(Class::Data),
            look: Cell::new(false),
            woken: RefCell::default(),
        })
    }

    /// None when the kernel has no room for it: then it stays awake.
    pub fn doze(&self, readiness: Rc<Readiness>) -> Option<Place> {
        let mut dozing = self.dozing.borrow_mut();
        if dozing.is_none() {
            let (empty, bell) = Dozing::new().ok()?;
            *dozing = Some(empty);
            spawn(Class::Data, dozing::rouse(bell));
        }
        dozing.as_mut()?.add(readiness).ok()
    }

    pub fn rise(&self, place: Place) {
        self.dozing.borrow_mut().as_mut().expect("somebody dozes").remove(place);
    }

    /// Runs ready tasks until none is left, one asked for a look, or the turn is over.
    fn work(&self) {
        self.look.set(false);
        let began = now();
        let mut before = began;
        loop {
            let Some((class, ready)) = self.tasks.borrow_mut().next() else { return };
            self.class.set(class);
            for _ in 0..ready {
                let Some(task) = self.tasks.borrow_mut().pop(class) else { break };
                task.run();
                if began.elapsed() >= TURN {
                    break;
                }
            }
            let after = now();
            self.tasks.borrow_mut().charge(class, after - before);
            before = after;
            if self.look.get() || after - began >= TURN {
                return;
            }
        }
    }

    /// Submits, takes what has finished, and sleeps when nothing is ready.
    fn look(&self) -> io::Result<()> {
        self.gather();
        if !self.is_idle() {
            return self.exchange();
        }
        match self.spin.is_zero() {
            true => self.sleep(),
            false => self.spin_and_sleep(),
        }
    }

    fn spin_and_sleep(&self) -> io::Result<()> {
        let until = now() + self.spin;
        while now() < until {
            self.exchange()?;
            self.gather();
            if !self.is_idle() {
                return Ok(());
            }
            std::hint::spin_loop();
        }
        self.sleep()
    }

    /// Without waiting.
    fn exchange(&self) -> io::Result<()> {
        if self.ring.borrow_mut().is_pending() {
            self.ring.borrow_mut().enter(Wait::No)?;
        }
        self.reap();
        Ok(())
    }

    fn sleep(&self) -> io::Result<()> {
        let first = self.timers.borrow().first();
        let wait = match first.map(|first| first.saturating_since(now())) {
            _ if !self.remote.lie_down() => Wait::No,
            Some(Duration::ZERO) => Wait::No,
            Some(left) => Wait::For(left),
            None => Wait::Forever,
        };
        let slept = self.ring.borrow_mut().enter(wait);
        self.remote.get_up();
        self.reap();
        self.gather();
        slept
    }

    fn is_idle(&self) -> bool {
        self.tasks.borrow().is_empty()
    }

    /// Makes ready who waited for what has finished.
    fn reap(&self) {
        let mut woken = self.woken.take();
        self.ring.borrow_mut().reap(&mut woken);
        woken.drain(..).for_each(Waker::wake);
        self.woken.replace(woken);
    }

    /// Makes ready whose time has come, and what other threads woke.
    fn gather(&self) {
        if self.timers.borrow().first().is_some() {
            let now = now();
            while let Some(waker) = { self.timers.borrow_mut().expire(now) } {
                waker.wake();
            }
        }
        while let Some(task) = self.remote.take() {
            self.tasks.borrow_mut().push(*task.metadata(), task);
        }
    }

    /// Drops all tasks, and waits for what the kernel still does with their memory.
    fn wind_down(&self) {
        for _ in 0..ROUNDS_MAX {
            self.gather_all();
            while let Some((class, _)) = { self.tasks.borrow_mut().next() } {
                let task = self.tasks.borrow_mut().pop(class);
                drop(task);
            }
            let given_up = self.ring.borrow_mut().give_up();
            drop(given_up);
            let dozing = self.dozing.borrow().as_ref().map_or(Vec::new(), Dozing::give_up);
            drop(dozing);
            if self.ring.borrow_mut().enter(Wait::For(Duration::from_millis(1))).is_err() {
                break;
            }
            self.reap();
            if self.is_idle() && self.ring.borrow().in_flight() == 0 {
                return;
            }
        }
        self.ring.borrow_mut().leak();
    }

    fn gather_all(&self) {
        self.gather();
        while let Some(waker) = { self.timers.borrow_mut().take_any() } {
            drop(waker);
        }
    }
}

/// Of a millisecond or a bit more: writes that a disk does not finish in that time are left to the kernel.
const ROUNDS_MAX: usize = 5000;

/// A thread that is an executor. At the end, after a panic too, nothing is left to the kernel.
struct Entered(Rc<Executor>);

impl Entered {
    fn enter(executor: Rc<Executor>) -> Self {
        ID.set(executor.remote.id);
        let before = CURRENT.replace(Some(executor.clone()));
        assert!(before.is_none(), "a thread is one executor at a time");
        Self(executor)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.wind_down();
        ID.set(0);
        CURRENT.replace(None);
    }
}

struct Sleep {
    at: Instant,
    timer: Option<Timer>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if now() >= self.at {
            return Poll::Ready(());
        }
        let executor = current();
        let mut timers = executor.timers.borrow_mut();
        let waits = self.timer.is_some_and(|timer| timers.renew(timer, cx.waker()));
        if !waits {
            self.timer = Some(timers.add(self.at, cx.waker().clone()));
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let (Some(timer), Some(executor)) = (self.timer, try_current()) else { return };
        let waker = executor.timers.borrow_mut().remove(timer);
        drop(waker);
    }
}
