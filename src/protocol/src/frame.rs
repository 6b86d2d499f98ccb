//! Whole frames: the length, the header and the body that go over a connection together.

use bytes::Bytes;

use crate::api::{ApiKey, Request};
use crate::codec::{EncodeError, Message, Writer};
use crate::header::{encode_request_header, encode_response_header};
use crate::primitives::Str;

/// Bytes of the length that a frame begins with; it does not count itself.
pub const LENGTH_SIZE: usize = 4;

/// Fits the heads of most frames; more is allocated as needed.
const CAPACITY: usize = 256;

/// The frame of a request, in pieces so that records need not be copied.
pub fn request<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<Str>,
) -> Result<Vec<Bytes>, EncodeError> {
    let mut w = open();
    encode_request_header(&mut w, R::KEY, version, correlation_id, client_id)?;
    request.encode(&mut w, version)?;
    close(w)
}

/// The frame of the response to a request of `version`, in pieces so that records need not be copied.
pub fn response<M: Message>(
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    response: &M,
) -> Result<Vec<Bytes>, EncodeError> {
    let mut w = open();
    encode_response_header(&mut w, key, version, correlation_id)?;
    response.encode(&mut w, version)?;
    close(w)
}

fn open() -> Writer {
    let mut w = Writer::with_capacity(CAPACITY);
    w.i32(0);
    w
}

/// Fills in the length, now that it is known.
fn close(mut w: Writer) -> Result<Vec<Bytes>, EncodeError> {
    let length = w.len() - LENGTH_SIZE;
    w.patch_i32(0, i32::try_from(length).map_err(|_| EncodeError::TooLong(length))?);
    Ok(w.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
    use crate::primitives::Records;

    #[test]
    fn large_records_are_spliced_into_the_frame_and_not_copied() {
        let records = Bytes::from(vec![7; 4096]);
        let partition = PartitionData { records: Some(records.clone().into()), ..Default::default() };
        let topic = FetchableTopicResponse { topic: "t".into(), partitions: vec![partition], ..Default::default() };
        let body = FetchResponse { responses: vec![topic], ..Default::default() };
        let pieces = response(ApiKey::Fetch, 12, 1, &body).unwrap();
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces[1].as_ptr(), records.as_ptr());
        let frame = Records::from(pieces).into_bytes();
        assert_eq!(frame[..4], (frame.len() as i32 - 4).to_be_bytes());
        assert_eq!(frame.len(), 4 + 5 + body.size(12).unwrap());
    }
}
