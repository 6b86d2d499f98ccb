//! Zig-zag varints of records: at most 5 bytes for 32 bits, 10 for 64.

/// Where the bytes of records come from: a slice, or a stream that inflates as it goes.
pub(super) trait Source {
    /// The next byte.
    fn byte(&mut self) -> Result<u8, Broken>;
    /// Passes over `count` bytes.
    fn skip(&mut self, count: u32) -> Result<(), Broken>;
    /// Shows the next `count` bytes, in as many pieces as they lie in.
    fn pieces(&mut self, count: u32, see: &mut dyn FnMut(&[u8])) -> Result<(), Broken>;
    /// Bytes taken since the start; only differences matter.
    fn position(&self) -> u64;
}

/// Why no further byte can be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Broken {
    /// The bytes end, or mean nothing.
    Malformed,
    /// The stream does not inflate.
    Compression,
    /// The stream inflates past its bound.
    TooLarge,
}

#[inline]
pub(super) fn read_i32<S: Source + ?Sized>(source: &mut S) -> Result<i32, Broken> {
    let first = source.byte()?;
    if first < 0x80 {
        return Ok(zigzag_i32(u32::from(first)));
    }
    let mut value = u32::from(first & 0x7f);
    for shift in [7, 14, 21, 28] {
        let byte = source.byte()?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(zigzag_i32(value));
        }
    }
    Err(Broken::Malformed)
}

#[inline]
pub(super) fn read_i64<S: Source + ?Sized>(source: &mut S) -> Result<i64, Broken> {
    let first = source.byte()?;
    if first < 0x80 {
        return Ok(i64::from(zigzag_i32(u32::from(first))));
    }
    let mut value = u64::from(first & 0x7f);
    for shift in [7, 14, 21, 28, 35, 42, 49, 56, 63] {
        let byte = source.byte()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    Err(Broken::Malformed)
}

fn zigzag_i32(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

pub(super) fn write_i64(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// A slice read from its start.
pub(super) struct Slice<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Slice<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, len: bytes.len() }
    }
}

impl Source for Slice<'_> {
    #[inline]
    fn byte(&mut self) -> Result<u8, Broken> {
        let (byte, rest) = self.rest.split_first().ok_or(Broken::Malformed)?;
        self.rest = rest;
        Ok(*byte)
    }

    #[inline]
    fn skip(&mut self, count: u32) -> Result<(), Broken> {
        self.rest = self.rest.get(count as usize..).ok_or(Broken::Malformed)?;
        Ok(())
    }

    fn pieces(&mut self, count: u32, see: &mut dyn FnMut(&[u8])) -> Result<(), Broken> {
        let (piece, rest) = self.rest.split_at_checked(count as usize).ok_or(Broken::Malformed)?;
        see(piece);
        self.rest = rest;
        Ok(())
    }

    #[inline]
    fn position(&self) -> u64 {
        (self.len - self.rest.len()) as u64
    }
}
