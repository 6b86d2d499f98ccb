//! A disk in memory that loses what a real one may lose: a [`Disk`] fails operations on request, runs full, and at a
//! power cut keeps a random part of what was never synced.

mod directory;
mod disk;
mod file;
mod node;
mod pages;

pub(super) use directory::Directory;
pub use disk::{CutPlace, Disk, Operation};
pub(super) use file::File;

/// What a disk writes whole or not at all.
pub const SECTOR_BYTES: usize = 512;

#[cfg(test)]
mod tests;
