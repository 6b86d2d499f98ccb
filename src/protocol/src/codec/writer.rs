//! Appends values to a buffer, or only counts the bytes they would take.

use bytes::Bytes;
use uuid::Uuid;

use super::{Element, EncodeError};
use crate::primitives::{Records, Str};

/// Record pieces shorter than this are copied: a piece of its own would cost more.
const SPLICE_MIN: usize = 512;

/// Encoded bytes so far. Large record pieces stay where they are and are spliced in between.
#[derive(Debug, Default)]
pub struct Writer {
    buffer: Vec<u8>,
    /// Pieces that belong before the given offset of `buffer`, in order.
    splices: Vec<(usize, Bytes)>,
    /// Bytes in `splices`, or bytes counted.
    elsewhere: usize,
    counts_only: bool,
}

impl Writer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty buffer with room for `bytes`, not counting spliced records.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { buffer: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Counts what is written and keeps none of it.
    pub fn counter() -> Self {
        Self { counts_only: true, ..Self::default() }
    }

    /// Bytes written so far, spliced ones included.
    pub fn len(&self) -> usize {
        self.buffer.len() + self.elsewhere
    }

    /// Whether nothing is written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces in order; their bytes, one after the other, are what was written.
    pub fn finish(self) -> Vec<Bytes> {
        let buffer = Bytes::from(self.buffer);
        let mut pieces = Vec::with_capacity(2 * self.splices.len() + 1);
        let mut from = 0;
        for (to, piece) in self.splices {
            if to > from {
                pieces.push(buffer.slice(from..to));
            }
            pieces.push(piece);
            from = to;
        }
        if from < buffer.len() {
            pieces.push(buffer.slice(from..));
        }
        pieces
    }

    /// Everything in one slice; copies when records were spliced.
    pub fn into_bytes(self) -> Bytes {
        Records::from(self.finish()).into_bytes()
    }

    /// Appends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        if self.counts_only {
            self.elsewhere += bytes.len();
        } else {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Appends bytes as they are, without copying them when they are many.
    pub fn splice(&mut self, piece: &Bytes) {
        if self.counts_only || piece.len() < SPLICE_MIN {
            return self.raw(piece);
        }
        self.splices.push((self.buffer.len(), piece.clone()));
        self.elsewhere += piece.len();
    }

    /// Writes `value` over the four bytes at `offset`, before which nothing was spliced.
    pub fn patch_i32(&mut self, offset: usize, value: i32) {
        self.buffer[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
    }

    pub fn bool(&mut self, value: bool) {
        self.raw(&[u8::from(value)]);
    }

    pub fn i8(&mut self, value: i8) {
        self.raw(&value.to_be_bytes());
    }

    pub fn i16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    pub fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    pub fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    pub fn f64(&mut self, value: f64) {
        self.raw(&value.to_be_bytes());
    }

    pub fn uuid(&mut self, value: Uuid) {
        self.raw(value.as_bytes());
    }

    /// An unsigned varint: 1 to 5 bytes.
    pub fn uvarint(&mut self, value: u32) {
        self.base128(value.into());
    }

    /// A zigzag varint of 32 bits.
    pub fn varint(&mut self, value: i32) {
        self.uvarint(((value << 1) ^ (value >> 31)) as u32);
    }

    /// A zigzag varint of 64 bits.
    pub fn varlong(&mut self, value: i64) {
        self.base128(((value << 1) ^ (value >> 63)) as u64);
    }

    pub fn string(&mut self, value: &Str, flexible: bool) -> Result<(), EncodeError> {
        self.nullable_string(Some(value), flexible)
    }

    pub fn nullable_string(&mut self, value: Option<&Str>, flexible: bool) -> Result<(), EncodeError> {
        let text = value.map_or(&[][..], Str::as_bytes);
        let length = i16::try_from(text.len()).map_err(|_| EncodeError::TooLong(text.len()))?;
        match (flexible, value) {
            (true, Some(_)) => self.uvarint(length as u32 + 1),
            (true, None) => self.uvarint(0),
            (false, Some(_)) => self.i16(length),
            (false, None) => self.i16(-1),
        }
        self.raw(text);
        Ok(())
    }

    pub fn bytes(&mut self, value: &Bytes, flexible: bool) -> Result<(), EncodeError> {
        self.nullable_bytes(Some(value), flexible)
    }

    pub fn nullable_bytes(&mut self, value: Option<&Bytes>, flexible: bool) -> Result<(), EncodeError> {
        self.length(value.map(Bytes::len), flexible)?;
        self.raw(value.map_or(&[], |bytes| bytes));
        Ok(())
    }

    pub fn records(&mut self, value: &Records, flexible: bool) -> Result<(), EncodeError> {
        self.nullable_records(Some(value), flexible)
    }

    /// Records with their length before them; the pieces are spliced.
    pub fn nullable_records(&mut self, value: Option<&Records>, flexible: bool) -> Result<(), EncodeError> {
        self.length(value.map(Records::len), flexible)?;
        for piece in value.iter().flat_map(|records| &records.pieces) {
            self.splice(piece);
        }
        Ok(())
    }

    /// A struct, after a presence byte in versions where it is `nullable`.
    pub fn nullable_struct<T: Element>(
        &mut self,
        value: Option<&T>,
        version: i16,
        flexible: bool,
        nullable: bool,
    ) -> Result<(), EncodeError> {
        if nullable {
            self.i8(if value.is_some() { 1 } else { -1 });
        }
        value.map_or(Ok(()), |value| value.write(self, version, flexible))
    }

    /// A struct in a tagged field, where the presence is a varint: 0 is null.
    pub fn nullable_tagged_struct<T: Element>(
        &mut self,
        value: Option<&T>,
        version: i16,
        flexible: bool,
    ) -> Result<(), EncodeError> {
        self.uvarint(value.is_some().into());
        value.map_or(Ok(()), |value| value.write(self, version, flexible))
    }

    pub fn array<T: Element>(&mut self, value: &[T], version: i16, flexible: bool) -> Result<(), EncodeError> {
        self.nullable_array(Some(value), version, flexible)
    }

    pub fn nullable_array<T: Element>(
        &mut self,
        value: Option<&[T]>,
        version: i16,
        flexible: bool,
    ) -> Result<(), EncodeError> {
        self.length(value.map(<[T]>::len), flexible)?;
        for element in value.unwrap_or_default() {
            element.write(self, version, flexible)?;
        }
        Ok(())
    }

    /// A tagged field: its tag, its length, then what `value` writes. `value` runs twice, once only to be measured.
    pub fn tagged(
        &mut self,
        tag: u32,
        value: impl Fn(&mut Writer) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut counter = Writer::counter();
        value(&mut counter)?;
        self.uvarint(tag);
        self.uvarint(u32::try_from(counter.len()).map_err(|_| EncodeError::TooLong(counter.len()))?);
        value(self)
    }

    /// The length before bytes or an array; `None` is null.
    fn length(&mut self, length: Option<usize>, flexible: bool) -> Result<(), EncodeError> {
        let length = match length {
            Some(length) => i32::try_from(length).map_err(|_| EncodeError::TooLong(length))?,
            None => -1,
        };
        if flexible {
            self.uvarint((length as u32).wrapping_add(1));
        } else {
            self.i32(length);
        }
        Ok(())
    }

    fn base128(&mut self, mut value: u64) {
        let mut bytes = [0; 10];
        let mut length = 0;
        loop {
            bytes[length] = value as u8 | 0x80;
            length += 1;
            value >>= 7;
            if value == 0 {
                break;
            }
        }
        bytes[length - 1] &= 0x7f;
        self.raw(&bytes[..length]);
    }
}
