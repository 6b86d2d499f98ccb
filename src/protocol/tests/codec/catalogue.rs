//! Every message as a line of functions, so that tests can leave none out.

use std::ops::RangeInclusive;

use bytes::Bytes;
use odradek_protocol::codec::{DecodeError, EncodeError, Message, Reader, Writer};

/// One message's codec with its type rubbed off.
#[derive(Clone)]
pub struct Codec {
    /// The folder of its field table.
    pub kind: &'static str,
    pub name: &'static str,
    pub versions: RangeInclusive<i16>,
    /// Decodes to the very end.
    pub decode: fn(Bytes, i16) -> Result<(), DecodeError>,
    /// Decodes to the very end and encodes again; the exact size comes along.
    pub recode: fn(Bytes, i16) -> Result<(Bytes, usize), DecodeError>,
    /// Decodes one version and encodes another, if that can carry it.
    pub transcode: fn(Bytes, i16, i16) -> Result<Bytes, EncodeError>,
    /// Encodes the default value.
    pub default: fn(i16) -> Bytes,
}

pub fn all() -> Vec<Codec> {
    macro_rules! list {
        ($(($kind:ident, $name:literal, $message:ty))*) => {
            vec![$(codec::<$message>(stringify!($kind), $name)),*]
        };
    }
    odradek_protocol::for_each_message!(list)
}

pub fn of(name: &str) -> Codec {
    all().into_iter().find(|codec| codec.name == name).unwrap()
}

fn codec<M: Message>(kind: &'static str, name: &'static str) -> Codec {
    assert_eq!(name, M::NAME);
    Codec {
        kind,
        name,
        versions: M::VERSIONS,
        decode: decode::<M>,
        recode: recode::<M>,
        transcode: transcode::<M>,
        default: default::<M>,
    }
}

fn decode<M: Message>(bytes: Bytes, version: i16) -> Result<(), DecodeError> {
    let mut r = Reader::new(bytes);
    M::decode(&mut r, version)?;
    r.finish()
}

fn recode<M: Message>(bytes: Bytes, version: i16) -> Result<(Bytes, usize), DecodeError> {
    let mut r = Reader::new(bytes);
    let message = M::decode(&mut r, version)?;
    r.finish()?;
    let size = message.size(version).expect("what a version carried has a size in it");
    Ok((encode(&message, version), size))
}

fn transcode<M: Message>(bytes: Bytes, from: i16, to: i16) -> Result<Bytes, EncodeError> {
    let message = M::decode(&mut Reader::new(bytes), from).expect("a sample");
    let mut w = Writer::new();
    message.encode(&mut w, to).map(|()| w.into_bytes())
}

fn default<M: Message>(version: i16) -> Bytes {
    encode(&M::default(), version)
}

fn encode<M: Message>(message: &M, version: i16) -> Bytes {
    let mut w = Writer::new();
    message.encode(&mut w, version).expect("what a version carried fits it");
    w.into_bytes()
}
