//! Owns the threads of the shards: one executor each, watched, and ending the process when one panics.

use super::checks::{StartupFault, cpus};
use super::watchdog::{self, Heartbeat};
use super::{ring, sleep, spawn_in};
use crate::runtime::Class;
use crate::types::ShardId;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::panic::resume_unwind;
use std::sync::{Arc, Once, mpsc};
use std::thread::{Builder, JoinHandle, Thread};
use std::time::Duration;

/// How the shards run.
#[derive(Clone, Debug)]
pub struct Config {
    pub shards: u16,
    /// How long an idle shard polls before it sleeps in the kernel: 0 on shared machines, 50-200 us on dedicated ones.
    pub spin: Duration,
    /// One cpu per shard, in the order of the process's affinity mask.
    pub pinned: bool,
    /// A shard that does not turn for this long ends the process.
    pub stall_limit: Duration,
}

impl Config {
    /// Shards on whichever cpu is free, sleeping when idle.
    pub fn new(shards: u16) -> Self {
        Self { shards, spin: Duration::ZERO, pinned: false, stall_limit: Duration::from_secs(30) }
    }
}

/// Starts the shards and returns when all run; each runs `main` to its end. A panic on any of them ends the process.
/// After a fault some may be running: end the process.
pub fn start<F, Fut>(config: &Config, main: F) -> Result<Executors, StartupFault>
where
    F: Fn(ShardId) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let nothing = vec![(); usize::from(config.shards)];
    start_each(config, nothing, move |shard, ()| main(shard))
}

/// Like [`start`], handing each shard what is its own (a mailbox port, say), by index.
pub fn start_each<T, F, Fut>(config: &Config, belongings: Vec<T>, main: F) -> Result<Executors, StartupFault>
where
    T: Send + 'static,
    F: Fn(ShardId, T) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    assert!(config.shards > 0, "a broker has at least one shard");
    assert_eq!(belongings.len(), usize::from(config.shards));
    abort_when_a_shard_panics();
    let heartbeats: Vec<Arc<Heartbeat>> = belongings.iter().map(|_| Arc::default()).collect();
    let mut starting = Vec::with_capacity(belongings.len());
    for (index, belonging) in belongings.into_iter().enumerate() {
        let shard = ShardId(index as u16);
        let (main, heartbeat) = (main.clone(), heartbeats[index].clone());
        let (up, is_up) = mpsc::channel();
        let setup = setup(config, shard)?;
        let body = move || {
            let main = async move {
                SHARD.set(Some(shard));
                spawn_in(Class::Control, beat(heartbeat.clone()));
                // The starter waits for this, or is gone with the process.
                let _ = up.send(());
                main(shard, belonging).await;
                heartbeat.end();
            };
            setup.pin()?;
            ring::run(setup.executor(), || main)
        };
        let spawned = Builder::new().name(format!("shard-{}", shard.0)).spawn(body);
        starting.push((spawned.map_err(StartupFault::Executor)?, is_up));
    }
    let handles = starting.into_iter().map(|(handle, is_up)| started(handle, &is_up)).collect::<Result<_, _>>()?;
    let patience = u32::try_from(config.stall_limit.as_secs()).unwrap_or(u32::MAX).max(1);
    Ok(Executors { handles, watchdog: watchdog::watch(heartbeats, patience) })
}

type Handle = JoinHandle<io::Result<()>>;

/// Waits until the shard runs: a ring that can't be set up is a fault of the start.
fn started(handle: Handle, is_up: &mpsc::Receiver<()>) -> Result<Handle, StartupFault> {
    match is_up.recv() {
        Ok(()) => Ok(handle),
        Err(_) => match joined(handle) {
            Err(fault) => Err(fault),
            Ok(()) => Err(StartupFault::Executor(io::Error::other("the shard ended before it started"))),
        },
    }
}

/// The end of a shard; a panic there is one here, too.
fn joined(handle: Handle) -> Result<(), StartupFault> {
    handle.join().unwrap_or_else(|panic| resume_unwind(panic)).map_err(StartupFault::Executor)
}

/// The running shards.
pub struct Executors {
    handles: Vec<Handle>,
    watchdog: Thread,
}

impl Executors {
    /// Waits until every shard's `main` returned.
    pub fn join(self) -> Result<(), StartupFault> {
        self.handles.into_iter().try_for_each(joined)?;
        self.watchdog.unpark();
        Ok(())
    }
}

/// The shard that runs on this thread, if one does.
pub fn current_shard() -> Option<ShardId> {
    SHARD.get()
}

thread_local! {
    static SHARD: Cell<Option<ShardId>> = const { Cell::new(None) };
}

/// Of each shard: a rename or sync must not wait behind batches that are being packed.
const BLOCKING_THREADS: usize = 2;

/// Where a shard's thread runs, and how.
struct Setup {
    spin: Duration,
    /// The process's cpus.
    allowed: CpuSet,
    cpu: Option<usize>,
}

fn setup(config: &Config, shard: ShardId) -> Result<Setup, StartupFault> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).map_err(|errno| StartupFault::Executor(errno.into()))?;
    let cpu = match config.pinned {
        true => Some(nth_cpu(&allowed, shard).ok_or(StartupFault::TooFewCpus { asked: config.shards, cpus: cpus() })?),
        false => None,
    };
    Ok(Setup { spin: config.spin, allowed, cpu })
}

fn nth_cpu(allowed: &CpuSet, shard: ShardId) -> Option<usize> {
    (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).nth(usize::from(shard.0))
}

impl Setup {
    /// Binds the calling thread to the shard's cpu, if it has one.
    fn pin(&self) -> io::Result<()> {
        let Some(cpu) = self.cpu else { return Ok(()) };
        let mut alone = CpuSet::new();
        alone.set(cpu)?;
        Ok(sched_setaffinity(THIS_THREAD, &alone)?)
    }

    fn executor(self) -> ring::Setup<impl Fn() + Clone + Send + 'static> {
        let anywhere = move || {
            // Bound like its parent it would be in the shard's way; that is no reason not to run.
            let _ = sched_setaffinity(THIS_THREAD, &self.allowed);
        };
        ring::Setup { spin: self.spin, blocking_threads: BLOCKING_THREADS, prepare: anywhere }
    }
}

const THIS_THREAD: Pid = Pid::from_raw(0);

async fn beat(heartbeat: Arc<Heartbeat>) {
    loop {
        heartbeat.beat();
        sleep(watchdog::BEAT).await;
    }
}

/// In builds that unwind (tests), too: a shard that lost a task is no shard.
fn abort_when_a_shard_panics() {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            report(panic);
            if current_shard().is_some() {
                std::process::abort();
            }
        }));
    });
}

#[cfg(test)]
pub(crate) mod tests;
