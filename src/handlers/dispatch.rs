//! From a frame to its handler: header, version, table.

use super::answer::Call;
use super::api_versions;
use super::context::Context;
use super::table::{self, Api};
use crate::exchange::{Answer, Closing, Peer, Serving};
use bytes::Bytes;
use odradek_protocol::api::ApiKey;
use odradek_protocol::codec::Reader;
use odradek_protocol::header::decode_request_header;
use std::rc::Rc;

/// Serves one frame. What must happen in order of arrival happens at the first poll.
pub fn dispatch(context: &Rc<Context>, frame: Bytes, peer: &Rc<Peer>) -> Serving {
    match route(frame, peer) {
        Ok((api, call, body)) => (api.serve)(context.clone(), call, body),
        Err(answer) => Box::pin(std::future::ready(answer)),
    }
}

/// Whether a frame only says that its sender is alive, so that nobody waits for the answer.
pub fn may_wait(frame: &Bytes) -> bool {
    const HEARTBEATS: [i16; 2] = [ApiKey::Heartbeat as i16, ApiKey::ConsumerGroupHeartbeat as i16];
    key_and_version(frame).is_some_and(|(key, _)| HEARTBEATS.contains(&key))
}

fn route(frame: Bytes, peer: &Rc<Peer>) -> Result<(&'static Api, Call, Reader), Answer> {
    let (key, version) = key_and_version(&frame).ok_or(Answer::Close(Closing::NoHeader(frame.len())))?;
    let api = table::find(key).ok_or(Answer::Close(Closing::UnknownApi(key)))?;
    let served = api.serves(version);
    if !served && api.key != ApiKey::ApiVersions {
        return Err(Answer::Close(Closing::UnservedVersion { api: api.key.name(), version }));
    }
    let length = frame.len();
    let mut reader = Reader::new(frame);
    let header = decode_request_header(&mut reader).map_err(|_| Answer::Close(Closing::NoHeader(length)))?;
    let call = Call {
        api: api.key,
        version,
        correlation: header.correlation_id,
        client: header.client_id,
        peer: peer.clone(),
    };
    if served { Ok((api, call, reader)) } else { Err(api_versions::refuse_version(&call)) }
}

fn key_and_version(frame: &Bytes) -> Option<(i16, i16)> {
    let (key, rest) = frame.split_first_chunk::<2>()?;
    let (version, _) = rest.split_first_chunk::<2>()?;
    Some((i16::from_be_bytes(*key), i16::from_be_bytes(*version)))
}
