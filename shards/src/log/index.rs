//! Sorted entries of a fixed width, as an index file holds them: those in the file, and those added since.

use super::index_file::IndexBytes;
use bytes::Bytes;

/// What an index knows in memory. Entries are kept as the bytes they have in the file.
///
/// `stored` entries lie in the file and are searched there; `added` ones follow them and go to the file when the
/// segment is sealed or trimmed. `last` is the last of all.
#[derive(Clone, Debug)]
pub(super) struct Index<const WIDTH: usize> {
    stored: u32,
    added: Vec<[u8; WIDTH]>,
    last: Option<[u8; WIDTH]>,
    entries_max: u32,
}

impl<const WIDTH: usize> Index<WIDTH> {
    /// An empty index of a file that may grow to `bytes_max`.
    pub fn new(bytes_max: u32) -> Self {
        Self { stored: 0, added: Vec::new(), last: None, entries_max: bytes_max / WIDTH as u32 }
    }

    /// An index whose file holds `stored` entries, `last` being the last of them.
    pub fn stored(bytes_max: u32, stored: u32, last: Option<[u8; WIDTH]>) -> Self {
        assert_eq!(stored == 0, last.is_none(), "only an empty index has no last entry");
        Self { stored, last, ..Self::new(bytes_max) }
    }

    pub fn len(&self) -> u32 {
        self.stored + self.added.len() as u32
    }

    /// Entries that lie in the file.
    pub fn len_stored(&self) -> u32 {
        self.stored
    }

    pub fn entries_max(&self) -> u32 {
        self.entries_max
    }

    pub fn last(&self) -> Option<&[u8; WIDTH]> {
        self.last.as_ref()
    }

    /// Entries that are not in the file yet.
    pub fn added(&self) -> &[[u8; WIDTH]] {
        &self.added
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        self.added.capacity() * WIDTH
    }

    pub fn push(&mut self, entry: [u8; WIDTH]) {
        self.added.push(entry);
        self.last = Some(entry);
    }

    /// The last entry added since the file was written for which `is_at_most` holds, given that it holds for a prefix.
    pub fn search_added(&self, is_at_most: impl Fn(&[u8; WIDTH]) -> bool) -> Option<&[u8; WIDTH]> {
        let count = self.added.partition_point(is_at_most);
        count.checked_sub(1).map(|at| &self.added[at])
    }

    /// What its file is to hold.
    pub fn file_bytes(&self) -> IndexBytes {
        let kept = u64::from(self.stored) * WIDTH as u64;
        IndexBytes { kept, added: Bytes::from(self.added.concat()), entries: self.len() }
    }

    /// The first `len` entries are in the file now.
    pub fn mark_stored(&mut self, len: u32) {
        self.added.drain(..(len - self.stored) as usize);
        self.added.shrink_to_fit();
        self.stored = len;
    }

    /// Something was added since the file was written.
    pub fn is_dirty(&self) -> bool {
        !self.added.is_empty()
    }
}
