//! Whole batches read from a log, as the pieces of memory they lie in.

use crate::types::Offset;
use bytes::{Bytes, BytesMut};

/// Consecutive batches; the pieces end to end are what a Fetch response carries. A piece may end inside a batch.
#[derive(Clone, Debug, Default)]
pub struct Records {
    pieces: Vec<Bytes>,
    len: usize,
    /// After the last batch, as far as who read them has said it.
    end: Option<Offset>,
}

impl Records {
    pub fn push(&mut self, piece: Bytes) {
        self.len += piece.len();
        if !piece.is_empty() {
            self.pieces.push(piece);
        }
    }

    /// The offset after the last batch; `None` when there is none.
    pub fn end_offset(&self) -> Option<Offset> {
        self.end
    }

    pub(super) fn ends_at(&mut self, end: Offset) {
        self.end = Some(end);
    }

    /// Bytes of all pieces.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    pub fn into_pieces(self) -> Vec<Bytes> {
        self.pieces
    }

    /// All bytes in one piece; copies when there are several.
    pub fn into_bytes(mut self) -> Bytes {
        if self.pieces.len() == 1 {
            return self.pieces.swap_remove(0);
        }
        let mut whole = BytesMut::with_capacity(self.len);
        self.pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        whole.freeze()
    }
}

impl From<Bytes> for Records {
    fn from(piece: Bytes) -> Self {
        let mut records = Self::default();
        records.push(piece);
        records
    }
}
