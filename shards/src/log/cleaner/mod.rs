//! Compaction: of every key the last record stays. Which log, which segments, which records: all that is decided here
//! without effects; [`driver`] reads, writes and renames.
//!
//! ```text
//!  | clean: one record a key | dirty: not cleaned yet | cannot be cleaned yet | active segment |
//!  log start                 `cleaned`                first open transaction, least lag, first unsealed segment
//! ```
//! A cleaning maps each key of the dirty part to its last offset, then copies all segments up to there, group by group,
//! without the records that a later one of their key supersedes.

mod dirt;
mod driver;
mod filter;
mod grouping;
mod mapping;
mod offset_map;
mod pace;
mod transactions;

pub use dirt::{Dirt, dirtiest};
pub use driver::{CleanError, Cleaned, Means, clean, survey};
pub use pace::Pace;
