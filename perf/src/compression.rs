//! The codecs of batches, whole batches at a time: the client prepares ahead and verifies at leisure.

use bytes::{Buf, Bytes};
use clap::ValueEnum;
use std::io::{self, Read, Write};

/// The number is the one in a batch's attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Codec {
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

/// Opens xerial's framing of snappy chunks; a version and the lowest compatible version follow.
const XERIAL: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
const XERIAL_CHUNK: usize = 32 << 10;

impl Codec {
    pub fn from_attributes(attributes: i16) -> Option<Self> {
        [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd].into_iter().find(|c| *c as i16 == attributes & 7)
    }

    pub fn deflate(self, plain: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(plain.to_vec()),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(plain)?;
                encoder.finish()
            }
            Self::Snappy => deflate_snappy(plain),
            Self::Lz4 => {
                let mut settings = lz4::EncoderBuilder::new();
                settings.block_size(lz4::BlockSize::Max64KB).block_mode(lz4::BlockMode::Independent);
                let mut encoder = settings.checksum(lz4::ContentChecksum::NoChecksum).build(Vec::new())?;
                encoder.write_all(plain)?;
                let (packed, ended) = encoder.finish();
                ended.map(|()| packed)
            }
            Self::Zstd => zstd::encode_all(plain, zstd::DEFAULT_COMPRESSION_LEVEL),
        }
    }

    pub fn inflate(self, packed: &Bytes) -> io::Result<Bytes> {
        let mut plain = Vec::new();
        match self {
            Self::None => return Ok(packed.clone()),
            Self::Gzip => drop(flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut plain)?),
            Self::Snappy => inflate_snappy(packed.clone(), &mut plain)?,
            Self::Lz4 => drop(lz4::Decoder::new(&packed[..])?.read_to_end(&mut plain)?),
            Self::Zstd => plain = zstd::decode_all(&packed[..])?,
        }
        Ok(plain.into())
    }
}

fn deflate_snappy(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = XERIAL.to_vec();
    for chunk in plain.chunks(XERIAL_CHUNK) {
        let packed = snap::raw::Encoder::new().compress_vec(chunk).map_err(io::Error::other)?;
        out.extend_from_slice(&(packed.len() as u32).to_be_bytes());
        out.extend_from_slice(&packed);
    }
    Ok(out)
}

fn inflate_snappy(mut packed: Bytes, plain: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = |packed: &[u8]| -> io::Result<()> {
        plain.extend(snap::raw::Decoder::new().decompress_vec(packed).map_err(io::Error::other)?);
        Ok(())
    };
    if !packed.starts_with(&XERIAL[..8]) {
        return chunk(&packed);
    }
    packed.try_get_u128().map_err(io::Error::other)?;
    while !packed.is_empty() {
        let len = packed.try_get_u32().map_err(io::Error::other)? as usize;
        if len > packed.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        chunk(&packed.split_to(len))?;
    }
    Ok(())
}
