//! One shard on a simulated disk, producers and consumers around it, and a crash at any moment: what was acknowledged
//! or read must be there afterwards, once and in place.
//!
//! `SEEDS=5000 cargo test -p odradek-shards --test simulation` runs more than the few seeds of an ordinary test run.

#![allow(clippy::unwrap_used, reason = "a broken simulation may say so by panicking")]

mod checker;
mod client;
mod crash;

/// Seeds to run: `SEEDS`, or as many as an ordinary test run has time for.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let count = std::env::var("SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(usual);
    0..count
}
