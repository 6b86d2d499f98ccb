//! The house rules, kept by a test: which room may name which, what pure rooms may not do, calls with a better one, lengths.
//!
//! Everything a change may need to touch stands in the tables below; the rules and the tests that each of them bites
//! are in the modules. A finding names the file, the line and what to do instead.

#[path = "tidy/calls.rs"]
mod calls;
#[path = "tidy/lengths.rs"]
mod lengths;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/texts.rs"]
mod texts;

use calls::{Banned, Purity};
use lengths::Lengths;
use rooms::Arrow;
use source::Source;
use std::path::PathBuf;

/// Rooms of `src` and what each may name of the others; the rooms right of an arrow know nothing of those left of it.
/// `config`, `metadata`, `metrics` and `log_limit` may be read by all, so they stand in no list. `shards` is the engine's package,
/// `protocol` the codec's, `perf` the measuring tool's. A file at the top is a room of its own name.
const ROOMS: &[Arrow] = &[
    Arrow { from: "main", to: &["odradek"] },
    Arrow { from: "lib", to: &[] },
    Arrow { from: "cli", to: &["server", "perf"] },
    Arrow {
        from: "server",
        to: &[
            "network",
            "handlers",
            "exchange",
            "console",
            "raft",
            "controller",
            "coordinator",
            "group",
            "transaction",
            "security",
            "quota",
            "log_dirs",
            "shards",
            "protocol",
        ],
    },
    Arrow { from: "network", to: &["exchange", "security", "quota", "shards", "protocol"] },
    Arrow { from: "console", to: &["handlers", "group", "log_dirs", "shards", "protocol"] },
    Arrow {
        from: "handlers",
        to: &["exchange", "group", "transaction", "controller", "log_dirs", "security", "quota", "shards", "protocol"],
    },
    Arrow { from: "exchange", to: &["security", "shards", "protocol"] },
    Arrow { from: "group", to: &["coordinator", "shards", "protocol"] },
    Arrow { from: "transaction", to: &["coordinator", "shards", "protocol"] },
    Arrow { from: "coordinator", to: &["shards", "protocol"] },
    Arrow { from: "controller", to: &["raft", "shards", "protocol"] },
    Arrow { from: "raft", to: &["shards", "protocol"] },
    Arrow { from: "log_dirs", to: &["shards"] },
    Arrow { from: "quota", to: &["shards"] },
    Arrow { from: "security", to: &["protocol", "shards"] },
    Arrow { from: "metadata", to: &["shards", "protocol"] },
    Arrow { from: "config", to: &["shards"] },
    Arrow { from: "metrics", to: &["shards"] },
    Arrow { from: "log_limit", to: &["shards"] },
];

/// Rooms every other room of `src` may read.
const READ_BY_ALL: &[&str] = &["config", "metadata", "metrics", "log_limit"];

/// The same within `shards/src`; `types`, `limits`, `clock` and `error` may be named by all.
const SHARD_ROOMS: &[Arrow] = &[
    Arrow { from: "lib", to: &[] },
    Arrow {
        from: "shard",
        to: &[
            "message",
            "mailbox",
            "placement",
            "budget",
            "replication",
            "partition",
            "journal",
            "log",
            "record",
            "runtime",
        ],
    },
    Arrow { from: "handle", to: &["shard", "message", "mailbox", "placement", "budget", "runtime"] },
    Arrow { from: "replication", to: &["partition", "log", "record", "message", "mailbox", "budget", "runtime"] },
    Arrow { from: "partition", to: &["message", "log", "record", "budget", "runtime"] },
    Arrow { from: "log", to: &["record", "runtime", "budget"] },
    Arrow { from: "journal", to: &["record", "runtime"] },
    Arrow { from: "message", to: &["log", "record", "budget", "runtime", "placement"] },
    Arrow { from: "mailbox", to: &["runtime"] },
    Arrow { from: "budget", to: &["runtime"] },
    Arrow { from: "record", to: &[] },
    Arrow { from: "placement", to: &[] },
    Arrow { from: "runtime", to: &[] },
    Arrow { from: "error", to: &["log", "record"] },
    Arrow { from: "types", to: &[] },
    Arrow { from: "limits", to: &[] },
    Arrow { from: "clock", to: &["runtime"] },
];

const SHARD_READ_BY_ALL: &[&str] = &["types", "limits", "clock", "error"];

/// Folders and files that decide and do nothing; their `driver.rs` does it for them.
const PURE: Purity = Purity {
    rooms: &[
        "src/config/",
        "src/metadata/",
        "src/raft/",
        "src/controller/",
        "src/coordinator/",
        "src/group/",
        "src/metrics/",
        "src/transaction/",
        "shards/src/record/",
        "shards/src/log/cleaner/",
        "shards/src/partition/",
        "shards/src/replication/",
        "shards/src/placement.rs",
        "shards/src/types.rs",
        "shards/src/limits.rs",
    ],
    drivers: &["driver.rs", "segment_driver.rs", "shortage_driver.rs"],
};

/// Calls that have a better one, and the places where they are right.
const BANNED: &[Banned] = &[
    Banned {
        call: "println!",
        instead: "log with tracing, or return the text; only src/cli and perf print",
        allowed: &["src/cli/", "perf/", "benches/", "src/protocol/build/"],
    },
    Banned {
        call: "print!",
        instead: "log with tracing, or return the text; only src/cli and perf print",
        allowed: &["src/cli/", "perf/"],
    },
    Banned {
        call: "eprintln!",
        instead: "log with tracing, or return an error; only src/cli and perf print",
        allowed: &["src/cli/", "perf/", "shards/src/runtime/watchdog.rs"],
    },
    Banned { call: "dbg!", instead: "log with tracing", allowed: &[] },
    Banned { call: "todo!", instead: "answer with an error that says what is missing", allowed: &[] },
    Banned { call: "unimplemented!", instead: "answer with an error that says what is missing", allowed: &[] },
    Banned {
        call: ".unwrap()",
        instead: "pass the error on with ?, or expect(\"why it cannot happen\")",
        allowed: &[],
    },
    Banned {
        call: "thread::sleep",
        instead: "runtime::sleep, which lets the shard work on",
        allowed: &["shards/src/runtime/", "perf/"],
    },
    Banned {
        call: "SystemTime::now",
        instead: "take the time as an argument, or runtime::wall_clock in a driver",
        allowed: &["shards/src/clock.rs", "shards/src/runtime/", "perf/"],
    },
    Banned {
        call: "Instant::now",
        instead: "take the time as an argument, or runtime::now in a driver",
        allowed: &["shards/src/clock.rs", "shards/src/runtime/", "perf/", "benches/"],
    },
    Banned {
        call: "process::exit",
        instead: "return an error to main; destructors and the clean stop must run",
        allowed: &["src/cli/", "shards/src/runtime/", "perf/", "src/protocol/build/"],
    },
    Banned {
        call: "std::fs::",
        instead: "runtime::Directory, which does not block the shard",
        allowed: &["src/cli/", "src/log_dirs/", "shards/src/runtime/", "perf/", "src/protocol/build/"],
    },
    Banned { call: "tokio", instead: "odradek_shards::runtime", allowed: &[] },
];

/// Words of the seam: they are named in the runtime, and the measuring tool asks the kernel for its own times.
const SEAM: &[Banned] = &[
    Banned {
        call: "io_uring::",
        instead: "odradek_shards::runtime; only shards/src/runtime/ring names io_uring",
        allowed: &["shards/src/runtime/ring/"],
    },
    Banned {
        call: "nix::",
        instead: "a safe function of odradek_shards::runtime",
        allowed: &["shards/src/runtime/", "perf/"],
    },
    Banned { call: "libc::", instead: "a safe function of odradek_shards::runtime", allowed: &["shards/src/runtime/"] },
    Banned {
        call: "unsafe",
        instead: "safe code; only shards/src/runtime may, with the argument beside it",
        allowed: &["shards/src/runtime/"],
    },
];

/// What is long already and may only shrink: path and lines, or path::function and lines. Nothing new comes in.
const LENGTHS: Lengths = Lengths { file_lines_max: 500, function_lines_max: 70, longer: &[] };

/// Texts that belong to one machine.
const FORBIDDEN_WORDS: &[&str] = &["/work/", "/root/", "/home/"];

/// This checkout, or the one that `TIDY_ROOT` names.
fn root() -> PathBuf {
    std::env::var_os("TIDY_ROOT").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

fn rust_sources() -> Vec<Source> {
    ["src", "shards/src", "perf/src", "benches"]
        .iter()
        .flat_map(|folder| source::read_folder(&root(), folder))
        .collect()
}

fn assert_tidy(findings: &[String]) {
    assert!(findings.is_empty(), "{} untidy:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn rooms_name_only_what_stands_right_of_them() {
    let mut findings = Vec::new();
    for source in rust_sources() {
        findings.extend(rooms::arrows(&source, "src/", ROOMS, READ_BY_ALL));
        findings.extend(rooms::arrows(&source, "shards/src/", SHARD_ROOMS, SHARD_READ_BY_ALL));
    }
    assert_tidy(&findings);
}

#[test]
fn pure_rooms_only_decide() {
    assert_tidy(&rust_sources().iter().flat_map(|source| calls::impurities(source, &PURE)).collect::<Vec<_>>());
}

#[test]
fn the_seam_is_the_only_room_that_knows_the_kernel() {
    assert_tidy(&rust_sources().iter().flat_map(|source| calls::banned(source, SEAM)).collect::<Vec<_>>());
}

#[test]
fn every_unsafe_line_has_its_argument_beside_it() {
    assert_tidy(&rust_sources().iter().flat_map(calls::unsafe_without_argument).collect::<Vec<_>>());
}

#[test]
fn calls_with_a_better_one_are_not_made() {
    assert_tidy(&rust_sources().iter().flat_map(|source| calls::banned(source, BANNED)).collect::<Vec<_>>());
}

#[test]
fn files_and_functions_stay_short() {
    assert_tidy(&lengths::check(&rust_sources(), &LENGTHS));
}

#[test]
fn names_say_what_a_thing_is() {
    assert_tidy(&rust_sources().iter().flat_map(texts::vague_names).collect::<Vec<_>>());
}

#[test]
fn every_file_opens_with_what_it_owns() {
    assert_tidy(&rust_sources().iter().filter_map(texts::opening).collect::<Vec<_>>());
}

#[test]
fn no_text_names_one_machine() {
    assert_tidy(&texts::forbidden_words(&root(), FORBIDDEN_WORDS));
}
