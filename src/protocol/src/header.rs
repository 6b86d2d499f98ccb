//! What stands before the body of a request and of a response.

use crate::api::ApiKey;
use crate::codec::{DecodeError, EncodeError, Message, Reader, Writer};
pub use crate::messages::{RequestHeader, ResponseHeader};
use crate::primitives::Str;

/// A request's header as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// Whose request it is, or the number when no request has it: then the connection can only be closed.
    pub api_key: Result<ApiKey, i16>,
    /// As claimed; it may be one we don't have.
    pub version: i16,
    /// To be sent back with the response.
    pub correlation_id: i32,
    /// The client's name for itself.
    pub client_id: Option<Str>,
}

/// Reads a request's header, whose own version follows from the key and version it begins with. The reader then stands at the body.
pub fn decode_request_header(r: &mut Reader) -> Result<RequestHead, DecodeError> {
    let (key, version) = peek(r)?;
    let api_key = ApiKey::try_from(key).map_err(|unknown| unknown.0);
    let header_version = api_key.map_or(1, |known| known.request_header_version(version));
    let header = RequestHeader::decode(r, header_version)?;
    Ok(RequestHead { api_key, version, correlation_id: header.correlation_id, client_id: header.client_id })
}

/// Writes the header of a request in `version`.
pub fn encode_request_header(
    w: &mut Writer,
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    client_id: Option<Str>,
) -> Result<(), EncodeError> {
    let header = RequestHeader { request_api_key: key.code(), request_api_version: version, correlation_id, client_id };
    header.encode(w, key.request_header_version(version))
}

/// Reads the header of the response to a request of `version`; yields the correlation id.
pub fn decode_response_header(r: &mut Reader, key: ApiKey, version: i16) -> Result<i32, DecodeError> {
    Ok(ResponseHeader::decode(r, key.response_header_version(version))?.correlation_id)
}

/// Writes the header of the response to a request of `version`.
pub fn encode_response_header(
    w: &mut Writer,
    key: ApiKey,
    version: i16,
    correlation_id: i32,
) -> Result<(), EncodeError> {
    ResponseHeader { correlation_id }.encode(w, key.response_header_version(version))
}

/// The key and version a request begins with.
fn peek(r: &Reader) -> Result<(i16, i16), DecodeError> {
    let mut ahead = Reader::new(r.rest());
    Ok((ahead.i16()?, ahead.i16()?))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn decode(bytes: &'static [u8]) -> Result<RequestHead, DecodeError> {
        let mut r = Reader::new(Bytes::from_static(bytes));
        let head = decode_request_header(&mut r)?;
        r.finish()?;
        Ok(head)
    }

    #[test]
    fn the_client_id_keeps_its_old_length_in_the_flexible_header() {
        let head = decode(b"\x00\x12\x00\x03\x00\x00\x00\x07\x00\x02me\x00").unwrap();
        assert_eq!((head.api_key, head.version, head.correlation_id), (Ok(ApiKey::ApiVersions), 3, 7));
        assert_eq!(head.client_id.unwrap(), "me");
        let head = decode(b"\x00\x12\x00\x00\x00\x00\x00\x07\xff\xff").unwrap();
        assert_eq!((head.version, head.client_id), (0, None));
    }

    #[test]
    fn a_key_nobody_has_is_handed_out_as_a_number() {
        assert_eq!(decode(b"\x7f\x00\x00\x03\x00\x00\x00\x07\xff\xff").unwrap().api_key, Err(0x7f00));
    }

    #[test]
    fn what_was_written_is_read() {
        let mut w = Writer::new();
        encode_request_header(&mut w, ApiKey::Fetch, 12, 5, Some("c".into())).unwrap();
        let head = decode_request_header(&mut Reader::new(w.into_bytes())).unwrap();
        assert_eq!((head.api_key, head.version, head.correlation_id), (Ok(ApiKey::Fetch), 12, 5));
        let mut w = Writer::new();
        encode_response_header(&mut w, ApiKey::Fetch, 12, 5).unwrap();
        assert_eq!(w.len(), 5);
        assert_eq!(decode_response_header(&mut Reader::new(w.into_bytes()), ApiKey::Fetch, 12), Ok(5));
    }
}
