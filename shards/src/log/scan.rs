//! Walking through a segment's file from batch to batch, with bounded memory.

use super::limits::{HOP_BYTES, SCAN_BYTES};
use crate::record::{Batch, BatchError, BatchHeader, HEADER_LEN, LOG_OVERHEAD};
use crate::runtime::File;
use bytes::Bytes;
use std::io;

/// The first byte the checksum covers: the attributes.
const CRC_FROM: u64 = 21;

/// A place in a file, and the bytes around it that were read together.
pub(super) struct Scan {
    file: File,
    pub position: u64,
    limit: u64,
    window: Bytes,
    window_at: u64,
    window_bytes: usize,
}

/// What lies at a position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// Its header, and room for all of it below the limit.
    Batch(BatchHeader),
    /// The limit.
    End,
    /// Preallocated bytes never written.
    Zeros,
    Torn(BatchError),
}

impl Scan {
    /// Goes through every byte.
    pub fn whole(file: File, from: u64, limit: u64) -> Self {
        Self { file, position: from, limit, window: Bytes::new(), window_at: from, window_bytes: SCAN_BYTES }
    }

    /// Looks at headers only.
    pub fn headers(file: File, from: u64, limit: u64) -> Self {
        Self { window_bytes: HOP_BYTES, ..Self::whole(file, from, limit) }
    }

    /// Reads `bytes` at a time.
    pub fn window(file: File, from: u64, limit: u64, bytes: usize) -> Self {
        Self { window_bytes: bytes.max(HOP_BYTES), ..Self::whole(file, from, limit) }
    }

    /// `bytes` were read from the position on already.
    pub fn with_window(self, bytes: Option<Bytes>) -> Self {
        match bytes {
            Some(window) => Self { window_at: self.position, window, ..self },
            None => self,
        }
    }

    /// Where it ends.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// The header of a batch elsewhere in the file, if there is one.
    pub async fn header_at(&self, position: u64) -> io::Result<Option<BatchHeader>> {
        let head = self.file.read_at(position, HEADER_LEN).await?;
        Ok(BatchHeader::parse(&head).ok())
    }

    /// What lies at the position, which stays.
    pub async fn peek(&mut self) -> io::Result<Found> {
        let left = self.limit - self.position;
        if left == 0 {
            return Ok(Found::End);
        }
        let head = self.bytes(self.position, left.min(HEADER_LEN as u64) as usize).await?;
        if head.iter().all(|&b| b == 0) {
            return Ok(Found::Zeros);
        }
        Ok(match BatchHeader::parse(&head) {
            Ok(header) if header.size() as u64 <= left => Found::Batch(header),
            Ok(header) => Found::Torn(BatchError::Incomplete { needed: header.size() }),
            Err(error) => Found::Torn(error),
        })
    }

    /// Up to where the file was read.
    pub fn read_until(&self) -> u64 {
        self.window_at + self.window.len() as u64
    }

    pub fn skip(&mut self, header: &BatchHeader) {
        self.position += header.size() as u64;
    }

    /// The whole batch at the position.
    pub async fn batch(&mut self, header: &BatchHeader) -> io::Result<Batch> {
        Ok(Batch { header: *header, bytes: self.bytes(self.position, header.size()).await? })
    }

    /// Whether the batch at the position has the checksum in its header.
    pub async fn check_crc(&mut self, header: &BatchHeader) -> io::Result<bool> {
        let end = self.position + header.size() as u64;
        let mut at = self.position + CRC_FROM;
        let mut crc = 0;
        while at < end {
            let bytes = self.some_bytes(at, end).await?;
            crc = crc32c::crc32c_append(crc, &bytes);
            at += bytes.len() as u64;
        }
        Ok(crc == header.crc)
    }

    /// Whether a message of format v0 or v1 lies at the position:
    /// `offset: i64 · size: i32 · crc: u32 (CRC-32 of all that follows) · magic: i8 ...`.
    pub async fn is_old_message(&mut self) -> io::Result<bool> {
        const FIXED: usize = 16;
        let left = self.limit - self.position;
        if left <= FIXED as u64 {
            return Ok(false);
        }
        let head = self.bytes(self.position, FIXED).await?;
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let end = self.position + LOG_OVERHEAD as u64 + u64::from(word(8));
        let mut at = self.position + FIXED as u64;
        if end > self.limit || end <= at {
            return Ok(false);
        }
        let mut crc = flate2::Crc::new();
        while at < end {
            let bytes = self.some_bytes(at, end).await?;
            crc.update(&bytes);
            at += bytes.len() as u64;
        }
        Ok(crc.sum() == word(12))
    }

    /// Exactly `len` bytes.
    pub async fn bytes(&mut self, at: u64, len: usize) -> io::Result<Bytes> {
        if let Some(bytes) = self.in_window(at, len) {
            return Ok(bytes);
        }
        self.read(at, len.max(self.window_bytes)).await?;
        self.in_window(at, len).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Exactly `len` bytes from the position on; only those that are not in the window are read.
    pub async fn bytes_beside(&mut self, len: usize) -> io::Result<Bytes> {
        let end = self.window_at + self.window.len() as u64;
        let here = usize::try_from(end.saturating_sub(self.position)).unwrap_or(usize::MAX);
        match self.in_window(self.position, here.min(len)) {
            Some(bytes) if here > 0 && here < len => {
                let rest = self.file.read_at(self.position + here as u64, len - here).await?;
                let all = [&bytes[..], &rest[..]].concat();
                if all.len() == len { Ok(all.into()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
            }
            _ => self.bytes(self.position, len).await,
        }
    }

    /// At least one byte from `at`, none past `end`.
    async fn some_bytes(&mut self, at: u64, end: u64) -> io::Result<Bytes> {
        if self.in_window(at, 1).is_none() {
            self.read(at, self.window_bytes).await?;
        }
        let until = end.min(self.window_at + self.window.len() as u64);
        let len = until.saturating_sub(at).max(1) as usize;
        self.in_window(at, len).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    async fn read(&mut self, at: u64, len: usize) -> io::Result<()> {
        let len = (self.limit - at).min(len as u64) as usize;
        self.window = self.file.read_at(at, len).await?;
        self.window_at = at;
        Ok(())
    }

    fn in_window(&self, at: u64, len: usize) -> Option<Bytes> {
        let from = usize::try_from(at.checked_sub(self.window_at)?).ok()?;
        let to = from.checked_add(len)?;
        (to <= self.window.len()).then(|| self.window.slice(from..to))
    }
}
