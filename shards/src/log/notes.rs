//! Notes of batches that are on stable storage past the recovery point: their headers, kept elsewhere, so that a scan after
//! a crash need not read the batches. The log makes them and takes them back; it does not know where they were kept.
//!
//! ```text
//! note   base offset of the segment: i64 · position in its file: u64 · headers of batches one after another, 61 bytes each
//! ```
//! A note is a hint. It was made when its batches had been synced; since then the log may have been cut there and gone on
//! otherwise. So of batches noted in a row the last must still be where the note says, or none of them is believed.

use super::limits::{NOTE_BYTES_MAX, UNSYNCED_NOTES_BYTES_MAX};
use super::log::Log;
use super::recovery::follows;
use super::scan::Scan;
use super::tail::TailBatch;
use crate::record::{BatchHeader, HEADER_LEN};
use crate::types::Offset;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::io;

const NOTE_HEAD: usize = 16;

/// Batches in a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    segment: Offset,
    position: u64,
    /// Base offset of the first batch.
    pub from: Offset,
    /// The offset after the last one.
    pub next: Offset,
    /// The whole note.
    bytes: Vec<u8>,
    /// Where the last one ends.
    end: u64,
}

impl Note {
    fn of(batch: &TailBatch) -> Self {
        let (segment, position, from) = (batch.segment, batch.position, batch.base());
        let bytes = [segment.0.to_be_bytes(), position.to_be_bytes()].concat();
        let mut note = Self { segment, position, from, next: from, bytes, end: position };
        note.add(batch);
        note
    }

    fn goes_on_with(&self, batch: &TailBatch) -> bool {
        let has_room = self.bytes.len() + HEADER_LEN <= NOTE_BYTES_MAX;
        has_room && self.segment == batch.segment && self.end == batch.position
    }

    fn add(&mut self, batch: &TailBatch) {
        let [head, body] = batch.parts();
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(&body[..HEADER_LEN - head.len()]);
        self.next = batch.last.plus(1);
        self.end = batch.end_position();
    }

    /// What [`Noted::parse`] reads.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Notes that a log has made and nobody has taken yet.
pub(super) struct Notes {
    /// Smaller batches are not noted; nothing is before anybody asks for it.
    batch_bytes_min: usize,
    /// Of batches that are written.
    unsynced: Vec<Note>,
    unsynced_bytes: usize,
    /// Of batches that are synced too.
    synced: Vec<Note>,
}

impl Notes {
    pub fn none() -> Self {
        Self { batch_bytes_min: usize::MAX, unsynced: Vec::new(), unsynced_bytes: 0, synced: Vec::new() }
    }

    pub fn written<'a>(&mut self, batches: impl Iterator<Item = &'a TailBatch>) {
        let batch_bytes_min = self.batch_bytes_min;
        for batch in batches.filter(|batch| batch.size() >= batch_bytes_min) {
            self.unsynced_bytes += HEADER_LEN;
            match self.unsynced.last_mut().filter(|last| last.goes_on_with(batch)) {
                Some(last) => last.add(batch),
                None => self.unsynced.push(Note::of(batch)),
            }
        }
        if self.unsynced_bytes > UNSYNCED_NOTES_BYTES_MAX {
            self.unsynced.clear();
            self.unsynced_bytes = 0;
        }
    }

    /// What is written below `offset` is on stable storage.
    pub fn synced_below(&mut self, offset: Offset) {
        let count = self.unsynced.partition_point(|note| note.next <= offset);
        for note in self.unsynced.drain(..count) {
            self.unsynced_bytes -= note.bytes.len() - NOTE_HEAD;
            self.synced.push(note);
        }
    }

    pub fn clear(&mut self) {
        *self = Self { batch_bytes_min: self.batch_bytes_min, ..Self::none() };
    }
}

impl Log {
    /// Notes are made of batches of so many bytes and more, and wait for [`Log::take_notes`].
    pub fn set_noted(&mut self, batch_bytes_min: usize) {
        self.notes.batch_bytes_min = batch_bytes_min;
    }

    /// What there is to note since the last time, of what lies past the recovery point.
    pub fn take_notes(&mut self) -> Vec<Note> {
        let mut notes = std::mem::take(&mut self.notes.synced);
        notes.retain(|note| note.next > self.recovery_point);
        for note in &notes {
            if let Some(open) = self.segments.get_mut(note.segment).and_then(|segment| segment.open_mut()) {
                open.noted += note.end - note.position;
            }
        }
        notes
    }
}

/// What a crash left of a log's notes.
#[derive(Default)]
pub struct Noted(HashMap<Offset, BTreeMap<u64, BatchHeader>>);

impl Noted {
    /// Of notes in the order they were made; one that does not parse is passed over from there on.
    pub fn parse(notes: &[Bytes]) -> Self {
        let mut noted = Self::default();
        notes.iter().for_each(|note| noted.add(note));
        noted
    }

    fn add(&mut self, note: &[u8]) {
        let Some((head, headers)) = note.split_at_checked(NOTE_HEAD) else { return };
        let number = |at: usize| u64::from_be_bytes(*head[at..].first_chunk().expect("it was split off"));
        let segment = self.0.entry(Offset(number(0).cast_signed())).or_default();
        let mut position = number(8);
        for header in headers.chunks_exact(HEADER_LEN).map_while(|header| BatchHeader::parse(header).ok()) {
            segment.insert(position, header);
            position = position.saturating_add(header.size() as u64);
        }
    }

    /// The batches of a segment that can be believed from the scan's position on, where the log so far ends at `end`.
    pub(super) async fn believed(&self, scan: &Scan, segment: Offset, end: Offset) -> io::Result<Vec<BatchHeader>> {
        let row = self.row(scan, segment, end);
        let Some(last) = row.last() else { return Ok(row) };
        let before: usize = row[..row.len() - 1].iter().map(BatchHeader::size).sum();
        let is_there = scan.header_at(scan.position + before as u64).await? == Some(*last);
        Ok(if is_there { row } else { Vec::new() })
    }

    fn row(&self, scan: &Scan, segment: Offset, mut end: Offset) -> Vec<BatchHeader> {
        let mut row = Vec::new();
        let Some(headers) = self.0.get(&segment) else { return row };
        let mut position = scan.position;
        while let Some(header) = headers.get(&position).filter(|header| follows(header, segment, end)) {
            position += header.size() as u64;
            if position > scan.limit() {
                break;
            }
            end = header.next_offset();
            row.push(*header);
        }
        row
    }
}
