//! Cuts a byte stream into frames: a 32-bit size, then that many bytes. Does no I/O itself.
//!
//! ```text
//! buffer:  | frame | frame | half a fra........ |      small frames are slices of one buffer
//! large:   | half a large frame................ |      a large frame is read into a buffer of its own,
//!                                                      which grows as its bytes arrive
//! ```

use bytes::{Buf, Bytes, BytesMut};

/// Bytes of the size prefix.
const PREFIX: usize = 4;
/// Read buffer of a quiet connection, and of a busy one.
const BUFFER_MIN: usize = 4 << 10;
const BUFFER_MAX: usize = 64 << 10;
const _: () = assert!(BUFFER_MAX >= LARGE + PREFIX, "a frame that is not large fits the read buffer");
/// Frames above this get their own buffer.
const LARGE: usize = 32 << 10;
/// What a large frame's buffer starts with, until the connection has shown that it sends more.
const LARGE_START: usize = 128 << 10;
/// How much faster than the arrived bytes a large frame's buffer may grow.
const GROWTH: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("frame of {size} bytes exceeds socket.request.max.bytes={max}")]
    TooLarge { size: i32, max: usize },
    #[error("frame size {0} is negative")]
    Negative(i32),
}

/// A stream being cut. `space` and `filled` alternate with reads; `next` takes what is whole.
#[derive(Debug)]
pub struct Frames {
    size_max: usize,
    buffer: BytesMut,
    large: Option<Large>,
    /// Size of the next read buffer; follows how much the connection sends at once.
    renewal: usize,
    /// Size of the largest frame this connection has completed: the credit its next one starts with.
    trusted: usize,
}

#[derive(Debug)]
struct Large {
    size: usize,
    buffer: BytesMut,
}

impl Frames {
    pub fn new(size_max: usize) -> Self {
        Self { size_max, buffer: BytesMut::new(), large: None, renewal: BUFFER_MIN, trusted: 0 }
    }

    /// Bytes that the next call of `space` allocates for a large frame.
    pub fn wanted(&self) -> usize {
        self.large.as_ref().map_or(0, |large| large.growth(self.trusted))
    }

    /// True when nothing of a next frame has arrived.
    pub fn at_boundary(&self) -> bool {
        self.buffer.is_empty() && self.large.is_none()
    }

    /// Behind what this holds the next bytes of the stream belong, and for how many there is room; never for none.
    pub fn space(&mut self) -> (&mut BytesMut, usize) {
        if self.large.is_none() && self.buffer.len() == self.buffer.capacity() {
            self.renew(0);
        }
        match &mut self.large {
            Some(large) => large.space(self.trusted),
            None => {
                let room = self.buffer.capacity() - self.buffer.len();
                (&mut self.buffer, room)
            }
        }
    }

    /// Says that `count` bytes were put into `space`.
    pub fn filled(&mut self, count: usize) {
        match &self.large {
            Some(large) => assert!(large.buffer.len() <= large.size, "a read stays within the space it was given"),
            None if self.buffer.len() == self.buffer.capacity() && count >= self.renewal / 2 => {
                self.renewal = (self.renewal * GROWTH).min(BUFFER_MAX);
            }
            None => {}
        }
    }

    /// The next whole frame, without its prefix.
    ///
    /// # Errors
    /// The stream cannot be followed any further.
    pub fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        if self.large.is_some() {
            return Ok(self.take_large());
        }
        let Some(size) = self.size()? else { return Ok(None) };
        if self.buffer.len() >= PREFIX + size {
            return Ok(Some(self.take_small(size)));
        }
        if size > LARGE {
            self.begin_large(size);
        } else if PREFIX + size > self.buffer.capacity() {
            self.renew(PREFIX + size);
        }
        Ok(None)
    }

    fn size(&self) -> Result<Option<usize>, FrameError> {
        if self.buffer.len() < PREFIX {
            return Ok(None);
        }
        let size = (&self.buffer[..PREFIX]).get_i32();
        match usize::try_from(size) {
            Err(_) => Err(FrameError::Negative(size)),
            Ok(bytes) if bytes > self.size_max => Err(FrameError::TooLarge { size, max: self.size_max }),
            Ok(bytes) => Ok(Some(bytes)),
        }
    }

    fn take_small(&mut self, size: usize) -> Bytes {
        let mut frame = self.buffer.split_to(PREFIX + size).freeze();
        frame.advance(PREFIX);
        frame
    }

    fn take_large(&mut self) -> Option<Bytes> {
        let whole = self.large.take_if(|large| large.buffer.len() == large.size)?;
        self.trusted = self.trusted.max(whole.size);
        Some(whole.buffer.freeze())
    }

    fn begin_large(&mut self, size: usize) {
        let arrived = &self.buffer[PREFIX..];
        self.large = Some(Large { size, buffer: BytesMut::from(arrived) });
        self.buffer = BytesMut::new();
    }

    /// A fresh buffer of at least `needed` bytes, holding what has arrived of the next frame.
    fn renew(&mut self, needed: usize) {
        let mut fresh = BytesMut::with_capacity(self.renewal.max(needed).max(self.buffer.len() + 1));
        fresh.extend_from_slice(&self.buffer);
        self.buffer = fresh;
    }
}

impl Large {
    fn room(&self) -> usize {
        self.buffer.capacity().min(self.size) - self.buffer.len()
    }

    fn growth(&self, trusted: usize) -> usize {
        if self.room() > 0 {
            return 0;
        }
        let arrived = self.buffer.len();
        arrived.saturating_mul(GROWTH).max(trusted).max(LARGE_START).min(self.size) - arrived
    }

    fn space(&mut self, trusted: usize) -> (&mut BytesMut, usize) {
        let growth = self.growth(trusted);
        if growth > 0 {
            let mut grown = BytesMut::with_capacity(self.buffer.len() + growth);
            grown.extend_from_slice(&self.buffer);
            self.buffer = grown;
        }
        let room = self.room();
        (&mut self.buffer, room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BufMut;

    fn feed(frames: &mut Frames, mut bytes: &[u8], step: usize) -> Result<Vec<Bytes>, FrameError> {
        let mut whole = Vec::new();
        while !bytes.is_empty() {
            let (space, room) = frames.space();
            let count = bytes.len().min(step).min(room);
            space.extend_from_slice(&bytes[..count]);
            frames.filled(count);
            bytes = &bytes[count..];
            while let Some(frame) = frames.next()? {
                whole.push(frame);
            }
        }
        Ok(whole)
    }

    fn frame(size: usize, fill: u8) -> Vec<u8> {
        let prefix = u32::try_from(size).expect("test sizes are small").to_be_bytes();
        prefix.into_iter().chain(std::iter::repeat_n(fill, size)).collect()
    }

    #[test]
    fn frames_come_out_whole_however_the_stream_is_cut() {
        let sizes = [0, 1, 100, 5000, LARGE, LARGE + 1, 1 << 20, 3, 700_000];
        let stream: Vec<u8> = sizes.iter().enumerate().flat_map(|(i, size)| frame(*size, i as u8)).collect();
        for step in [1, 3, 4096, 1 << 22] {
            let cut = feed(&mut Frames::new(1 << 20), &stream, step).expect("valid stream");
            assert_eq!(cut.iter().map(Bytes::len).collect::<Vec<_>>(), sizes);
            assert!(cut.iter().enumerate().all(|(i, frame)| frame.iter().all(|byte| *byte == i as u8)));
        }
    }

    #[test]
    fn a_header_alone_allocates_little() {
        let mut frames = Frames::new(100 << 20);
        feed(&mut frames, &(100i32 << 20).to_be_bytes(), 4).expect("size is allowed");
        assert!(frames.wanted() <= LARGE_START);
    }

    #[test]
    fn memory_stays_a_small_multiple_of_what_arrived() {
        let mut frames = Frames::new(100 << 20);
        feed(&mut frames, &(100i32 << 20).to_be_bytes(), 4).expect("size is allowed");
        let mut arrived = 4;
        for _ in 0..2000 {
            let (space, room) = frames.space();
            let count = room.min(1000);
            space.put_bytes(0, count);
            frames.filled(count);
            arrived += count;
            assert!(frames.wanted() <= LARGE_START + GROWTH * arrived);
        }
    }

    #[test]
    fn a_size_beyond_the_maximum_is_refused() {
        let refused = feed(&mut Frames::new(1000), &1001i32.to_be_bytes(), 4);
        assert_eq!(refused, Err(FrameError::TooLarge { size: 1001, max: 1000 }));
    }

    #[test]
    fn a_negative_size_is_refused() {
        assert_eq!(feed(&mut Frames::new(1000), &(-1i32).to_be_bytes(), 4), Err(FrameError::Negative(-1)));
    }
}
