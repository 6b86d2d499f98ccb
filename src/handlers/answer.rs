//! One call of an API, and how its response becomes bytes.

use crate::exchange::{Answer, Closing, Peer, Reply};
use crate::group::Client;
use bytes::Bytes;
use odradek_protocol::api::ApiKey;
use odradek_protocol::codec::Message;
use odradek_protocol::frame;
use odradek_protocol::primitives::Str;
use odradek_shards::runtime;
use std::rc::Rc;

/// What a request's header and connection say.
pub struct Call {
    pub api: ApiKey,
    pub version: i16,
    pub correlation: i32,
    pub client: Option<Str>,
    pub peer: Rc<Peer>,
}

impl Call {
    /// Who a coordinator is asked by.
    pub fn asker(&self) -> Client {
        Client { id: self.client.clone().unwrap_or_default(), host: self.peer.host.clone() }
    }

    /// The response in the request's version.
    pub fn answer(&self, response: &impl Message) -> Answer {
        self.answer_in(response, self.version)
    }

    /// A large one, off the shard's thread.
    pub async fn answer_apart(&self, response: impl Message + Send + 'static) -> Answer {
        let (api, version, correlation) = (self.api, self.version, self.correlation);
        answer(runtime::blocking(move || frame((api, version, correlation), &response)).await)
    }

    /// The response in another version than the request's: ApiVersions only (KIP-511).
    pub fn answer_in(&self, response: &impl Message, version: i16) -> Answer {
        answer(frame((self.api, version, self.correlation), response))
    }
}

fn frame((api, version, correlation): (ApiKey, i16, i32), response: &impl Message) -> Result<Vec<Bytes>, Closing> {
    frame::response(api, version, correlation, response).map_err(|error| Closing::Unencodable {
        api: api.name(),
        version,
        reason: error.to_string(),
    })
}

fn answer(encoded: Result<Vec<Bytes>, Closing>) -> Answer {
    match encoded {
        Ok(pieces) => Answer::Reply(Reply { pieces, hold: None, stirs: false }),
        Err(closing) => Answer::Close(closing),
    }
}
