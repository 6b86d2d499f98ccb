//! Takes values from a frame, believing nothing: every length is held against the bytes that are there, every
//! allocation is paid from a budget that the frame's size sets.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::{DecodeError, Element};
use crate::primitives::{Records, Str};

/// Elements in one array at most.
pub const ARRAY_ELEMENTS_MAX: usize = 1_000_000;
/// Tagged fields in one tag section at most.
pub const TAGS_MAX: u32 = 10_000;
/// What decoding a frame may allocate besides four times its length, in bytes.
pub const ALLOCATION_SLACK: usize = 64 * 1024;

/// What the frame's shared handle costs: counts and a `Bytes`.
const SOURCE_COST: usize = size_of::<Bytes>() + 2 * size_of::<usize>();

/// A position in a frame and the budget for decoding it. After an error the position means nothing.
#[derive(Debug)]
pub struct Reader {
    frame: Bytes,
    position: usize,
    /// Bytes that may still be allocated.
    budget: usize,
    /// The frame as its strings share it; made for the first of them.
    source: Option<Arc<Bytes>>,
}

/// Progress through one section of tagged fields.
#[derive(Debug)]
pub struct Tags {
    left: u32,
    /// Where the field at hand ends.
    end: usize,
}

impl Reader {
    /// Starts at the beginning of `frame`, with a fresh budget.
    pub fn new(frame: Bytes) -> Self {
        let budget = frame.len().saturating_mul(4).saturating_add(ALLOCATION_SLACK - SOURCE_COST);
        Self { frame, position: 0, budget, source: None }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.frame.len() - self.position
    }

    /// The rest of the frame, unread.
    pub fn rest(&self) -> Bytes {
        self.frame.slice(self.position..)
    }

    /// Done: bytes left over are an error.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.remaining() == 0 { Ok(()) } else { Err(DecodeError::Malformed("bytes after the end of the message")) }
    }

    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.i8()? != 0)
    }

    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        Ok(i8::from_be_bytes(self.array_of()?))
    }

    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        Ok(i16::from_be_bytes(self.array_of()?))
    }

    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array_of()?))
    }

    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array_of()?))
    }

    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array_of()?))
    }

    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array_of()?))
    }

    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        Ok(f64::from_be_bytes(self.array_of()?))
    }

    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        Ok(Uuid::from_bytes(self.array_of()?))
    }

    /// An unsigned varint of at most 5 bytes and 32 bits.
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let value = self.base128(5)?;
        u32::try_from(value).map_err(|_| DecodeError::Malformed("varint over 32 bits"))
    }

    /// A zigzag varint of 32 bits.
    pub fn varint(&mut self) -> Result<i32, DecodeError> {
        let value = self.uvarint()?;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    /// A zigzag varint of 64 bits, at most 10 bytes.
    pub fn varlong(&mut self) -> Result<i64, DecodeError> {
        let value = self.base128(10)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A string that must be there.
    pub fn string(&mut self, flexible: bool) -> Result<Str, DecodeError> {
        self.nullable_string(flexible, false).map(Option::unwrap_or_default)
    }

    /// A string, or null where `nullable`.
    pub fn nullable_string(&mut self, flexible: bool, nullable: bool) -> Result<Option<Str>, DecodeError> {
        let length = if flexible { self.compact_length()? } else { length_of(self.i16()?.into()) };
        let Some(length) = present(length, nullable)? else { return Ok(None) };
        if length > i16::MAX as usize {
            return Err(DecodeError::Malformed("string over 32,767 bytes"));
        }
        let start = self.skip(length)?;
        let source = self.source.get_or_insert_with(|| Arc::new(self.frame.clone()));
        let string = Str::part(source, start, length).map_err(|_| DecodeError::Malformed("string is not UTF-8"))?;
        Ok(Some(string))
    }

    /// Bytes that must be there: a slice of the frame.
    pub fn bytes(&mut self, flexible: bool) -> Result<Bytes, DecodeError> {
        self.nullable_bytes(flexible, false).map(Option::unwrap_or_default)
    }

    /// Bytes, or null where `nullable`.
    pub fn nullable_bytes(&mut self, flexible: bool, nullable: bool) -> Result<Option<Bytes>, DecodeError> {
        let Some(length) = present(self.length(flexible)?, nullable)? else { return Ok(None) };
        let start = self.skip(length)?;
        Ok(Some(self.frame.slice(start..start + length)))
    }

    /// Records that must be there: one slice of the frame, not looked into.
    pub fn records(&mut self, flexible: bool) -> Result<Records, DecodeError> {
        self.nullable_records(flexible, false).map(Option::unwrap_or_default)
    }

    /// Records, or null where `nullable`.
    pub fn nullable_records(&mut self, flexible: bool, nullable: bool) -> Result<Option<Records>, DecodeError> {
        let Some(bytes) = self.nullable_bytes(flexible, nullable)? else { return Ok(None) };
        self.charge(if bytes.is_empty() { 0 } else { size_of::<Bytes>() })?;
        Ok(Some(Records::from(bytes)))
    }

    /// A struct that is preceded by a presence byte in versions where it is `nullable`.
    pub fn nullable_struct<T: Element>(
        &mut self,
        version: i16,
        flexible: bool,
        nullable: bool,
    ) -> Result<Option<T>, DecodeError> {
        let present = !nullable || self.i8()? >= 0;
        if present { self.structure(version, flexible).map(Some) } else { Ok(None) }
    }

    /// A struct in a tagged field, where the presence is a varint: 0 is null.
    pub fn nullable_tagged_struct<T: Element>(
        &mut self,
        version: i16,
        flexible: bool,
    ) -> Result<Option<T>, DecodeError> {
        let present = self.uvarint()? != 0;
        if present { self.structure(version, flexible).map(Some) } else { Ok(None) }
    }

    /// An array that must be there.
    pub fn array<T: Element>(&mut self, version: i16, flexible: bool) -> Result<Vec<T>, DecodeError> {
        self.nullable_array(version, flexible, false).map(Option::unwrap_or_default)
    }

    /// An array, or null where `nullable`. Allocates once, exactly, and only what the budget allows.
    pub fn nullable_array<T: Element>(
        &mut self,
        version: i16,
        flexible: bool,
        nullable: bool,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let length = self.length(flexible)?;
        let Some(count) = present(length, nullable)? else { return Ok(None) };
        self.admit(count, T::SIZE_MIN, size_of::<T>())?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(self.structure(version, flexible)?);
        }
        Ok(Some(elements))
    }

    /// Opens a section of tagged fields.
    pub fn tags(&mut self) -> Result<Tags, DecodeError> {
        let left = self.uvarint()?;
        if left > TAGS_MAX {
            return Err(DecodeError::Malformed("too many tagged fields"));
        }
        Ok(Tags { left, end: self.position })
    }

    /// The next field's tag, once the one before it is read to its very end.
    pub fn next_tag(&mut self, tags: &mut Tags) -> Result<Option<u32>, DecodeError> {
        if self.position != tags.end {
            return Err(DecodeError::Malformed("tagged field is not as long as it says"));
        }
        if tags.left == 0 {
            return Ok(None);
        }
        tags.left -= 1;
        let tag = self.uvarint()?;
        let length = self.uvarint()? as usize;
        if length > self.remaining() {
            return Err(DecodeError::Malformed("tagged field runs past the end"));
        }
        tags.end = self.position + length;
        Ok(Some(tag))
    }

    /// Passes over the field at hand.
    pub fn skip_tag(&mut self, tags: &Tags) -> Result<(), DecodeError> {
        self.position = tags.end;
        Ok(())
    }

    /// Passes over a whole section of tagged fields.
    pub fn skip_tags(&mut self) -> Result<(), DecodeError> {
        let mut tags = self.tags()?;
        while self.next_tag(&mut tags)?.is_some() {
            self.skip_tag(&tags)?;
        }
        Ok(())
    }

    fn structure<T: Element>(&mut self, version: i16, flexible: bool) -> Result<T, DecodeError> {
        let mut value = T::default();
        value.read(self, version, flexible)?;
        Ok(value)
    }

    /// A length of bytes or an array; `None` is null.
    fn length(&mut self, flexible: bool) -> Result<Option<usize>, DecodeError> {
        if flexible { self.compact_length() } else { Ok(length_of(self.i32()?)) }
    }

    /// One more than the length, null being 0.
    fn compact_length(&mut self) -> Result<Option<usize>, DecodeError> {
        Ok((self.uvarint()? as usize).checked_sub(1))
    }

    /// Whether `count` elements can be in the bytes that remain, and may be held in memory.
    fn admit(&mut self, count: usize, size_min: usize, size_held: usize) -> Result<(), DecodeError> {
        if count > ARRAY_ELEMENTS_MAX {
            return Err(DecodeError::Malformed("array over 1,000,000 elements"));
        }
        if count * size_min.max(1) > self.remaining() {
            return Err(DecodeError::Malformed("array runs past the end"));
        }
        self.charge(count * size_held)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.budget = self.budget.checked_sub(bytes).ok_or(DecodeError::BudgetSpent)?;
        Ok(())
    }

    fn base128(&mut self, bytes_max: u32) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for i in 0..bytes_max {
            let [byte] = self.array_of()?;
            let bits = u64::from(byte & 0x7f);
            if i == 9 && bits > 1 {
                return Err(DecodeError::Malformed("varint over 64 bits"));
            }
            value |= bits << (7 * i);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Malformed("varint is too long"))
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = *self.frame[self.position..].first_chunk().ok_or(TRUNCATED)?;
        self.position += N;
        Ok(taken)
    }

    /// Passes over `length` bytes and returns where they start.
    fn skip(&mut self, length: usize) -> Result<usize, DecodeError> {
        if length > self.remaining() {
            return Err(TRUNCATED);
        }
        let start = self.position;
        self.position += length;
        Ok(start)
    }
}

const TRUNCATED: DecodeError = DecodeError::Malformed("the frame ends too early");

/// Old-style lengths: any negative number is null.
fn length_of(length: i32) -> Option<usize> {
    usize::try_from(length).ok()
}

/// Refuses a null where there must be a value.
fn present(length: Option<usize>, nullable: bool) -> Result<Option<usize>, DecodeError> {
    if length.is_none() && !nullable {
        return Err(DecodeError::Malformed("null where a value must be"));
    }
    Ok(length)
}
