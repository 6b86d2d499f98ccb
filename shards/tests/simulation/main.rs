//! One shard on a simulated disk, producers and consumers around it, and a crash at any moment: what was acknowledged
//! or read must be there afterwards, once and in place.
//!
//! `SEEDS=5000 cargo test -p odradek-shards --test simulation` runs more than the few seeds of an ordinary test run.

#![allow(clippy::unwrap_used, reason = "a broken simulation may say so by panicking")]

mod checker;
mod client;
mod crash;

/// Seeds to run: those below `SEEDS`, the one `SEED`, or as many as an ordinary test run has time for.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse().ok());
    match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(usual),
    }
}
