//! One connection under load: frames queued out in as few writes as can be, frames cut from what comes in.

use crate::failure::Failure;
use bytes::{Buf, Bytes};
use odradek_protocol::frame::LENGTH_SIZE;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

const INBOX_BYTES: usize = 16 << 10;
const SLICES_MAX: usize = 32;
const FRAME_BYTES_MAX: usize = 256 << 20;

pub struct Link {
    stream: TcpStream,
    outbox: VecDeque<Bytes>,
    inbox: Inbox,
}

/// Small frames are cut from one buffer; a larger one is read straight into a buffer of its own, which comes back.
struct Inbox {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    large: Option<Large>,
    spare: Vec<u8>,
}

struct Large {
    bytes: Vec<u8>,
    filled: usize,
}

impl Link {
    pub fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).map_err(|error| Failure::Connect(address, error))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let buffer = vec![0; INBOX_BYTES].into_boxed_slice();
        let inbox = Inbox { buffer, start: 0, end: 0, large: None, spare: Vec::new() };
        Ok(Self { stream, outbox: VecDeque::new(), inbox })
    }

    /// Reads then wait, `at_most` so long: one connection alone on its thread needs no poll.
    pub fn block(&self, at_most: Duration) -> io::Result<()> {
        self.stream.set_nonblocking(false)?;
        self.stream.set_read_timeout(Some(at_most))
    }

    /// Another handle on the socket, to poll on.
    pub fn handle(&self) -> io::Result<OwnedFd> {
        Ok(self.stream.try_clone()?.into())
    }

    pub fn queue(&mut self, piece: Bytes) {
        self.outbox.push_back(piece);
    }

    pub fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Writes what the socket takes.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = self.outbox.len().min(SLICES_MAX);
            for (slice, piece) in slices.iter_mut().zip(&self.outbox) {
                *slice = IoSlice::new(piece);
            }
            match self.stream.write_vectored(&slices[..count]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.drop_written(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn drop_written(&mut self, mut written: usize) {
        while let Some(piece) = self.outbox.front_mut() {
            if piece.len() > written {
                piece.advance(written);
                return;
            }
            written -= piece.len();
            self.outbox.pop_front();
        }
    }

    /// Takes what the socket has, by one read.
    pub fn fill(&mut self) -> io::Result<()> {
        match self.inbox.read(&mut self.stream) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the broker")),
            Ok(_) => Ok(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The next whole frame, without its length.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, Failure> {
        self.inbox.next_frame()
    }

    /// Gives a used frame's memory back for the next one.
    pub fn recycle(&mut self, frame: Bytes) {
        if frame.len() > INBOX_BYTES && frame.is_unique() {
            self.inbox.spare = Vec::from(frame);
        }
    }
}

impl Inbox {
    fn read(&mut self, stream: &mut TcpStream) -> io::Result<usize> {
        if let Some(large) = &mut self.large {
            let read = stream.read(&mut large.bytes[large.filled..])?;
            large.filled += read;
            return Ok(read);
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let read = stream.read(&mut self.buffer[self.end..])?;
        self.end += read;
        Ok(read)
    }

    fn next_frame(&mut self) -> Result<Option<Bytes>, Failure> {
        if let Some(large) = self.large.take() {
            if large.filled == large.bytes.len() {
                return Ok(Some(large.bytes.into()));
            }
            self.large = Some(large);
            return Ok(None);
        }
        let have = &self.buffer[self.start..self.end];
        let Some((length, body)) = have.split_first_chunk::<LENGTH_SIZE>() else { return Ok(None) };
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > FRAME_BYTES_MAX {
            return Err(Failure::Protocol("a frame of impossible length"));
        }
        if let Some(frame) = body.get(..length) {
            self.start += LENGTH_SIZE + length;
            return Ok(Some(Bytes::copy_from_slice(frame)));
        }
        if LENGTH_SIZE + length > self.buffer.len() {
            let mut bytes = std::mem::take(&mut self.spare);
            bytes.resize(length, 0);
            bytes[..body.len()].copy_from_slice(body);
            self.large = Some(Large { filled: body.len(), bytes });
            self.start = self.end;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn frame(len: usize) -> Vec<u8> {
        let mut frame = (len as u32).to_be_bytes().to_vec();
        frame.extend((0..len).map(|n| n as u8));
        frame
    }

    #[test]
    fn frames_of_every_size_come_out_whole_however_they_come_in() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut link = Link::connect(listener.local_addr().unwrap()).unwrap();
        link.block(Duration::from_secs(5)).unwrap();
        let (mut broker, _) = listener.accept().unwrap();
        let sizes = [0, 5, INBOX_BYTES - 4, INBOX_BYTES - 3, 300_000, 200_000, 1];
        let sender = std::thread::spawn(move || {
            let all: Vec<u8> = sizes.into_iter().flat_map(frame).collect();
            all.chunks(70_001).for_each(|chunk| broker.write_all(chunk).unwrap());
        });
        for size in sizes {
            let found = loop {
                match link.next_frame().unwrap() {
                    Some(found) => break found,
                    None => link.fill().unwrap(),
                }
            };
            assert_eq!(found, frame(size)[4..]);
            link.recycle(found);
        }
        sender.join().unwrap();
    }

    #[test]
    fn what_is_queued_leaves_in_order() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut link = Link::connect(listener.local_addr().unwrap()).unwrap();
        let (mut broker, _) = listener.accept().unwrap();
        let pieces: Vec<Bytes> = (0..100u8).map(|n| Bytes::from(vec![n; 1 + usize::from(n) * 40])).collect();
        pieces.iter().for_each(|piece| link.queue(piece.clone()));
        let wanted = pieces.concat();
        let reader = std::thread::spawn(move || {
            let mut got = vec![0; wanted.len()];
            broker.read_exact(&mut got).unwrap();
            got == wanted
        });
        while !link.is_flushed() {
            link.flush().unwrap();
        }
        assert!(reader.join().unwrap());
    }
}
