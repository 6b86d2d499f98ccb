//! Owns a handle to a directory of a simulated disk.

use super::disk::{Disk, Operation};
use super::file::{Access, File};
use super::node::{DirectoryNode, FileNode, Node, NodeId};
use crate::runtime::directory::too_long;
use crate::runtime::{Entry, OpenMode, Removed};
use crate::types::Timestamp;
use std::io;
use std::path::{Path, PathBuf};

/// A sync of the file system takes longer than anything else, and others write meanwhile.
const FILE_SYSTEM_SYNC_DELAYS: usize = 8;

pub(in crate::runtime) struct Directory {
    disk: Disk,
    node: NodeId,
    life: u64,
    path: PathBuf,
}

impl Directory {
    pub(super) fn new(disk: Disk, node: NodeId, life: u64, path: PathBuf) -> Self {
        Self { disk, node, life, path }
    }

    pub(in crate::runtime) fn path(&self) -> &Path {
        &self.path
    }

    pub(in crate::runtime) async fn create_dir(&self, name: &str) -> io::Result<Self> {
        self.opening().await?;
        {
            let mut state = self.disk.state();
            if state.directory(self.node).get(name).is_none() {
                let created = state.create(Node::Directory(DirectoryNode::default()));
                state.directory(self.node).insert(name, created);
            }
        }
        self.child(name)
    }

    pub(in crate::runtime) async fn open_dir(&self, name: &str) -> io::Result<Self> {
        self.opening().await?;
        self.child(name)
    }

    pub(in crate::runtime) async fn list(&self) -> io::Result<Vec<Entry>> {
        self.opening().await?;
        let mut state = self.disk.state();
        let names: Vec<(String, NodeId)> =
            state.directory(self.node).names().map(|(name, node)| (name.clone(), node)).collect();
        let describe = |(name, node): (String, NodeId)| match &state.nodes[node] {
            Node::File(file) => Entry { name, is_dir: false, len: file.len() },
            Node::Directory(_) => Entry { name, is_dir: true, len: 0 },
        };
        Ok(names.into_iter().map(describe).collect())
    }

    pub(in crate::runtime) fn exists(&self, name: &str) -> io::Result<bool> {
        let mut state = self.disk.state();
        state.check_life(self.life)?;
        Ok(state.directory(self.node).get(name).is_some())
    }

    pub(in crate::runtime) async fn open_file(&self, name: &str, mode: OpenMode) -> io::Result<File> {
        self.opening().await?;
        let access = match mode {
            OpenMode::Read => Access::Read,
            OpenMode::Write { synced: false, .. } => Access::Write,
            OpenMode::Write { synced: true, .. } => Access::SyncedWrite,
        };
        let mut state = self.disk.state();
        let found = state.directory(self.node).get(name);
        let node = match found {
            Some(node) => node,
            None if matches!(mode, OpenMode::Write { create: true, .. }) => {
                let created = state.create(Node::File(FileNode::default()));
                state.directory(self.node).insert(name, created);
                created
            }
            None => return Err(self.fault(name, libc::ENOENT)),
        };
        match state.nodes[node] {
            Node::File(_) => Ok(File::new(self.disk.clone(), node, self.life, access)),
            Node::Directory(_) => Err(self.fault(name, libc::EISDIR)),
        }
    }

    pub(in crate::runtime) async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change().await?;
        let mut state = self.disk.state();
        let directory = state.directory(self.node);
        let moved = directory.get(from).ok_or_else(|| self.fault(from, libc::ENOENT))?;
        let Some(replaced) = directory.get(to) else {
            directory.rename(from, to);
            return Ok(());
        };
        match (&state.nodes[moved], &state.nodes[replaced]) {
            (Node::File(_), Node::Directory(_)) => return Err(self.fault(to, libc::EISDIR)),
            (Node::Directory(_), Node::File(_)) => return Err(self.fault(to, libc::ENOTDIR)),
            (Node::Directory(_), Node::Directory(full)) if full.names().next().is_some() => {
                return Err(self.fault(to, libc::ENOTEMPTY));
            }
            _ => {}
        }
        state.directory(self.node).rename(from, to);
        Ok(())
    }

    pub(in crate::runtime) async fn remove_file(&self, name: &str) -> io::Result<()> {
        self.change().await?;
        let mut state = self.disk.state();
        let found = state.directory(self.node).get(name).ok_or_else(|| self.fault(name, libc::ENOENT))?;
        if matches!(state.nodes[found], Node::Directory(_)) {
            return Err(self.fault(name, libc::EISDIR));
        }
        state.directory(self.node).remove(name);
        Ok(())
    }

    pub(in crate::runtime) async fn remove_some(&self, name: &str, bytes_max: u64) -> io::Result<Removed> {
        self.disk.state().check_life(self.life)?;
        let node = self.file(name)?;
        let len = self.disk.state().file(node).len();
        if len <= bytes_max {
            self.remove_file(name).await?;
            return Ok(Removed { bytes: len, is_gone: true });
        }
        let file = File::new(self.disk.clone(), node, self.life, Access::Write);
        file.truncate(len - bytes_max).await?;
        Ok(Removed { bytes: bytes_max, is_gone: false })
    }

    pub(in crate::runtime) async fn remove_dir_all(&self, name: &str) -> io::Result<()> {
        self.change().await?;
        let mut state = self.disk.state();
        let found = state.directory(self.node).get(name).ok_or_else(|| self.fault(name, libc::ENOENT))?;
        if matches!(state.nodes[found], Node::File(_)) {
            return Err(self.fault(name, libc::ENOTDIR));
        }
        // Emptied bottom up, each directory by itself: a power cut may leave it half removed.
        let mut emptied = vec![found];
        while let Some(directory) = emptied.pop() {
            let names: Vec<(String, NodeId)> =
                state.directory(directory).names().map(|(name, node)| (name.clone(), node)).collect();
            for (name, node) in names {
                state.directory(directory).remove(&name);
                if matches!(state.nodes[node], Node::Directory(_)) {
                    emptied.push(node);
                }
            }
        }
        state.directory(self.node).remove(name);
        Ok(())
    }

    pub(in crate::runtime) async fn modified(&self, name: &str) -> io::Result<Timestamp> {
        self.change().await?;
        let node = self.file(name)?;
        Ok(self.disk.state().file(node).modified)
    }

    pub(in crate::runtime) async fn set_modified(&self, name: &str, time: Timestamp) -> io::Result<()> {
        self.change().await?;
        let node = self.file(name)?;
        self.disk.state().file(node).modified = time;
        Ok(())
    }

    fn file(&self, name: &str) -> io::Result<NodeId> {
        let mut state = self.disk.state();
        let node = state.directory(self.node).get(name).ok_or_else(|| self.fault(name, libc::ENOENT))?;
        match state.nodes[node] {
            Node::File(_) => Ok(node),
            Node::Directory(_) => Err(self.fault(name, libc::EISDIR)),
        }
    }

    pub(in crate::runtime) async fn sync_file_system(&self) -> io::Result<()> {
        let begun = self.disk.state().begin(Operation::Sync, self.life);
        // It covers what was changed before it, and nothing that is changed meanwhile.
        let dirty: Vec<_> = self.disk.state().nodes.iter().map(Node::dirty).collect();
        for _ in 0..FILE_SYSTEM_SYNC_DELAYS {
            self.disk.delay().await;
        }
        let mut state = self.disk.state();
        state.check_life(self.life)?;
        match begun {
            Ok(()) => state.nodes.iter_mut().zip(dirty).for_each(|(node, dirty)| node.save(dirty)),
            Err(_) => state.nodes.iter_mut().for_each(Node::forget),
        }
        begun
    }

    pub(in crate::runtime) async fn sync(&self) -> io::Result<()> {
        let begun = self.disk.state().begin(Operation::Sync, self.life);
        self.disk.delay().await;
        let mut state = self.disk.state();
        state.check_life(self.life)?;
        let directory = state.directory(self.node);
        match begun {
            Ok(()) => directory.sync(),
            Err(_) => directory.forget_pending(),
        }
        begun
    }

    pub(in crate::runtime) async fn read_whole(&self, name: &str, max: usize) -> io::Result<Vec<u8>> {
        let file = self.open_file(name, OpenMode::Read).await?;
        let len = file.len()?;
        if len > max as u64 {
            return Err(too_long(&self.path.join(name), len, max));
        }
        file.read_at(0, len as usize).await.map(Vec::from)
    }

    pub(in crate::runtime) async fn put_whole(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.put(name, bytes).await.map(drop)
    }

    pub(in crate::runtime) async fn write_whole(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let aside = format!("{name}.tmp");
        self.put(&aside, bytes).await?.sync().await?;
        self.rename(&aside, name).await?;
        self.sync().await
    }

    async fn put(&self, name: &str, bytes: &[u8]) -> io::Result<File> {
        let file = self.open_file(name, OpenMode::Write { create: true, synced: false }).await?;
        file.truncate(0).await?;
        if !bytes.is_empty() {
            file.write_at(bytes, 0).await?;
        }
        Ok(file)
    }

    async fn opening(&self) -> io::Result<()> {
        let begun = self.disk.state().begin_opening(self.life);
        self.begun(begun).await
    }

    async fn change(&self) -> io::Result<()> {
        let begun = self.disk.state().begin(Operation::Change, self.life);
        self.begun(begun).await
    }

    async fn begun(&self, begun: io::Result<()>) -> io::Result<()> {
        self.disk.delay().await;
        begun?;
        self.disk.state().check_life(self.life)
    }

    fn child(&self, name: &str) -> io::Result<Self> {
        let mut state = self.disk.state();
        let node = state.directory(self.node).get(name).ok_or_else(|| self.fault(name, libc::ENOENT))?;
        match state.nodes[node] {
            Node::Directory(_) => Ok(Self::new(self.disk.clone(), node, self.life, self.path.join(name))),
            Node::File(_) => Err(self.fault(name, libc::ENOTDIR)),
        }
    }

    fn fault(&self, name: &str, errno: i32) -> io::Error {
        let error = io::Error::from_raw_os_error(errno);
        io::Error::new(error.kind(), format!("{}: {error}", self.path.join(name).display()))
    }
}
