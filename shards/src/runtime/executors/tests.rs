use super::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory of its own for a test, removed at its end.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("odradek-shards-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `body` on an executor on a thread of its own.
pub(crate) fn on_executor<T, Fut>(body: impl FnOnce() -> Fut + Send + 'static) -> T
where
    T: Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let setup = ring::Setup { spin: Duration::ZERO, blocking_threads: 2, prepare: || {} };
    std::thread::spawn(move || ring::run(setup, body).unwrap()).join().unwrap()
}

#[test]
fn every_shard_runs_its_main_and_knows_its_name() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let main = move |shard| {
        let sender = sender.clone();
        async move {
            assert_eq!(current_shard(), Some(shard));
            sender.send(shard).unwrap();
        }
    };
    start(&Config::new(3), main).unwrap().join().unwrap();
    let mut ran: Vec<ShardId> = receiver.into_iter().collect();
    ran.sort();
    assert_eq!(ran, [ShardId(0), ShardId(1), ShardId(2)]);
    assert_eq!(current_shard(), None);
}

#[test]
fn each_shard_gets_its_own_belonging() {
    let belongings = vec![String::from("zero"), String::from("one")];
    let main = |shard: ShardId, own: String| async move {
        assert_eq!(own, ["zero", "one"][usize::from(shard.0)]);
    };
    start_each(&Config::new(2), belongings, main).unwrap().join().unwrap();
}

#[test]
fn pinned_and_spinning_shards_run() {
    let spinning = Config { spin: Duration::from_micros(50), ..Config::new(1) };
    start(&spinning, |_| async {}).unwrap().join().unwrap();
    let pinned = Config { pinned: true, ..spinning };
    start(&pinned, |_| async {}).unwrap().join().unwrap();
}

#[test]
fn pinning_more_shards_than_cpus_is_a_fault_that_says_so() {
    let config = Config { pinned: true, ..Config::new(u16::MAX) };
    let fault = setup(&config, ShardId(u16::MAX - 1)).err().unwrap();
    assert!(matches!(fault, StartupFault::TooFewCpus { .. }));
}
