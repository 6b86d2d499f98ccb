//! Snappy in the two shapes Kafka's clients send: xerial's chunked framing, and one bare block.

use bytes::{Buf, Bytes};
use std::io;

/// Opens xerial's framing; a version and the lowest compatible version follow, 4 bytes each.
const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const FRAME_HEADER_LEN: usize = 16;
/// Plain bytes in a chunk, as xerial's writer cuts them.
const CHUNK_BYTES: usize = 32 << 10;
/// Snappy's densest element turns 3 bytes into 64.
const RATIO_MAX: usize = 22;

pub(super) struct Snappy {
    packed: Bytes,
    framed: bool,
    chunk: Vec<u8>,
    at: usize,
}

impl Snappy {
    pub(super) fn new(mut packed: Bytes) -> Self {
        let framed = packed.len() >= FRAME_HEADER_LEN && packed.starts_with(&MAGIC);
        if framed {
            packed.advance(FRAME_HEADER_LEN);
        }
        Self { packed, framed, chunk: Vec::new(), at: 0 }
    }

    pub(super) fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() {
            if self.packed.is_empty() {
                return Ok(0);
            }
            self.next_chunk()?;
        }
        let step = out.len().min(self.chunk.len() - self.at);
        out[..step].copy_from_slice(&self.chunk[self.at..self.at + step]);
        self.at += step;
        Ok(step)
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let packed = if self.framed { self.cut_chunk()? } else { std::mem::take(&mut self.packed) };
        let len = snap::raw::decompress_len(&packed).map_err(io::Error::other)?;
        if len > packed.len().saturating_mul(RATIO_MAX) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.chunk.resize(len, 0);
        self.at = 0;
        let inflated = snap::raw::Decoder::new().decompress(&packed, &mut self.chunk).map_err(io::Error::other)?;
        self.chunk.truncate(inflated);
        Ok(())
    }

    fn cut_chunk(&mut self) -> io::Result<Bytes> {
        let len = self.packed.try_get_i32().map_err(io::Error::other)?;
        let len = usize::try_from(len).map_err(io::Error::other)?;
        if len > self.packed.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.packed.split_to(len))
    }
}

/// Packs in xerial's framing, version 1.
pub(super) struct Deflater {
    out: Vec<u8>,
    /// Plain bytes that do not fill a chunk yet.
    chunk: Vec<u8>,
    encoder: snap::raw::Encoder,
}

impl Deflater {
    pub(super) fn new(mut out: Vec<u8>) -> Self {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&1i32.to_be_bytes());
        out.extend_from_slice(&1i32.to_be_bytes());
        Self { out, chunk: Vec::new(), encoder: snap::raw::Encoder::new() }
    }

    pub(super) fn write(&mut self, mut plain: &[u8]) {
        while !plain.is_empty() {
            let (now, later) = plain.split_at(plain.len().min(CHUNK_BYTES - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            plain = later;
            if self.chunk.len() == CHUNK_BYTES {
                self.put_chunk();
            }
        }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        if !self.chunk.is_empty() {
            self.put_chunk();
        }
        self.out
    }

    fn put_chunk(&mut self) {
        let packed = self.encoder.compress_vec(&self.chunk).expect("a chunk is far below snappy's 4 GiB limit");
        self.out.extend_from_slice(&(packed.len() as i32).to_be_bytes());
        self.out.extend_from_slice(&packed);
        self.chunk.clear();
    }
}
