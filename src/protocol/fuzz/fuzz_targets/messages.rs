//! Bodies of any message there is, records included.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/codec/catalogue.rs"]
#[allow(dead_code)]
mod catalogue;
#[path = "../../tests/codec/trial.rs"]
#[allow(dead_code)]
mod trial;

static TRIAL: LazyLock<trial::Trial> = LazyLock::new(|| trial::Trial::new(catalogue::all()));

fuzz_target!(|data: &[u8]| TRIAL.message(data));
