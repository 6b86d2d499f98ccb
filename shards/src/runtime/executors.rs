//! Owns the threads of the shards: one executor each, watched, and ending the process when one panics.

use super::checks::{StartupFault, cpus};
use super::direct::plain;
use super::watchdog::{self, Heartbeat};
use super::{sleep, spawn_in};
use crate::runtime::Class;
use crate::types::ShardId;
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement, PoolPlacement};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{Pid, Uid};
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::{Arc, Once, mpsc};
use std::thread::Thread;
use std::time::Duration;

/// How the shards run.
#[derive(Clone, Debug)]
pub struct Config {
    pub shards: u16,
    /// How long an idle shard polls before it sleeps in the kernel: 0 on shared machines, 50-200 us on dedicated ones.
    pub spin: Duration,
    /// Bytes of registered I/O memory per shard, lowered to what may be locked. Buffers beyond it come from the heap.
    pub memory_per_shard: usize,
    /// One cpu per shard, in the order of the process's affinity mask.
    pub pinned: bool,
    /// A shard that does not turn for this long ends the process.
    pub stall_limit: Duration,
}

impl Config {
    /// Shards on whichever cpu is free, sleeping when idle.
    pub fn new(shards: u16) -> Self {
        Self {
            shards,
            spin: Duration::ZERO,
            memory_per_shard: 2 << 20,
            pinned: false,
            stall_limit: Duration::from_secs(30),
        }
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
        let spawned = builder(config, shard)?.spawn(move || async move {
            SHARD.set(Some(shard));
            spawn_in(Class::Control, beat(heartbeat.clone()));
            // The starter waits for this, or is gone with the process.
            let _ = up.send(());
            main(shard, belonging).await;
            heartbeat.end();
        });
        starting.push((spawned.map_err(|error| StartupFault::Executor(plain(error)))?, is_up));
    }
    let handles = starting.into_iter().map(|(handle, is_up)| started(handle, &is_up)).collect::<Result<_, _>>()?;
    let patience = u32::try_from(config.stall_limit.as_secs()).unwrap_or(u32::MAX).max(1);
    Ok(Executors { handles, watchdog: watchdog::watch(heartbeats, patience) })
}

/// Waits until the shard runs: rings that can't be set up are a fault of the start.
fn started(handle: ExecutorJoinHandle<()>, is_up: &mpsc::Receiver<()>) -> Result<ExecutorJoinHandle<()>, StartupFault> {
    match is_up.recv() {
        Ok(()) => Ok(handle),
        Err(_) => match handle.join() {
            Err(error) => Err(StartupFault::Executor(plain(error))),
            Ok(()) => Err(StartupFault::Executor(io::Error::other("the shard ended before it started"))),
        },
    }
}

/// The running shards.
pub struct Executors {
    handles: Vec<ExecutorJoinHandle<()>>,
    watchdog: Thread,
}

impl Executors {
    /// Waits until every shard's `main` returned.
    pub fn join(self) -> Result<(), StartupFault> {
        for handle in self.handles {
            handle.join().map_err(|error| StartupFault::Executor(plain(error)))?;
        }
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

/// Operations in flight per ring before glommio submits early.
const RING_DEPTH: usize = 256;

/// Of each shard: a rename or sync must not wait behind batches that are being packed.
const BLOCKING_THREADS: usize = 2;

/// glommio's least.
const MEMORY_MIN_BYTES: usize = 64 << 10;

/// The preempt timer stays at its default: glommio 0.9 parks for good with a shorter one.
fn builder(config: &Config, shard: ShardId) -> Result<LocalExecutorBuilder, StartupFault> {
    let mut builder = LocalExecutorBuilder::new(placement(config, shard)?)
        .name("shard")
        .io_memory(registered_memory(config))
        .ring_depth(RING_DEPTH)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(BLOCKING_THREADS));
    if !config.spin.is_zero() {
        builder = builder.spin_before_park(config.spin);
    }
    Ok(builder)
}

/// glommio spins only when it is bound to cpus: bound to all of them, it spins unpinned.
fn placement(config: &Config, shard: ShardId) -> Result<Placement, StartupFault> {
    let allowed = allowed_cpus();
    if !config.pinned {
        return match config.spin.is_zero() {
            true => Ok(Placement::Unbound),
            false => Ok(Placement::Fenced(online_among(&allowed))),
        };
    }
    match allowed.get(usize::from(shard.0)) {
        Some(cpu) => Ok(Placement::Fixed(*cpu)),
        None => Err(StartupFault::TooFewCpus { asked: config.shards, cpus: allowed.len() }),
    }
}

fn online_among(allowed: &[usize]) -> glommio::CpuSet {
    let online = glommio::CpuSet::online().unwrap_or_else(|_| std::iter::empty().collect());
    online.filter(|location| allowed.contains(&location.cpu))
}

fn allowed_cpus() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else {
        return (0..cpus()).collect();
    };
    (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect()
}

/// The rings of a shard lock this memory three times over. Root may lock what it likes.
fn registered_memory(config: &Config) -> usize {
    let limit = match getrlimit(Resource::RLIMIT_MEMLOCK) {
        Ok((soft, _)) if !Uid::effective().is_root() => usize::try_from(soft).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    config.memory_per_shard.min(limit / (3 * usize::from(config.shards))).max(MEMORY_MIN_BYTES)
}

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
