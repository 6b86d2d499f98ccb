//! Owns the threads of an executor that run calls which block.

use atomic_waker::AtomicWaker;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread::{Builder, JoinHandle};

type Job = Box<dyn FnOnce() + Send>;

/// A few threads and one queue, in the order of arrival. Dropping it waits until all jobs are done.
pub(super) struct Blocking {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    over: bool,
}

impl Blocking {
    /// `prepare` runs first on every thread.
    pub fn start(threads: usize, prepare: impl Fn() + Clone + Send + 'static) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let mut blocking = Self { queue, threads: Vec::new() };
        for _ in 0..threads {
            let (queue, prepare) = (blocking.queue.clone(), prepare.clone());
            let work = move || {
                prepare();
                queue.work();
            };
            blocking.threads.push(Builder::new().name("blocking".into()).spawn(work)?);
        }
        Ok(blocking)
    }

    /// Queues `work` now; the future brings its result, and may be dropped.
    pub fn run<T, F>(&self, work: F) -> impl Future<Output = T> + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let outcome =
            Arc::new(Outcome { value: Mutex::new(None), over: AtomicBool::new(false), waiting: AtomicWaker::new() });
        let ours = Guard(outcome.clone());
        self.queue.push(Box::new(move || {
            let value = work();
            *lock(&ours.0.value) = Some(value);
            drop(ours);
        }));
        poll_fn(move |cx| {
            outcome.waiting.register(cx.waker());
            // Asked first: the job puts its value before it is over.
            let over = outcome.over.load(Ordering::Acquire);
            match lock(&outcome.value).take() {
                Some(value) => Poll::Ready(value),
                None if over => panic!("work on a blocking thread panicked"),
                None => Poll::Pending,
            }
        })
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        lock(&self.queue.state).over = true;
        self.queue.more.notify_all();
        for thread in self.threads.drain(..) {
            // A job that panicked has said so, and its waiter too.
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn push(&self, job: Job) {
        lock(&self.state).jobs.push_back(job);
        self.more.notify_one();
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            // The others go on, and who waits for this one hears of it.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
        }
    }

    /// `None` when all is done and no more will come.
    fn next(&self) -> Option<Job> {
        let waits = |state: &mut State| state.jobs.is_empty() && !state.over;
        let waited = self.more.wait_while(lock(&self.state), waits);
        waited.unwrap_or_else(PoisonError::into_inner).jobs.pop_front()
    }
}

struct Outcome<T> {
    value: Mutex<Option<T>>,
    over: AtomicBool,
    waiting: AtomicWaker,
}

/// The job's side of an outcome: however the job ends, its waiter is told.
struct Guard<T>(Arc<Outcome<T>>);

impl<T> Drop for Guard<T> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Release);
        self.0.waiting.wake();
    }
}

/// No code panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
