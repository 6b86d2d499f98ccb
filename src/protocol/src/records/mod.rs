//! What logs and state files hold, a module per log; and how coordinators frame their records.

use bytes::Bytes;

use crate::codec::{DecodeError, EncodeError, Message, Reader, Writer};

pub mod metadata;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident, $file:literal;)*) => {$(
        $(#[$doc])*
        pub mod $name {
            include!(concat!(env!("OUT_DIR"), $file));
        }
    )*};
}

kinds! {
    /// `__consumer_offsets`: keys and values of all kinds of groups.
    group, "/records_group.rs";
    /// `__transaction_state`.
    transaction, "/records_transaction.rs";
    /// `__share_group_state`.
    share, "/records_share.rs";
    /// Producer snapshots and `__remote_log_metadata`.
    storage, "/records_storage.rs";
    /// The quorum state file.
    raft, "/records_raft.rs";
}

/// A record whose type has a number.
pub trait Keyed: Message {
    /// The number; a key and its value share it.
    const API_KEY: i16;
}

/// A coordinator's key: its type, then its body, which has version 0 only.
pub fn encode_key<K: Keyed>(key: &K) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    w.i16(K::API_KEY);
    key.encode(&mut w, 0)?;
    Ok(w.into_bytes())
}

/// The type a coordinator's key announces; the reader then stands at its body.
pub fn decode_key_type(r: &mut Reader) -> Result<i16, DecodeError> {
    r.i16()
}

/// A coordinator's value: its version, then its body.
pub fn encode_value<V: Message>(value: &V, version: i16) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    w.i16(version);
    value.encode(&mut w, version)?;
    Ok(w.into_bytes())
}

/// Reads what [`encode_value`] wrote, to its very end.
pub fn decode_value<V: Message>(bytes: Bytes) -> Result<V, DecodeError> {
    let mut r = Reader::new(bytes);
    let version = r.i16()?;
    let value = V::decode(&mut r, version)?;
    r.finish()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::group::{OffsetCommitKey, OffsetCommitValue};
    use super::*;

    #[test]
    fn a_key_begins_with_its_type_and_a_value_with_its_version() {
        let key = OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 2 };
        assert_eq!(encode_key(&key).unwrap(), &b"\x00\x01\x00\x01g\x00\x01t\x00\x00\x00\x02"[..]);
        let value = OffsetCommitValue { offset: 9, ..Default::default() };
        let bytes = encode_value(&value, 3).unwrap();
        assert_eq!(bytes[..2], [0, 3]);
        assert_eq!(decode_value::<OffsetCommitValue>(bytes), Ok(value));
    }
}
