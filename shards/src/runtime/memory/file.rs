//! Owns a handle to a file of a simulated disk.

use super::disk::{Disk, Operation};
use super::node::NodeId;
use bytes::Bytes;
use std::io;

pub(in crate::runtime) struct File {
    disk: Disk,
    node: NodeId,
    life: u64,
    access: Access,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
    SyncedWrite,
}

impl File {
    pub(super) fn new(disk: Disk, node: NodeId, life: u64, access: Access) -> Self {
        Self { disk, node, life, access }
    }

    /// The bytes land at a seeded time, so concurrent writes complete in a seeded order.
    pub(in crate::runtime) async fn write_at(&self, bytes: &[u8], pos: u64) -> io::Result<()> {
        self.check_writable()?;
        let (begun, claim, mut flying) = {
            let mut state = self.disk.state();
            let begun = state.begin(Operation::Write, self.life);
            state.check_life(self.life)?;
            state.check_space(self.node, pos + bytes.len() as u64)?;
            let claim = state.file(self.node).blocks.claim(pos, bytes.len());
            let id = state.take_off(self.node, pos, bytes);
            (begun, claim, Flying { file: self, id: Some(id) })
        };
        self.disk.delay().await;
        claim.finish();
        let landed = flying.id.take();
        let mut state = self.disk.state();
        let flight = landed.and_then(|id| state.land(id));
        let flight = state.check_life(self.life).map(|()| flight.expect("only a power cut takes a flight"))?;
        let (file, random) = state.split(self.node);
        if let Err(planted) = begun {
            flight.apply_partly(file, random);
            return Err(planted);
        }
        flight.apply(file);
        if self.access == Access::SyncedWrite {
            file.sync_range(pos, bytes.len());
        }
        Ok(())
    }

    pub(in crate::runtime) async fn read_at(&self, pos: u64, len: usize) -> io::Result<Bytes> {
        let begun = self.disk.state().begin(Operation::Read, self.life);
        self.disk.delay().await;
        begun?;
        let mut state = self.disk.state();
        state.check_life(self.life)?;
        Ok(state.file(self.node).read(pos, len).into())
    }

    pub(in crate::runtime) async fn sync(&self) -> io::Result<()> {
        let begun = self.disk.state().begin(Operation::Sync, self.life);
        self.disk.delay().await;
        let mut state = self.disk.state();
        state.check_life(self.life)?;
        let file = state.file(self.node);
        match begun {
            Ok(()) => file.sync(),
            Err(_) => file.forget_dirty(),
        }
        begun
    }

    pub(in crate::runtime) async fn pre_allocate(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        self.change().await?;
        let mut state = self.disk.state();
        state.check_space(self.node, len)?;
        let file = state.file(self.node);
        if len > file.len() {
            file.resize(len);
        }
        Ok(())
    }

    pub(in crate::runtime) async fn truncate(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        self.change().await?;
        let mut state = self.disk.state();
        state.check_space(self.node, len)?;
        state.file(self.node).resize(len);
        Ok(())
    }

    pub(in crate::runtime) fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.check_life(self.life)?;
        Ok(state.file(self.node).len())
    }

    async fn change(&self) -> io::Result<()> {
        let begun = self.disk.state().begin(Operation::Change, self.life);
        self.disk.delay().await;
        begun?;
        self.disk.state().check_life(self.life)
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.access {
            Access::Read => Err(io::Error::from_raw_os_error(libc::EBADF)),
            Access::Write | Access::SyncedWrite => Ok(()),
        }
    }
}

/// A write nobody waits for any more: the kernel had it or not.
struct Flying<'a> {
    file: &'a File,
    id: Option<u64>,
}

impl Drop for Flying<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let mut state = self.file.disk.state();
        if let Some(flight) = state.land(id) {
            let (file, random) = state.split(self.file.node);
            if random.coin() {
                flight.apply(file);
            }
        }
    }
}
