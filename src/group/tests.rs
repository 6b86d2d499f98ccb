//! Scenarios as texts: lines with `>` are what happens, the others what comes of it.

mod classic;
mod offsets;
mod stage;

use stage::play;
