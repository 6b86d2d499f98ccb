//! Inflating the records of a batch as a bounded stream.

use super::attributes::Codec;
use super::snappy::Snappy;
use super::varint::{Broken, Source};
use super::zstd_stream::ZstdStream;
use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use flate2::bufread::MultiGzDecoder;
use std::io::{self, Read};

/// Bytes inflated at a time.
const WINDOW_BYTES: usize = 16 << 10;

/// The records of a compressed batch as a stream. Memory is the codec's window and one of ours, whatever the input
/// claims; more than `bytes_max` is never inflated.
pub struct Inflater {
    stream: Stream,
    window: Box<[u8]>,
    at: usize,
    end: usize,
    inflated: u64,
    bytes_max: u64,
    ended: bool,
}

enum Stream {
    Plain(Reader<Bytes>),
    Gzip(Box<MultiGzDecoder<Reader<Bytes>>>),
    Snappy(Snappy),
    Lz4(Box<lz4::Decoder<Reader<Bytes>>>),
    /// Not even its memory was to be had.
    Broken,
    Zstd(ZstdStream),
}

impl Inflater {
    /// Over `packed`, the bytes after a batch's header.
    pub fn new(codec: Codec, packed: Bytes, bytes_max: usize) -> Self {
        let stream = match codec {
            Codec::None => Stream::Plain(packed.reader()),
            Codec::Gzip => Stream::Gzip(Box::new(MultiGzDecoder::new(packed.reader()))),
            Codec::Snappy => Stream::Snappy(Snappy::new(packed)),
            Codec::Lz4 => {
                lz4::Decoder::new(packed.reader()).map_or(Stream::Broken, |stream| Stream::Lz4(Box::new(stream)))
            }
            Codec::Zstd => Stream::Zstd(ZstdStream::new(packed)),
        };
        let window = vec![0; WINDOW_BYTES].into_boxed_slice();
        Self { stream, window, at: 0, end: 0, inflated: 0, bytes_max: bytes_max as u64, ended: false }
    }

    /// True when nothing is left; inflates on to find out.
    pub(super) fn is_at_end(&mut self) -> Result<bool, Broken> {
        Ok(self.at == self.end && !self.fill()?)
    }

    /// The next `count` bytes, grown as they come: a false count costs nothing.
    pub(super) fn take(&mut self, count: usize) -> Result<Bytes, Broken> {
        let mut taken = Vec::with_capacity(count.min(WINDOW_BYTES));
        while taken.len() < count {
            if self.at == self.end && !self.fill()? {
                return Err(Broken::Malformed);
            }
            let step = (count - taken.len()).min(self.end - self.at);
            taken.extend_from_slice(&self.window[self.at..self.at + step]);
            self.at += step;
        }
        Ok(taken.into())
    }

    /// Inflates the next piece into the window, which is used up; false at the end of the stream.
    fn fill(&mut self) -> Result<bool, Broken> {
        if self.ended {
            return Ok(false);
        }
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read(&mut self.window),
            Stream::Gzip(stream) => stream.read(&mut self.window),
            Stream::Snappy(stream) => stream.read(&mut self.window),
            Stream::Lz4(stream) => stream.read(&mut self.window),
            Stream::Broken => Err(io::ErrorKind::OutOfMemory.into()),
            Stream::Zstd(stream) => stream.read(&mut self.window),
        };
        let read = read.map_err(|_| Broken::Compression)?;
        (self.at, self.end) = (0, read);
        // Never read again after the end: what follows an lz4 frame is not ours.
        self.ended = read == 0;
        self.inflated += read as u64;
        if self.inflated > self.bytes_max { Err(Broken::TooLarge) } else { Ok(!self.ended) }
    }
}

impl Source for Inflater {
    fn byte(&mut self) -> Result<u8, Broken> {
        if self.at == self.end && !self.fill()? {
            return Err(Broken::Malformed);
        }
        self.at += 1;
        Ok(self.window[self.at - 1])
    }

    fn skip(&mut self, count: u32) -> Result<(), Broken> {
        let mut left = count as usize;
        while left > self.end - self.at {
            left -= self.end - self.at;
            self.at = self.end;
            if !self.fill()? {
                return Err(Broken::Malformed);
            }
        }
        self.at += left;
        Ok(())
    }

    fn pieces(&mut self, count: u32, see: &mut dyn FnMut(&[u8])) -> Result<(), Broken> {
        let mut left = count as usize;
        while left > 0 {
            if self.at == self.end && !self.fill()? {
                return Err(Broken::Malformed);
            }
            let step = left.min(self.end - self.at);
            see(&self.window[self.at..self.at + step]);
            self.at += step;
            left -= step;
        }
        Ok(())
    }

    fn position(&self) -> u64 {
        self.inflated - (self.end - self.at) as u64
    }
}

impl Read for Inflater {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.end && !self.fill().map_err(|broken| io::Error::other(format!("{broken:?}")))? {
            return Ok(0);
        }
        let step = out.len().min(self.end - self.at);
        out[..step].copy_from_slice(&self.window[self.at..self.at + step]);
        self.at += step;
        Ok(step)
    }
}

#[cfg(test)]
mod tests;
