//! Record batches as a message carries them: never looked into, never copied.

use bytes::{Bytes, BytesMut};

/// One byte string that may lie in several pieces; decoding gives one piece, encoding splices them all.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// In order; the pieces' bounds mean nothing.
    pub pieces: Vec<Bytes>,
}

impl Records {
    /// Bytes in all pieces together.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// Whether there is not a single byte.
    pub fn is_empty(&self) -> bool {
        self.pieces.iter().all(Bytes::is_empty)
    }

    /// All of it as one slice; copies only when there are several pieces.
    pub fn into_bytes(mut self) -> Bytes {
        match self.pieces.len() {
            0 => Bytes::new(),
            1 => self.pieces.swap_remove(0),
            _ => self.joined(),
        }
    }

    fn joined(&self) -> Bytes {
        let mut all = BytesMut::with_capacity(self.len());
        for piece in &self.pieces {
            all.extend_from_slice(piece);
        }
        all.freeze()
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        let pieces = if bytes.is_empty() { Vec::new() } else { vec![bytes] };
        Self { pieces }
    }
}

impl From<Vec<Bytes>> for Records {
    fn from(pieces: Vec<Bytes>) -> Self {
        Self { pieces }
    }
}

/// Equal bytes are equal records, wherever the pieces are cut.
impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        match (&self.pieces[..], &other.pieces[..]) {
            ([a], [b]) => a == b,
            _ => self.len() == other.len() && self.joined() == other.joined(),
        }
    }
}

impl Eq for Records {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_pieces_are_cut_does_not_matter() {
        let cut = Records::from(vec![Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"c")]);
        assert_eq!(cut, Records::from(Bytes::from_static(b"abc")));
        assert_eq!(cut.len(), 3);
        assert_eq!(cut.into_bytes(), "abc");
        assert_ne!(Records::default(), Records::from(Bytes::from_static(b"a")));
    }
}
