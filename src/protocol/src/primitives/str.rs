//! Strings that are slices of a frame: 16 bytes each, so that a name decoded costs little more than a name sent.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::ops::Deref;
use std::str::Utf8Error;
use std::sync::Arc;

use bytes::Bytes;

/// A UTF-8 string backed by [`Bytes`], cheap to clone.
///
/// A decoded one keeps its whole frame alive: what outlives the request should hold [`Str::detached`].
#[derive(Clone)]
pub struct Str {
    /// What the string is a part of; none when empty. Always valid UTF-8 within the bounds.
    source: Option<Arc<Bytes>>,
    /// One more than the offset in `source`, which gives `Option<Str>` its none for free.
    start_plus_one: NonZeroU32,
    length: u32,
}

impl Str {
    /// The empty string.
    pub const EMPTY: Str = Str { source: None, start_plus_one: NonZeroU32::MIN, length: 0 };

    /// Wraps bytes that live as long as the program.
    pub fn from_static(text: &'static str) -> Self {
        Self::whole(Bytes::from_static(text.as_bytes()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Checked again because the alternative is `unsafe`; names are short and ASCII goes sixteen bytes at a time.
        std::str::from_utf8(self.as_bytes()).expect("checked when it was made")
    }

    /// The text's bytes, without a second look at them.
    pub fn as_bytes(&self) -> &[u8] {
        self.source.as_ref().map_or(&[], |source| &source[self.start()..self.end()])
    }

    /// The same bytes as a slice of the same frame.
    pub fn to_bytes(&self) -> Bytes {
        self.source.as_ref().map_or(Bytes::new(), |source| source.slice(self.start()..self.end()))
    }

    /// A copy that holds on to nothing but its own bytes.
    pub fn detached(&self) -> Self {
        Self::whole(Bytes::copy_from_slice(self.as_bytes()))
    }

    /// Bytes in the text.
    pub fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A part of a frame; the frame is shared by all its strings.
    pub(crate) fn part(source: &Arc<Bytes>, start: usize, length: usize) -> Result<Self, Utf8Error> {
        if length == 0 {
            return Ok(Self::EMPTY);
        }
        std::str::from_utf8(&source[start..start + length])?;
        let start_plus_one = NonZeroU32::new(narrow(start) + 1).expect("one more than something");
        Ok(Self { source: Some(Arc::clone(source)), start_plus_one, length: narrow(length) })
    }

    /// `bytes` are valid UTF-8.
    fn whole(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::EMPTY;
        }
        let length = narrow(bytes.len());
        Self { source: Some(Arc::new(bytes)), start_plus_one: NonZeroU32::MIN, length }
    }

    fn start(&self) -> usize {
        self.start_plus_one.get() as usize - 1
    }

    fn end(&self) -> usize {
        self.start() + self.length as usize
    }
}

/// Frames and strings are far below 2 GiB: their sizes are sent as `int32`.
fn narrow(n: usize) -> u32 {
    assert!(n < i32::MAX as usize, "a string or its frame is over 2 GiB");
    n as u32
}

impl Default for Str {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Deref for Str {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Str {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for Str {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self::whole(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self::whole(Bytes::from(text))
    }
}

impl From<&String> for Str {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Str> for String {
    fn from(text: Str) -> Self {
        text.as_str().to_owned()
    }
}

impl TryFrom<Bytes> for Str {
    type Error = Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Utf8Error> {
        std::str::from_utf8(&bytes)?;
        Ok(Self::whole(bytes))
    }
}

impl PartialEq for Str {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Str {}

impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<String> for Str {
    fn eq(&self, other: &String) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialOrd for Str {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Str {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

/// As `str` hashes, so that a map keyed by `Str` can be asked with a `&str`.
impl Hash for Str {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_string_and_an_optional_string_take_sixteen_bytes() {
        assert_eq!(size_of::<Str>(), 16);
        assert_eq!(size_of::<Option<Str>>(), 16);
    }

    #[test]
    fn a_part_shares_its_frame_and_a_detached_one_does_not() {
        let frame = Arc::new(Bytes::from_static(b"..topic.."));
        let topic = Str::part(&frame, 2, 5).unwrap();
        assert_eq!(topic, "topic");
        assert_eq!(topic.to_bytes().as_ptr(), frame[2..].as_ptr());
        assert_eq!(Arc::strong_count(&frame), 2);
        assert_eq!(topic.detached(), topic);
        drop(topic);
        assert_eq!(Arc::strong_count(&frame), 1);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_no_string() {
        assert!(Str::try_from(Bytes::from_static(b"\xff")).is_err());
        assert!(Str::part(&Arc::new(Bytes::from_static("\u{e9}".as_bytes())), 1, 1).is_err());
    }

    #[test]
    fn a_map_keyed_by_str_is_asked_with_a_borrowed_one() {
        let map = HashMap::from([(Str::from("a"), 1), (Str::EMPTY, 2)]);
        assert_eq!((map.get("a"), map.get(""), map.get("b")), (Some(&1), Some(&2), None));
    }
}
