//! Running a log's jobs to the end, for callers that have nothing else to do meanwhile.

use super::error::StorageError;
use super::log::Log;
use super::seal::Seal;
use crate::types::Offset;
use std::cell::RefCell;

/// Writes and seals until nothing is pending; returns the stable offset. No other task may run jobs of this log
/// meanwhile; appends may go on, and are written too.
pub async fn settle(log: &RefCell<Log>) -> Result<Offset, StorageError> {
    loop {
        let write = log.borrow_mut().begin_write();
        if let Some(write) = write {
            let written = write.run().await;
            log.borrow_mut().finish_write(written)?;
            continue;
        }
        let seal = log.borrow_mut().begin_seal();
        let Some(seal) = seal else { break };
        let sealed = seal.run().await;
        log.borrow_mut().finish_seal(sealed)?;
    }
    let log = log.borrow();
    log.sound().map(|()| log.stable_offset())
}

/// Brings what a journal has to the segments, which it does not sync; seals those that are full.
pub async fn write_back(log: &RefCell<Log>) -> Result<(), StorageError> {
    loop {
        let write = log.borrow_mut().begin_write_back();
        let Some(write) = write else { break };
        let written = write.run().await;
        log.borrow_mut().finish_write(written)?;
        let seal = log.borrow_mut().begin_seal();
        if let Some(seal) = seal {
            let sealed = seal.run().await;
            log.borrow_mut().finish_seal(sealed)?;
        }
    }
    Ok(())
}

/// As [`settle`], and everything is on stable storage afterwards, whatever the log's durability promises.
#[cfg(test)]
pub(super) async fn secure(log: &RefCell<Log>) -> Result<(), StorageError> {
    settle(log).await?;
    let sync = log.borrow_mut().begin_sync();
    if let Some(sync) = sync {
        let synced = sync.run().await;
        log.borrow_mut().finish_write(synced)?;
    }
    Ok(())
}

/// Tidies an idle log (see [`Log::begin_trim`]); nothing happens when it is not idle.
pub async fn trim(log: &RefCell<Log>) -> Result<(), StorageError> {
    let trim = log.borrow_mut().begin_trim();
    let Some(trim) = trim else { return Ok(()) };
    let trimmed = trim.run().await;
    log.borrow_mut().finish_seal(trimmed)
}

/// Leaves the files as a clean stop must: everything written and synced, exact sizes, indexes, a snapshot of the
/// producers at the end. No job may be under way, and nothing is to be appended any more. After an error the directory
/// must not be marked clean.
pub async fn close(log: &RefCell<Log>) -> Result<(), StorageError> {
    settle(log).await?;
    let last = log.borrow_mut().begin_close();
    finish(log, Some(last)).await
}

/// As [`close`], when many logs are closed: whoever does so syncs their file system once, and then calls
/// [`Log::finish_close`] on each. Only then the log is closed in order.
pub async fn close_unsynced(log: &RefCell<Log>) -> Result<(), StorageError> {
    write_back(log).await?;
    settle(log).await?;
    let last = log.borrow_mut().begin_close_unsynced();
    finish(log, last).await
}

async fn finish(log: &RefCell<Log>, last: Option<Seal>) -> Result<(), StorageError> {
    if let Some(last) = last {
        let done = last.run().await;
        log.borrow_mut().finish_seal(done)?;
    }
    log.borrow_mut().release();
    Ok(())
}
