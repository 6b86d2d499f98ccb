//! Packing bytes as they come, framed as Kafka's clients expect.

use super::attributes::Codec;
use super::snappy;
use flate2::write::GzEncoder;
use lz4::liblz4::{BlockChecksum, BlockMode, BlockSize, ContentChecksum};
use std::io::Write;
use zstd::stream::write::Encoder;

/// A codec at work; what it has packed so far stands after what was in the `Vec` it began with.
pub(super) enum Deflater {
    Plain(Vec<u8>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Snappy(Box<snappy::Deflater>),
    Lz4(Box<lz4::Encoder<Vec<u8>>>),
    Zstd(Box<Encoder<'static, Vec<u8>>>),
}

const VEC: &str = "writing to a Vec cannot fail";

impl Deflater {
    /// `level` `None` is the codec's own; snappy has but one.
    pub fn new(codec: Codec, level: Option<i32>, out: Vec<u8>) -> Self {
        match codec {
            Codec::None => Self::Plain(out),
            Codec::Gzip => {
                let level =
                    level.map_or(flate2::Compression::default(), |l| flate2::Compression::new(l.clamp(1, 9) as u32));
                Self::Gzip(Box::new(GzEncoder::new(out, level)))
            }
            Codec::Snappy => Self::Snappy(Box::new(snappy::Deflater::new(out))),
            Codec::Lz4 => {
                let encoder = lz4::EncoderBuilder::new()
                    .level(lz4_level(level))
                    .block_size(BlockSize::Max64KB)
                    .block_mode(BlockMode::Independent)
                    .block_checksum(BlockChecksum::NoBlockChecksum)
                    .checksum(ContentChecksum::NoChecksum)
                    .build(out);
                Self::Lz4(Box::new(encoder.expect("a frame of 64 KiB blocks is set up")))
            }
            Codec::Zstd => {
                let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL).clamp(-131_072, 22);
                Self::Zstd(Box::new(Encoder::new(out, level).expect("a level within zstd's range is taken")))
            }
        }
    }

    pub fn write(&mut self, plain: &[u8]) {
        match self {
            Self::Plain(out) => out.extend_from_slice(plain),
            Self::Gzip(encoder) => encoder.write_all(plain).expect(VEC),
            Self::Snappy(encoder) => encoder.write(plain),
            Self::Lz4(encoder) => encoder.write_all(plain).expect(VEC),
            Self::Zstd(encoder) => encoder.write_all(plain).expect(VEC),
        }
    }

    pub fn finish(self) -> Vec<u8> {
        match self {
            Self::Plain(out) => out,
            Self::Gzip(encoder) => encoder.finish().expect(VEC),
            Self::Snappy(encoder) => encoder.finish(),
            Self::Lz4(encoder) => {
                let (packed, result) = encoder.finish();
                result.expect(VEC);
                packed
            }
            Self::Zstd(encoder) => encoder.finish().expect(VEC),
        }
    }
}

/// Kafka's levels in liblz4's: its default, 9, is the fast method, every other the thorough one, which knows 12 at most.
fn lz4_level(level: Option<i32>) -> u32 {
    match level {
        None | Some(LZ4_DEFAULT) => 0,
        Some(level) => level.clamp(LZ4_THOROUGH_MIN, LZ4_THOROUGH_MAX) as u32,
    }
}

const LZ4_DEFAULT: i32 = 9;
const LZ4_THOROUGH_MIN: i32 = 2;
const LZ4_THOROUGH_MAX: i32 = 12;

/// `plain` packed by `codec` at `level` (`None` = the codec's own) in one go.
pub fn deflate(codec: Codec, level: Option<i32>, plain: &[u8]) -> Vec<u8> {
    let mut deflater = Deflater::new(codec, level, Vec::with_capacity(plain.len() / 2));
    deflater.write(plain);
    deflater.finish()
}
