//! Records of `__cluster_metadata`, and the frame each of them is wrapped in.

use std::ops::RangeInclusive;

use bytes::Bytes;

use super::Keyed;
use crate::codec::{DecodeError, EncodeError, Message, Reader, Writer};

include!(concat!(env!("OUT_DIR"), "/records_metadata.rs"));
include!(concat!(env!("OUT_DIR"), "/metadata_record.rs"));

/// The only version of the frame: varints of frame version, record type and record version, then the record.
const FRAME_VERSION: u32 = 1;

impl MetadataRecord {
    /// The record's value in the log, frame included.
    pub fn encode_value(&self, version: i16) -> Result<Bytes, EncodeError> {
        let mut w = Writer::new();
        w.uvarint(FRAME_VERSION);
        w.uvarint(self.api_key() as u32);
        w.uvarint(version as u32);
        self.encode_body(&mut w, version)?;
        Ok(w.into_bytes())
    }

    /// Reads a record's value to its very end.
    pub fn decode_value(value: Bytes) -> Result<Self, DecodeError> {
        let mut r = Reader::new(value);
        if r.uvarint()? != FRAME_VERSION {
            return Err(DecodeError::Malformed("unknown metadata frame version"));
        }
        let api_key = small(r.uvarint()?)?;
        let version = small(r.uvarint()?)?;
        let record = Self::decode_body(api_key, &mut r, version)?;
        r.finish()?;
        Ok(record)
    }
}

fn small(value: u32) -> Result<i16, DecodeError> {
    i16::try_from(value).map_err(|_| DecodeError::Malformed("metadata record type or version over 32,767"))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn topic() -> MetadataRecord {
        TopicRecord { name: "foo".into(), topic_id: Uuid::from_u128(1) }.into()
    }

    #[test]
    fn a_record_is_framed_by_three_varints() {
        let value = topic().encode_value(0).unwrap();
        assert_eq!(value, &b"\x01\x02\x00\x04foo\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00"[..]);
        assert_eq!(MetadataRecord::decode_value(value), Ok(topic()));
    }

    #[test]
    fn a_frame_that_is_unknown_torn_or_too_long_is_refused() {
        let value = topic().encode_value(0).unwrap();
        for end in 0..value.len() {
            assert!(MetadataRecord::decode_value(value.slice(..end)).is_err());
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = value.to_vec();
            bytes[at] = byte;
            MetadataRecord::decode_value(bytes.into())
        };
        assert!(with(0, 2).is_err(), "frame version");
        assert!(with(1, 6).is_err(), "a type nobody has");
        assert!(with(2, 1).is_err(), "a version the type lacks");
        assert!(MetadataRecord::decode_value([&value[..], b"\0"].concat().into()).is_err(), "a byte too many");
    }
}
