//! A broker of a test's own: a process on a free port, its data in a directory that goes with it.

use crate::wire::Wire;
use odradek_protocol::messages::CreateTopicsRequest;
use odradek_protocol::messages::create_topics_request::CreatableTopic;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a broker may take to say that it is ready.
const READY_MAX: Duration = Duration::from_secs(60);

pub struct Broker {
    process: Option<Child>,
    address: SocketAddr,
    dir: TempDir,
    overrides: Vec<String>,
}

impl Broker {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With these settings besides; `$DATA` in them is where its data lies.
    pub fn start_with(overrides: &[&str]) -> Self {
        let mut broker = Self {
            process: None,
            address: free_address(),
            dir: TempDir::new(),
            overrides: overrides.iter().map(ToString::to_string).collect(),
        };
        broker.launch();
        broker
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn connect(&self) -> Wire {
        Wire::connect(self.address)
    }

    pub fn create_topic(&self, name: &str, partitions: i32) {
        let topic = CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
        let response = self.connect().call(7, &request);
        assert_eq!(response.topics[0].error_code, 0, "{:?}", response.topics[0].error_message);
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("a broker to kill");
        process.kill().expect("its process is there");
        process.wait().expect("a killed process ends");
    }

    /// SIGTERM; how long the stop took.
    pub fn stop(&mut self) -> Duration {
        let mut process = self.process.take().expect("a broker to stop");
        let since = Instant::now();
        let told = Command::new("kill").arg(process.id().to_string()).status().expect("kill is a command everywhere");
        assert!(told.success());
        assert!(process.wait().expect("a stopped process ends").success(), "{}", self.log());
        since.elapsed()
    }

    /// Starts it again on its port and data; how long until it was ready.
    pub fn restart(&mut self) -> Duration {
        if self.process.is_some() {
            self.stop();
        }
        let since = Instant::now();
        self.launch();
        since.elapsed()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Resident bytes of the process.
    pub fn resident_bytes(&self) -> usize {
        let id = self.process.as_ref().expect("a running broker").id();
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("Linux tells of its processes");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a process has memory");
        let kib: usize = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of KiB");
        kib * 1024
    }

    /// Connections whose news may come late: those in epoll sets, which nothing else is watched by.
    pub fn dozing(&self) -> usize {
        let id = self.process.as_ref().expect("a running broker").id();
        let files = fs::read_dir(format!("/proc/{id}/fdinfo")).expect("Linux tells of its processes");
        // A set has several handles, which all tell of the whole.
        let told = files.flatten().map(|file| fs::read_to_string(file.path()).unwrap_or_default());
        let sets: BTreeSet<String> = told.map(|told| set_of(&told)).collect();
        sets.iter().map(|set| set.lines().count()).sum()
    }

    pub fn is_alive(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.try_wait().is_ok_and(|ended| ended.is_none()))
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn launch(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_path()).expect("the directory is writable");
        let before = log.metadata().expect("an open file has a size").len();
        let mut command = Command::new(env!("CARGO_BIN_EXE_odradek"));
        command.arg("start").stderr(log).stdin(Stdio::null()).stdout(Stdio::null()).env_remove("RUST_LOG");
        let listeners = format!("listeners=PLAINTEXT://{}", self.address);
        let log_dirs = format!("log.dirs={}", self.data().display());
        let own = [listeners.as_str(), log_dirs.as_str(), "num.shards=2"];
        for setting in own.into_iter().chain(self.overrides.iter().map(String::as_str)) {
            command.args(["--override", &setting.replace("$DATA", &self.data().display().to_string())]);
        }
        self.process = Some(command.spawn().expect("the binary was built for this test"));
        self.wait_until_ready(before);
    }

    fn wait_until_ready(&mut self, from: u64) {
        let since = Instant::now();
        while !self.says_ready(from) {
            assert!(self.is_alive(), "the broker ended:\n{}", self.log());
            assert!(since.elapsed() < READY_MAX, "the broker is not ready:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn says_ready(&self, from: u64) -> bool {
        let log = self.log();
        let new = &log.as_bytes()[usize::try_from(from).expect("a small file")..];
        BufReader::new(new).lines().map_while(Result::ok).any(|line| line.contains(" ready: "))
    }
}

/// What an epoll set watches, by what the kernel tells of a descriptor.
fn set_of(told: &str) -> String {
    told.lines().filter(|line| line.starts_with("tfd:")).map(|line| format!("{line}\n")).collect()
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the broker's log\n{}", self.log());
        }
    }
}

/// Free a moment ago; tests that run at the same time ask for others.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("a bound listener has an address")
}

struct TempDir(PathBuf);

impl TempDir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("broker-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("the target directory is writable");
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- its data stays in {}", self.0.display());
        } else {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
