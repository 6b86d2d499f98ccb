//! Scenarios as texts: a line that begins with `>` is an input, the lines below it are what must come of it.
//!
//! `UPDATE_SCENARIOS=1 cargo test -p odradek-shards --test scenarios` writes what came instead of comparing.

#![allow(clippy::unwrap_used, reason = "a broken scenario may say so by panicking")]

mod partition;

use std::fmt::Write;
use std::path::Path;

/// Feeds every scenario of a directory to a fresh machine.
fn run_all(directory: &str, machine: impl Fn() -> Box<dyn FnMut(&str) -> String>) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios").join(directory);
    let mut paths: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} has scenarios", directory.display());
    for path in paths {
        run(&path, machine());
    }
}

fn run(path: &Path, mut machine: Box<dyn FnMut(&str) -> String>) {
    let expected = std::fs::read_to_string(path).unwrap();
    let mut actual = String::new();
    for line in expected.lines() {
        if let Some(input) = line.strip_prefix("> ") {
            writeln!(actual, "{line}\n{}", machine(input).trim_end()).unwrap();
        } else if line.is_empty() || line.starts_with('#') {
            writeln!(actual, "{line}").unwrap();
        }
    }
    if std::env::var_os("UPDATE_SCENARIOS").is_some() {
        std::fs::write(path, actual).unwrap();
    } else {
        assert_eq!(expected, actual, "{} went another way (left: expected)", path.display());
    }
}
