//! What every generated message can do, and what the parts it is made of must be able to do.

use std::fmt::Debug;
use std::ops::RangeInclusive;

use uuid::Uuid;

use super::{DecodeError, EncodeError, Reader, Writer};
use crate::primitives::Str;

/// A value with a place in an array or in a struct.
pub trait Element: Default {
    /// The fewest bytes one can take in any version.
    const SIZE_MIN: usize;

    /// Overwrites what `version` carries and leaves the rest; `flexible` says which encoding the version uses.
    fn read(&mut self, r: &mut Reader, version: i16, flexible: bool) -> Result<(), DecodeError>;

    /// Appends the value as `version` carries it.
    fn write(&self, w: &mut Writer, version: i16, flexible: bool) -> Result<(), EncodeError>;
}

/// A whole message: a request's or response's body, a header, a record.
pub trait Message: Element + Clone + Debug + PartialEq {
    /// Kafka's name for it.
    const NAME: &'static str;
    /// The versions we read and write.
    const VERSIONS: RangeInclusive<i16>;
    /// The first version with compact lengths and tagged fields (KIP-482).
    const FLEXIBLE_FROM: Option<i16>;

    /// Reads one message and leaves the reader behind it; [`Reader::finish`] tells whether that is the end.
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return Err(DecodeError::UnsupportedVersion { message: Self::NAME, version });
        }
        let mut message = Self::default();
        message.read(r, version, Self::is_flexible(version))?;
        Ok(message)
    }

    /// Appends the message; an error leaves a part of it behind in the writer.
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if !Self::VERSIONS.contains(&version) {
            return Err(EncodeError::UnsupportedVersion { message: Self::NAME, version });
        }
        self.write(w, version, Self::is_flexible(version))
    }

    /// The exact number of bytes that `encode` appends.
    fn size(&self, version: i16) -> Result<usize, EncodeError> {
        let mut counter = Writer::counter();
        self.encode(&mut counter, version)?;
        Ok(counter.len())
    }

    /// Whether `version` has compact lengths and tagged fields.
    fn is_flexible(version: i16) -> bool {
        Self::FLEXIBLE_FROM.is_some_and(|first| version >= first)
    }
}

macro_rules! scalar_elements {
    ($($scalar:ty, $method:ident, $size:literal;)*) => {$(
        impl Element for $scalar {
            const SIZE_MIN: usize = $size;

            fn read(&mut self, r: &mut Reader, _version: i16, _flexible: bool) -> Result<(), DecodeError> {
                *self = r.$method()?;
                Ok(())
            }

            fn write(&self, w: &mut Writer, _version: i16, _flexible: bool) -> Result<(), EncodeError> {
                w.$method(*self);
                Ok(())
            }
        }
    )*};
}

scalar_elements! {
    i8, i8, 1;
    i16, i16, 2;
    i32, i32, 4;
    i64, i64, 8;
    Uuid, uuid, 16;
}

impl Element for Str {
    const SIZE_MIN: usize = 1;

    fn read(&mut self, r: &mut Reader, _version: i16, flexible: bool) -> Result<(), DecodeError> {
        *self = r.string(flexible)?;
        Ok(())
    }

    fn write(&self, w: &mut Writer, _version: i16, flexible: bool) -> Result<(), EncodeError> {
        w.string(self, flexible)
    }
}
