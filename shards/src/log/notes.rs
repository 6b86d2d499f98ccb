//! Notes of batches that are on stable storage past the recovery point: their headers, kept elsewhere, so that a scan after
//! a crash need not read the batches. The log makes them and takes them back; it does not know where they were kept.
//!
//! ```text
//! note   base offset of the segment: i64 · position in its file: u64 · headers of batches one after another, 61 bytes each
//! ```
//! A note is a hint. It was made when its batches had been synced; since then the log may have been cut there and gone on
//! otherwise. So of batches noted in a row the last must still be where the note says, or none of them is believed.

use super::limits::{FOUND_NOTES_BYTES_MAX, NOTE_BYTES_MAX, UNSYNCED_NOTES_BYTES_MAX};
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

/// A batch to be noted.
struct Placed {
    segment: Offset,
    position: u64,
    size: usize,
    from: Offset,
    next: Offset,
    header: [u8; HEADER_LEN],
}

impl Placed {
    fn of(batch: &TailBatch) -> Self {
        let (segment, position, size) = (batch.segment, batch.position, batch.size());
        let [head, body] = batch.parts();
        let mut header = [0; HEADER_LEN];
        header[..head.len()].copy_from_slice(head);
        header[head.len()..].copy_from_slice(&body[..HEADER_LEN - head.len()]);
        Self { segment, position, size, from: batch.base(), next: batch.last.plus(1), header }
    }

    fn found(segment: Offset, position: u64, header: &BatchHeader) -> Self {
        let mut bytes = [0; HEADER_LEN];
        header.write(&mut bytes);
        let (from, next) = (header.base_offset, header.next_offset());
        Self { segment, position, size: header.size(), from, next, header: bytes }
    }
}

impl Note {
    fn of(batch: &Placed) -> Self {
        let Placed { segment, position, from, .. } = *batch;
        let bytes = [segment.0.to_be_bytes(), position.to_be_bytes()].concat();
        let mut note = Self { segment, position, from, next: from, bytes, end: position };
        note.add(batch);
        note
    }

    fn goes_on_with(&self, batch: &Placed) -> bool {
        let has_room = self.bytes.len() + HEADER_LEN <= NOTE_BYTES_MAX;
        has_room && self.segment == batch.segment && self.end == batch.position
    }

    fn add(&mut self, batch: &Placed) {
        self.bytes.extend_from_slice(&batch.header);
        self.next = batch.next;
        self.end = batch.position + batch.size as u64;
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
    /// They are not yet: a start found them, and syncs their file system when all logs are open.
    held: bool,
    found_bytes: usize,
}

impl Notes {
    pub fn none() -> Self {
        Self {
            batch_bytes_min: usize::MAX,
            unsynced: Vec::new(),
            unsynced_bytes: 0,
            synced: Vec::new(),
            held: false,
            found_bytes: 0,
        }
    }

    /// Of a log that a start reads, until [`Log::take_found_notes`].
    pub fn held(batch_bytes_min: usize) -> Self {
        Self { batch_bytes_min, held: true, ..Self::none() }
    }

    /// A start has found the batch. Of very many the last are noted.
    pub fn found(&mut self, segment: Offset, position: u64, header: &BatchHeader) {
        if !self.held || header.size() < self.batch_bytes_min {
            return;
        }
        self.count_found(HEADER_LEN);
        add(&mut self.synced, &Placed::found(segment, position, header));
    }

    fn count_found(&mut self, bytes: usize) {
        if self.found_bytes + bytes > FOUND_NOTES_BYTES_MAX {
            self.synced.clear();
            self.found_bytes = 0;
        }
        self.found_bytes += bytes;
    }

    pub fn written<'a>(&mut self, batches: impl Iterator<Item = &'a TailBatch>) {
        let batch_bytes_min = self.batch_bytes_min;
        for batch in batches.filter(|batch| batch.size() >= batch_bytes_min) {
            self.unsynced_bytes += HEADER_LEN;
            add(&mut self.unsynced, &Placed::of(batch));
        }
        if self.unsynced_bytes > UNSYNCED_NOTES_BYTES_MAX {
            self.unsynced.clear();
            self.unsynced_bytes = 0;
        }
    }

    /// What is written below `offset` is on stable storage.
    pub fn synced_below(&mut self, offset: Offset) {
        let count = self.unsynced.partition_point(|note| note.next <= offset);
        let synced: Vec<Note> = self.unsynced.drain(..count).collect();
        for note in synced {
            let bytes = note.bytes.len() - NOTE_HEAD;
            self.unsynced_bytes -= bytes;
            if self.held {
                self.count_found(bytes);
            }
            self.synced.push(note);
        }
    }

    pub fn clear(&mut self) {
        *self = Self { batch_bytes_min: self.batch_bytes_min, held: self.held, ..Self::none() };
    }
}

fn add(notes: &mut Vec<Note>, batch: &Placed) {
    match notes.last_mut().filter(|last| last.goes_on_with(batch)) {
        Some(last) => last.add(batch),
        None => notes.push(Note::of(batch)),
    }
}

impl Log {
    /// Notes are made of batches of so many bytes and more, and wait for [`Log::take_notes`].
    pub fn set_noted(&mut self, batch_bytes_min: usize) {
        self.notes.batch_bytes_min = batch_bytes_min;
    }

    /// What there is to note since the last time, of what lies past the recovery point.
    pub fn take_notes(&mut self) -> Vec<Note> {
        if self.notes.held {
            return Vec::new();
        }
        let mut notes = std::mem::take(&mut self.notes.synced);
        notes.retain(|note| note.next > self.recovery_point);
        self.count_noted(&notes);
        notes
    }

    /// What a start has found and may note, now that the file system is synced: from the recovery point on that is recorded,
    /// which may be below the one that it has found.
    pub fn take_found_notes(&mut self) -> Vec<Note> {
        if !std::mem::take(&mut self.notes.held) {
            return Vec::new();
        }
        self.notes.found_bytes = 0;
        let notes = std::mem::take(&mut self.notes.synced);
        self.count_noted(&notes);
        notes
    }

    /// Bytes of what [`Log::take_found_notes`] waits for.
    pub fn found_notes_bytes(&self) -> usize {
        self.notes.found_bytes
    }

    /// There are too many of them.
    pub fn drop_found_notes(&mut self) {
        self.notes.clear();
    }

    fn count_noted(&mut self, notes: &[Note]) {
        for note in notes {
            if let Some(open) = self.segments.get_mut(note.segment).and_then(|segment| segment.open_mut()) {
                open.noted += note.end - note.position;
            }
        }
    }
}

/// What a crash left of a log's notes.
pub struct Noted {
    /// By segment and position.
    headers: HashMap<Offset, BTreeMap<u64, BatchHeader>>,
    /// What is found of batches of so many bytes and more is noted again.
    again_from: usize,
}

impl Default for Noted {
    /// Nothing; and nothing is noted.
    fn default() -> Self {
        Self { headers: HashMap::new(), again_from: usize::MAX }
    }
}

impl Noted {
    /// Of notes in the order they were made; one that does not parse is passed over from there on.
    pub fn parse(notes: &[Bytes]) -> Self {
        let mut noted = Self::default();
        notes.iter().for_each(|note| noted.add(note));
        noted
    }

    /// Batches of so many bytes and more are noted again as they are found; the notes wait for [`Log::take_found_notes`].
    pub fn again_from(self, batch_bytes_min: usize) -> Self {
        Self { again_from: batch_bytes_min, ..self }
    }

    pub(super) fn notes_again(&self) -> Notes {
        if self.again_from == usize::MAX { Notes::none() } else { Notes::held(self.again_from) }
    }

    fn add(&mut self, note: &[u8]) {
        let Some((head, headers)) = note.split_at_checked(NOTE_HEAD) else { return };
        let number = |at: usize| u64::from_be_bytes(*head[at..].first_chunk().expect("it was split off"));
        let segment = self.headers.entry(Offset(number(0).cast_signed())).or_default();
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
        let Some(headers) = self.headers.get(&segment) else { return row };
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
