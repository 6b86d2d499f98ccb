//! The journal of a shard in one log directory: a synced write for the batches of many partitions at once, so that what
//! an acknowledgement costs does not grow with their number. It is read only after a crash.
//!
//! ```text
//! <log.dir>/.odradek-journal-<incarnation: 16 hex digits>-<number>    Apache Kafka passes files of such names over
//!
//!  file    | frame 7 | frame 8   | frame 9 | frame 3 (of the lap before) | zeros, on the first lap |
//!  frame   | header | entry | entry | ... | padding to a block |
//! ```
//! A *file* is written with zeros once and then recycled: a synced write into written blocks is twice as fast as one
//! into blocks that were only allocated. A *frame* is one direct, synced write; a few are in flight, and what arrives
//! meanwhile gathers into the next. An *entry* is the next batches of one partition, byte for byte as they will lie in
//! its segment. All numbers are big-endian:
//!
//! ```text
//! frame   magic: u64 · checksum: u32 (CRC-32C of all that follows) · length: u32 (from the magic to the last entry)
//!         incarnation: u64 · sequence: u64 · entries: u32 · entries
//! entry   topic id: 16 bytes · partition: i32 · length of the batches: u32 · from: i64 (the log's end before them)
//!         the batches
//! ```
//! What a reader believes ([`Leftovers`]):
//!
//! 1. A frame counts when its checksum is right and its incarnation is that of the file's name: the number of the start
//!    it belongs to, and 32 random bits, so that no client can make one up.
//! 2. Frames are acknowledged in the order of their sequence, so one that follows a torn one was promised to nobody. Its
//!    entries count all the same where they continue a log, like everything unacknowledged that happens to be there.
//! 3. A frame of an earlier lap holds only what its partitions had on stable storage when its file was recycled: its
//!    entries lie below the ends of their logs, and are passed over like everything that does.
//! 4. An entry goes to the partition of its topic id, never to another of the same name, and only where it continues
//!    that partition's log; entries of an older start come before those of a younger one.
//! 5. What an older start left is gone before anybody is served: an entry that did not continue its log then must not
//!    meet one later that has grown to where it would.
//!
//! A file is recycled when every partition with an entry in it has synced its own segment past that entry
//! ([`Journal::release`]). Without room in the journal the caller syncs the segment itself, which makes room.
//!
//! Beside the journal lie *notes* ([`Notes`]), in files `.odradek-notes-<incarnation>-<number>` of the same frames, whose
//! entries say what a partition wants to find after a crash about batches in its segments. They are not synced, and lost
//! without loss. A start makes those it needs anew before it removes the old ones.

mod frame;
#[allow(clippy::module_inception)] // the room and the type it is about
mod journal;
mod leftovers;
mod limits;
mod names;
mod notes;
mod ring;
#[cfg(test)]
mod tests;

pub use journal::{Journal, Settings, Source, Waiting};
pub use leftovers::{Entry, Leftovers, Reader, discard};
pub use limits::{BYTES_DEFAULT, BYTES_MIN, NOTES_BYTES_DEFAULT, RENOTED_BYTES_MAX};
pub use notes::Notes;
pub use ring::Usage;
