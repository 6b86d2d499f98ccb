//! Owns sparse bytes: what was never written is zero.

use super::SECTOR_BYTES;
use std::collections::BTreeMap;

const PAGE_BYTES: usize = 4096;
const SECTORS_PER_PAGE: u64 = (PAGE_BYTES / SECTOR_BYTES) as u64;

#[derive(Clone, Default)]
pub(super) struct Pages(BTreeMap<u64, Box<[u8; PAGE_BYTES]>>);

impl Pages {
    pub(super) fn write(&mut self, mut pos: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (page, within, len) = piece(pos, bytes.len());
            let page = self.0.entry(page).or_insert_with(|| Box::new([0; PAGE_BYTES]));
            page[within..within + len].copy_from_slice(&bytes[..len]);
            bytes = &bytes[len..];
            pos += len as u64;
        }
    }

    /// Overwrites `into`, which is zeroed by the caller.
    pub(super) fn read(&self, mut pos: u64, mut into: &mut [u8]) {
        while !into.is_empty() {
            let (page, within, len) = piece(pos, into.len());
            let (here, rest) = into.split_at_mut(len);
            if let Some(page) = self.0.get(&page) {
                here.copy_from_slice(&page[within..within + len]);
            }
            into = rest;
            pos += len as u64;
        }
    }

    pub(super) fn sector(&self, sector: u64) -> [u8; SECTOR_BYTES] {
        let mut bytes = [0; SECTOR_BYTES];
        self.read(sector * SECTOR_BYTES as u64, &mut bytes);
        bytes
    }

    /// Everything from `len` on becomes zero.
    pub(super) fn truncate(&mut self, len: u64) {
        let (page, within) = (len / PAGE_BYTES as u64, (len % PAGE_BYTES as u64) as usize);
        let beyond = self.0.split_off(&page);
        if let Some(mut last) = beyond.into_iter().next().filter(|(first, _)| *first == page && within > 0) {
            last.1[within..].fill(0);
            self.0.insert(page, last.1);
        }
    }

    /// The sectors of written pages from `len` on.
    pub(super) fn sectors_from(&self, len: u64) -> impl Iterator<Item = u64> + '_ {
        let first = len / SECTOR_BYTES as u64;
        let pages = self.0.range(first / SECTORS_PER_PAGE..).map(|(page, _)| page * SECTORS_PER_PAGE);
        pages.flat_map(|start| start..start + SECTORS_PER_PAGE).filter(move |sector| *sector >= first)
    }
}

/// Page, position within it, and how much of `len` bytes at `pos` lies in it.
fn piece(pos: u64, len: usize) -> (u64, usize, usize) {
    let within = (pos % PAGE_BYTES as u64) as usize;
    (pos / PAGE_BYTES as u64, within, len.min(PAGE_BYTES - within))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pages: &Pages, pos: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        pages.read(pos, &mut bytes);
        bytes
    }

    #[test]
    fn bytes_are_read_as_written_across_pages() {
        let mut pages = Pages::default();
        pages.write(4090, b"hello, pages");
        assert_eq!(read(&pages, 4090, 12), b"hello, pages");
        assert_eq!(read(&pages, 4088, 3), [0, 0, b'h']);
        assert_eq!(read(&pages, 100_000, 2), [0, 0]);
    }

    #[test]
    fn what_is_cut_off_reads_as_zero() {
        let mut pages = Pages::default();
        pages.write(0, &[7; 10_000]);
        pages.truncate(5_000);
        assert_eq!(read(&pages, 4_999, 3), [7, 0, 0]);
        assert_eq!(read(&pages, 9_000, 1), [0]);
        pages.truncate(4_096);
        assert_eq!(read(&pages, 4_095, 2), [7, 0]);
    }
}
