//! Scenarios as texts: lines with `>` are what happens, the others what comes of it.

mod classic;
mod consumer;
mod durability;
mod fencing;
mod limits;
mod migration;
mod mixing;
mod offsets;
mod simulation;
pub(in crate::group) mod stage;

use stage::play;
