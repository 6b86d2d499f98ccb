//! A client that sends what it is told, byte for byte.

use bytes::Bytes;
use odradek_protocol::api::Request;
use odradek_protocol::codec::{Message, Reader};
use odradek_protocol::frame;
use odradek_protocol::header::decode_response_header;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Wire {
    stream: TcpStream,
    next: i32,
}

impl Wire {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a TCP socket");
        Self { stream, next: 1 }
    }

    /// How long to wait for an answer, instead of as long as any may take.
    pub fn set_patience(&mut self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).expect("a TCP socket");
    }

    /// Sends a request and waits for its answer.
    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let correlation = self.send(version, request);
        let (answered, response) = self.receive::<R>(version);
        assert_eq!(answered, correlation, "answers come in the order of the requests");
        response
    }

    /// Sends a request; its correlation id.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        let correlation = self.next;
        self.next += 1;
        let pieces =
            frame::request(request, version, correlation, Some("test".into())).expect("a request that encodes");
        self.send_bytes(&pieces.concat());
        correlation
    }

    /// The answer to a request of this kind and version.
    pub fn receive<R: Request>(&mut self, version: i16) -> (i32, R::Response) {
        let frame = self.receive_frame().expect("an answer");
        decode::<R>(frame, version)
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker reads");
    }

    /// Sends as much as the broker takes before it closes.
    pub fn send_until_closed(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// One frame without its prefix.
    pub fn receive_frame(&mut self) -> io::Result<Bytes> {
        let mut prefix = [0; 4];
        self.stream.read_exact(&mut prefix)?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(prefix)).expect("a size is not negative")];
        self.stream.read_exact(&mut frame)?;
        Ok(frame.into())
    }

    /// True when the broker closed the connection without another byte.
    pub fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0; 1]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

/// A response frame, which must hold nothing else.
pub fn decode<R: Request>(frame: Bytes, version: i16) -> (i32, R::Response) {
    let mut reader = Reader::new(frame);
    let correlation = decode_response_header(&mut reader, R::KEY, version).expect("a response header");
    let response = R::Response::decode(&mut reader, version).expect("a response");
    reader.finish().expect("nothing after the response");
    (correlation, response)
}
