//! A plain blocking connection for what is asked before the clock starts.

use crate::failure::Failure;
use bytes::Bytes;
use odradek_protocol::api::{ApiKey, Request};
use odradek_protocol::codec::{Message, Reader};
use odradek_protocol::frame;
use odradek_protocol::header::decode_response_header;
use odradek_protocol::messages::ApiVersionsRequest;
use odradek_protocol::primitives::Str;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub const CLIENT_ID: &str = "odradek-perf";
/// A metadata answer of 100,000 partitions fits.
const RESPONSE_BYTES_MAX: usize = 64 << 20;

pub struct Client {
    stream: TcpStream,
    versions: Versions,
    correlation_id: i32,
}

/// The newest version of each request that both sides know.
#[derive(Clone, Debug, Default)]
pub struct Versions(BTreeMap<i16, (i16, i16)>);

impl Versions {
    pub fn of(&self, key: ApiKey) -> Result<i16, Failure> {
        let (low, high) = self.0.get(&key.code()).copied().unwrap_or((0, -1));
        let version = high.min(key.latest_stable());
        if version >= low && key.valid_versions().contains(&version) {
            Ok(version)
        } else {
            Err(Failure::Version { key: key.name(), low, high })
        }
    }
}

impl Client {
    /// Connects and learns the broker's versions.
    pub fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).map_err(|error| Failure::Connect(address, error))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut client = Self { stream, versions: Versions::default(), correlation_id: 0 };
        // Version 0 is the one that every broker answers.
        let answer = client.call_in_version(&ApiVersionsRequest::default(), 0)?;
        Failure::check(answer.error_code, || "asking for the versions".to_owned())?;
        let ranges = answer.api_keys.iter().map(|range| (range.api_key, (range.min_version, range.max_version)));
        client.versions = Versions(ranges.collect());
        Ok(client)
    }

    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    pub fn call<R: Request>(&mut self, request: &R) -> Result<R::Response, Failure> {
        let version = self.versions.of(R::KEY)?;
        self.call_in_version(request, version)
    }

    fn call_in_version<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, Failure> {
        self.correlation_id += 1;
        for piece in frame::request(request, version, self.correlation_id, Some(Str::from_static(CLIENT_ID)))? {
            self.stream.write_all(&piece)?;
        }
        let mut reader = Reader::new(self.read_frame()?);
        if decode_response_header(&mut reader, R::KEY, version)? != self.correlation_id {
            return Err(Failure::Protocol("an answer to another request"));
        }
        Ok(R::Response::decode(&mut reader, version)?)
    }

    fn read_frame(&mut self) -> Result<Bytes, Failure> {
        let mut length = [0; frame::LENGTH_SIZE];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > RESPONSE_BYTES_MAX {
            return Err(Failure::Protocol("an answer of impossible length"));
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body.into())
    }
}
