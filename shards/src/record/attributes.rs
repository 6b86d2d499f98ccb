//! The attributes of a batch: codec, timestamp type and flags packed in 16 bits.

use super::batch::Corruption;

/// Who stamps a record (KIP-32); `message.timestamp.type`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TimestampType {
    #[default]
    CreateTime,
    LogAppendTime,
}

/// How the records of a batch are packed; the number is the one on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Codec {
    #[default]
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    /// KIP-110: Produce from version 7, Fetch from version 10.
    Zstd = 4,
}

impl Codec {
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// Its name in `compression.type`; `none` there is `uncompressed` for a topic.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// | bits 0-2 | 3 | 4 | 5 | 6 | 7-15 |
/// |---|---|---|---|---|---|
/// | codec | log append time | transactional | control | delete horizon | unused |
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Attributes(pub i16);

const CODEC_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

impl Attributes {
    /// The three codec bits name five codecs; the other three values are corrupt.
    pub fn codec(self) -> Result<Codec, Corruption> {
        match self.0 & CODEC_MASK {
            0 => Ok(Codec::None),
            1 => Ok(Codec::Gzip),
            2 => Ok(Codec::Snappy),
            3 => Ok(Codec::Lz4),
            4 => Ok(Codec::Zstd),
            unknown => Err(Corruption::Codec(unknown as u8)),
        }
    }

    pub fn is_compressed(self) -> bool {
        self.0 & CODEC_MASK != 0
    }

    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & LOG_APPEND_TIME == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    /// Part of a transaction (KIP-98).
    pub fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL != 0
    }

    /// Holds control records: transaction markers or KRaft's own.
    pub fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }

    /// The base timestamp is the time from which tombstones may go (KIP-534).
    pub fn has_delete_horizon(self) -> bool {
        self.0 & DELETE_HORIZON != 0
    }

    pub fn with_codec(self, codec: Codec) -> Self {
        Self(self.0 & !CODEC_MASK | codec as i16)
    }

    pub fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        self.with(LOG_APPEND_TIME, timestamp_type == TimestampType::LogAppendTime)
    }

    pub fn with_transactional(self, on: bool) -> Self {
        self.with(TRANSACTIONAL, on)
    }

    pub fn with_control(self, on: bool) -> Self {
        self.with(CONTROL, on)
    }

    pub fn with_delete_horizon(self, on: bool) -> Self {
        self.with(DELETE_HORIZON, on)
    }

    fn with(self, bit: i16, on: bool) -> Self {
        if on { Self(self.0 | bit) } else { Self(self.0 & !bit) }
    }
}
