//! A run over its threads: prepare, start all at once, sample the broker at both ends, stop, add up.

use crate::arguments::Run;
use crate::event_loop::{self, Peer};
use crate::failure::Failure;
use crate::process::{Usage, resident_bytes};
use crate::progress::{Bar, Live};
use crate::recorder::{Recorder, Totals, Window};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Barrier, OnceLock};
use std::time::{Duration, Instant};

/// What a run came to.
pub struct Measured {
    pub totals: Totals,
    pub time: Duration,
    pub client: Usage,
    pub broker: Option<Broker>,
}

pub struct Broker {
    pub usage: Usage,
    pub resident_bytes: u64,
}

/// How long a run goes on.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub warm_up: Duration,
    /// `None` = until the peers are done.
    pub duration: Option<Duration>,
    pub count: Option<u64>,
}

const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Span {
    /// As asked for; else `usual` for the time, with a second's warm-up whenever time is what ends the run.
    pub fn of(run: &Run, usual: Option<Duration>) -> Self {
        let duration = run.duration.or(if run.count.is_some() { None } else { usual });
        let warm_up = run.warm_up.unwrap_or(Duration::from_secs(u64::from(duration.is_some())));
        Self { warm_up, duration, count: run.count }
    }
}

/// Runs what `prepare` makes for each thread (from 0), which counts into the recorder it is given.
pub fn measure<F>(run: &Run, span: Span, prepare: F) -> Result<Measured, Failure>
where
    F: Fn(u32, &Rc<RefCell<Recorder>>) -> Result<Vec<Box<dyn Peer>>, Failure> + Sync,
{
    let live = Arc::new(Live::default());
    let (ready, window) = (Barrier::new(run.threads as usize + 1), OnceLock::new());
    let work = |thread| {
        let recorder = Rc::new(RefCell::new(Recorder::new(Arc::clone(&live))));
        let prepared = prepare(thread, &recorder);
        ready.wait();
        ready.wait();
        let (start, window): (Instant, Window) = *window.get().expect("set between the two waits");
        recorder.borrow_mut().begin(window);
        let outcome = prepared.and_then(|mut peers| event_loop::run(&mut peers, &live, start));
        if outcome.is_err() {
            live.stop();
        }
        outcome.map(|()| std::mem::replace(&mut recorder.borrow_mut().totals, Totals::new()))
    };
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..run.threads).map(|thread| scope.spawn(move || work(thread))).collect();
        ready.wait();
        let start = Instant::now();
        let from = start + span.warm_up;
        window.set((start, Window { from, until: span.duration.map(|time| from + time) })).expect("set once");
        ready.wait();
        let mut watch = Watch::new(run.broker_pid, span);
        watch.run(start, from, &live, || threads.iter().all(|thread| thread.is_finished()));
        live.stop();
        let mut totals = Totals::new();
        for thread in threads {
            totals.add(&thread.join().map_err(|_| Failure::Protocol("a thread panicked"))??);
        }
        let ended = totals.last.map_or(Duration::ZERO, |last| last.saturating_duration_since(from));
        Ok(watch.measured(totals, span.duration.unwrap_or(ended)))
    })
}

/// The main thread's view: samples of the processes, and the bar.
struct Watch {
    pid: Option<u32>,
    span: Span,
    client: [Usage; 2],
    broker: [Option<Usage>; 2],
    resident_bytes: u64,
}

impl Watch {
    fn new(pid: Option<u32>, span: Span) -> Self {
        Self { pid, span, client: [Usage::default(); 2], broker: [None; 2], resident_bytes: 0 }
    }

    fn run(&mut self, start: Instant, from: Instant, live: &Live, is_over: impl Fn() -> bool) {
        let whole = self.span.duration.map(|time| self.span.warm_up + time);
        let mut bar = Bar::new(self.span.count, whole);
        sleep_until(from, &is_over);
        self.sample(0);
        let until = whole.map(|time| start + time);
        let mut last = start;
        while !is_over() && until.is_none_or(|until| Instant::now() < until) {
            let next = Instant::now() + LOOK_EVERY;
            sleep_until(until.map_or(next, |until| next.min(until)), &is_over);
            bar.show(live, start.elapsed(), last.elapsed());
            last = Instant::now();
        }
        self.sample(1);
        bar.clear();
    }

    fn sample(&mut self, end: usize) {
        self.client[end] = Usage::of(None).unwrap_or_default();
        if let Some(pid) = self.pid {
            self.broker[end] = Usage::of(Some(pid));
            self.resident_bytes = resident_bytes(Some(pid)).unwrap_or_default();
        }
    }

    fn measured(&self, totals: Totals, time: Duration) -> Measured {
        let broker = match self.broker {
            [Some(from), Some(until)] => Some(Broker { usage: until.since(from), resident_bytes: self.resident_bytes }),
            _ => None,
        };
        Measured { totals, time, client: self.client[1].since(self.client[0]), broker }
    }
}

fn sleep_until(deadline: Instant, is_over: &impl Fn() -> bool) {
    while !is_over() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(LOOK_EVERY));
    }
}
