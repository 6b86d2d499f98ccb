//! One record's outline, read without looking at its key, value or headers.

use super::varint::{Broken, Source, read_i32, read_i64};

/// What validation wants to know of a record.
pub(super) struct Outline {
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub has_key: bool,
}

/// Passes over the next record, checking that its parts fill exactly the length it gives.
pub(super) fn next_outline<S: Source>(source: &mut S) -> Result<Outline, Broken> {
    let len = u32::try_from(read_i32(source)?).map_err(|_| Broken::Malformed)?;
    let end = source.position() + u64::from(len);
    let _attributes = source.byte()?;
    let timestamp_delta = read_i64(source)?;
    let offset_delta = read_i32(source)?;
    let has_key = skip_nullable(source)?;
    skip_nullable(source)?;
    let headers = read_i32(source)?;
    if headers < 0 {
        return Err(Broken::Malformed);
    }
    for _ in 0..headers {
        if !skip_nullable(source)? {
            return Err(Broken::Malformed);
        }
        skip_nullable(source)?;
    }
    if source.position() != end {
        return Err(Broken::Malformed);
    }
    Ok(Outline { timestamp_delta, offset_delta, has_key })
}

/// Passes over a length and as many bytes; false for null, which any negative length means.
fn skip_nullable<S: Source>(source: &mut S) -> Result<bool, Broken> {
    match u32::try_from(read_i32(source)?) {
        Ok(len) => source.skip(len).map(|()| true),
        Err(_) => Ok(false),
    }
}
