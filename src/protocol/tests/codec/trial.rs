//! What must hold for any input whatever: no panic, and what decodes encodes to bytes that decode to the same.
//! The fuzz targets and the tests on mutated samples share it.

use bytes::Bytes;
use odradek_protocol::api::ApiKey;
use odradek_protocol::codec::Reader;
use odradek_protocol::header::{decode_request_header, decode_response_header};

use crate::catalogue::Codec;

/// All messages, to be looked up by what an input asks for.
pub struct Trial {
    codecs: Vec<Codec>,
}

impl Trial {
    pub fn new(codecs: Vec<Codec>) -> Self {
        Self { codecs }
    }

    /// A frame as a client sends it: header and body.
    pub fn request(&self, frame: &[u8]) {
        let mut r = Reader::new(Bytes::copy_from_slice(frame));
        let Ok(head) = decode_request_header(&mut r) else { return };
        let Ok(key) = head.api_key else { return };
        self.body(&format!("{}Request", key.name()), r.rest(), head.version);
    }

    /// Key and version of a request, then the frame that answers it.
    pub fn response(&self, input: &[u8]) {
        let mut r = Reader::new(Bytes::copy_from_slice(input));
        let (Ok(Ok(key)), Ok(version)) = (r.i16().map(ApiKey::try_from), r.i16()) else { return };
        if decode_response_header(&mut r, key, version).is_ok() {
            self.body(&format!("{}Response", key.name()), r.rest(), version);
        }
    }

    /// The place of any message in the catalogue, a version, then its body.
    pub fn message(&self, input: &[u8]) {
        let mut r = Reader::new(Bytes::copy_from_slice(input));
        let (Ok(place), Ok(version)) = (r.u16(), r.i8()) else { return };
        if let Some(codec) = self.codecs.get(usize::from(place)) {
            try_codec(codec, r.rest(), version.into());
        }
    }

    fn body(&self, name: &str, body: Bytes, version: i16) {
        let codec = self.codecs.iter().find(|codec| codec.name == name);
        try_codec(codec.expect("every key has two messages"), body, version);
    }
}

pub fn try_codec(codec: &Codec, bytes: Bytes, version: i16) {
    let Ok((once, size)) = (codec.recode)(bytes, version) else { return };
    assert_eq!(once.len(), size, "{} v{version}: {once:?}", codec.name);
    // What we send may hold on to more memory per byte than what we got, so the budget may end here.
    if let Ok((twice, _)) = (codec.recode)(once.clone(), version) {
        assert_eq!(once, twice, "{} v{version}", codec.name);
    }
}
