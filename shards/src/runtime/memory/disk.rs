//! Owns the nodes of a simulated disk, its faults, and its power.

use super::directory::Directory;
use super::node::{DirectoryNode, FileNode, Node, NodeId};
use crate::runtime::random::Random;
use crate::runtime::{executor, simulation};
use std::backtrace::Backtrace;
use std::cell::{RefCell, RefMut};
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// A disk in memory; clones are the same disk. Everything it does by chance comes from its seed.
#[derive(Clone)]
pub struct Disk(Rc<RefCell<State>>);

/// What a fault can be planted in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Operation {
    Read,
    Write,
    /// Of a file or a directory.
    Sync,
    /// Create, open, list, rename, remove, allocate, truncate.
    Change,
}

/// A step of the engine that the power did not outlast.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct CutPlace {
    pub operation: Operation,
    /// The operation, and the lines that did it and asked for it.
    pub step: String,
    /// A log was being opened, or nothing of the engine was at it: nothing was written for anybody.
    pub is_opening: bool,
}

pub(super) struct State {
    pub(super) random: Random,
    pub(super) nodes: Vec<Node>,
    /// Counts power cuts; handles of an earlier life fail.
    pub(super) life: u64,
    pub(super) in_flight: Vec<Flight>,
    space: Option<u64>,
    failing: Vec<(Operation, u64)>,
    exhausted: bool,
    cut_at: Option<u64>,
    tells_places: bool,
    cut_place: Option<CutPlace>,
    done: [u64; 4],
    last_flight: u64,
}

/// A write that was submitted and has not completed.
pub(super) struct Flight {
    id: u64,
    node: NodeId,
    pos: u64,
    bytes: Vec<u8>,
}

pub(super) const ROOT: NodeId = 0;

impl Disk {
    pub fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(State {
            random: Random::new(seed),
            nodes: vec![Node::Directory(DirectoryNode::default())],
            life: 0,
            in_flight: Vec::new(),
            space: None,
            failing: Vec::new(),
            exhausted: false,
            cut_at: None,
            tells_places: false,
            cut_place: None,
            done: [0; 4],
            last_flight: 0,
        })))
    }

    /// The `nth` such operation from now on fails with EIO; 1 is the next.
    ///
    /// A failed write changed any of its sectors; a failed sync forgets what was dirty, so that the next sync
    /// succeeds without having saved it.
    pub fn fail(&self, operation: Operation, nth: u64) {
        assert!(nth > 0, "the next operation is number 1");
        let mut state = self.state();
        let at = state.done[operation as usize] + nth;
        state.failing.push((operation, at));
    }

    /// Writes and allocations that would make the files longer than `bytes` in all fail with ENOSPC.
    pub fn limit_space(&self, bytes: Option<u64>) {
        self.state().space = bytes;
    }

    /// As long as it is exhausted, whatever opens a file or directory fails with EMFILE, and the disk is as it was.
    pub fn exhaust_descriptors(&self, exhausted: bool) {
        self.state().exhausted = exhausted;
    }

    /// How many such operations were started, failed ones included.
    pub fn operations(&self, operation: Operation) -> u64 {
        self.state().done[operation as usize]
    }

    /// The power goes just before the `nth` operation of any kind from now on; 1 is the next.
    pub fn cut_power_at(&self, nth: u64) {
        assert!(nth > 0, "the next operation is number 1");
        let mut state = self.state();
        state.cut_at = Some(state.done.iter().sum::<u64>() + nth);
    }

    /// The cut that [`Disk::cut_power_at`] asked for has not come yet.
    pub fn is_cut_due(&self) -> bool {
        self.state().cut_at.is_some()
    }

    /// From now on [`Disk::cut_place`] tells places, which takes its time.
    pub fn tell_cut_places(&self) {
        self.state().tells_places = true;
    }

    /// Where [`Disk::cut_power_at`] has cut it, once since it was last asked.
    pub fn cut_place(&self) -> Option<CutPlace> {
        self.state().cut_place.take()
    }

    /// Cuts the power and restores it. Of writes not synced or still in flight a random subset of 512-byte sectors
    /// survives; sizes, names, renames and removals that were not synced may be undone, those of one file whatever
    /// becomes of others. Every open handle fails from now on; open the disk again with
    /// [`super::super::Directory::memory`]. Planted faults are gone.
    pub fn power_cut(&self) {
        self.state().power_cut();
    }

    /// The process is gone and the disk is not: what was written stays, synced or not. To be called when its tasks have
    /// been dropped, which decides their writes in flight. Handles fail and planted faults are gone, as after
    /// [`Disk::power_cut`].
    pub fn process_kill(&self) {
        self.state().process_kill();
    }

    pub(in crate::runtime) fn root(&self) -> Directory {
        Directory::new(self.clone(), ROOT, self.state().life, "/memory".into())
    }

    pub(super) fn state(&self) -> RefMut<'_, State> {
        self.0.borrow_mut()
    }

    /// Lets a seeded time pass, as a disk would; outside a simulation only a turn.
    pub(super) async fn delay(&self) {
        if !simulation::is_active() {
            return std::future::ready(()).await;
        }
        let micros = {
            let mut state = self.state();
            match state.random.below(20) {
                0 => state.random.between(200, 5_000),
                _ => state.random.between(10, 200),
            }
        };
        executor::sleep(Duration::from_micros(micros)).await;
    }
}

impl CutPlace {
    fn here(operation: Operation) -> Self {
        let trace = Backtrace::force_capture().to_string();
        let lines: Vec<_> = trace.lines().filter_map(|line| line.trim().strip_prefix("at ")).collect();
        let is_of_engine =
            |line: &&str| ["/log/", "/journal/", "/shard/", "/partition/"].iter().any(|room| line.contains(room));
        let engine = lines.iter().position(is_of_engine);
        let asking = engine.map_or("no place of the engine", |at| lines[at]);
        // Where one call of the engine is several operations, they are told apart.
        let within = &lines[..engine.unwrap_or(lines.len())];
        let doing = within.iter().rfind(|line| line.contains("/memory/")).unwrap_or(&"no place of the disk");
        let openings = ["open_log", "eftovers", "loader.rs", "restore.rs", "partition_metadata.rs"];
        let is_opening = engine.is_none() || openings.iter().any(|opening| trace.contains(opening));
        Self { operation, step: format!("{operation:?} at {doing}, asked for at {asking}"), is_opening }
    }
}

impl State {
    /// Counts an operation of a handle from life `life`: whether it goes on, and if not, how it fails.
    pub(super) fn begin(&mut self, operation: Operation, life: u64) -> io::Result<()> {
        self.check_life(life)?;
        self.done[operation as usize] += 1;
        if self.cut_at.is_some_and(|at| self.done.iter().sum::<u64>() >= at) {
            self.cut_place = self.tells_places.then(|| CutPlace::here(operation));
            self.power_cut();
            return Err(powerless());
        }
        let count = self.done[operation as usize];
        let planted = self.failing.iter().position(|fault| *fault == (operation, count));
        match planted {
            Some(index) => {
                self.failing.swap_remove(index);
                Err(io::Error::from_raw_os_error(libc::EIO))
            }
            None => Ok(()),
        }
    }

    /// As [`State::begin`], of what needs a descriptor.
    pub(super) fn begin_opening(&mut self, life: u64) -> io::Result<()> {
        match self.exhausted {
            true => Err(io::Error::from_raw_os_error(libc::EMFILE)),
            false => self.begin(Operation::Change, life),
        }
    }

    pub(super) fn check_life(&self, life: u64) -> io::Result<()> {
        if life == self.life { Ok(()) } else { Err(powerless()) }
    }

    pub(super) fn file(&mut self, node: NodeId) -> &mut FileNode {
        match &mut self.nodes[node] {
            Node::File(file) => file,
            Node::Directory(_) => panic!("node {node} was opened as a file"),
        }
    }

    pub(super) fn directory(&mut self, node: NodeId) -> &mut DirectoryNode {
        match &mut self.nodes[node] {
            Node::Directory(directory) => directory,
            Node::File(_) => panic!("node {node} was opened as a directory"),
        }
    }

    pub(super) fn create(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Whether the file may become `len` bytes long.
    pub(super) fn check_space(&mut self, node: NodeId, len: u64) -> io::Result<()> {
        let Some(space) = self.space else { return Ok(()) };
        let growth = len.saturating_sub(self.file(node).len());
        if growth > 0 && self.used(ROOT) + growth > space {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        Ok(())
    }

    pub(super) fn take_off(&mut self, node: NodeId, pos: u64, bytes: &[u8]) -> u64 {
        self.last_flight += 1;
        self.in_flight.push(Flight { id: self.last_flight, node, pos, bytes: bytes.to_vec() });
        self.last_flight
    }

    /// `None` when a power cut took the write.
    pub(super) fn land(&mut self, id: u64) -> Option<Flight> {
        let index = self.in_flight.iter().position(|flight| flight.id == id)?;
        Some(self.in_flight.swap_remove(index))
    }

    pub(super) fn split(&mut self, node: NodeId) -> (&mut FileNode, &mut Random) {
        match &mut self.nodes[node] {
            Node::File(file) => (file, &mut self.random),
            Node::Directory(_) => panic!("node {node} was opened as a file"),
        }
    }

    fn used(&mut self, node: NodeId) -> u64 {
        match &self.nodes[node] {
            Node::File(file) => file.len(),
            Node::Directory(directory) => {
                let children: Vec<NodeId> = directory.names().map(|(_, child)| child).collect();
                children.into_iter().map(|child| self.used(child)).sum()
            }
        }
    }

    fn process_kill(&mut self) {
        self.life += 1;
        self.failing.clear();
        self.exhausted = false;
        self.cut_at = None;
        for node in &mut self.nodes {
            if let Node::File(file) = node {
                file.blocks = Rc::default();
            }
        }
    }

    fn power_cut(&mut self) {
        self.process_kill();
        for flight in std::mem::take(&mut self.in_flight) {
            let (file, random) = self.split(flight.node);
            file.write_partly(flight.pos, &flight.bytes, random);
        }
        for node in &mut self.nodes {
            match node {
                Node::File(file) => file.lose(&mut self.random),
                Node::Directory(directory) => directory.lose(&mut self.random),
            }
        }
    }
}

impl Flight {
    pub(super) fn apply(self, file: &mut FileNode) {
        file.write(self.pos, &self.bytes);
    }

    pub(super) fn apply_partly(self, file: &mut FileNode, random: &mut Random) {
        file.write_partly(self.pos, &self.bytes, random);
    }
}

fn powerless() -> io::Error {
    io::Error::other("the disk lost power")
}
