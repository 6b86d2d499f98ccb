//! The same requests to Apache Kafka and to odradek, the answers compared field by field.
//!
//! Runs when both are given: `KAFKA=host:port ODRADEK=host:port cargo test --test differ -- --ignored --nocapture`; both
//! with `group.initial.rebalance.delay.ms=0` and no other setting for groups. `ONLY=word` plays the sequences with that
//! word in their name, `SHOW=1` prints every answer.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

#[path = "../broker/wire.rs"]
#[allow(dead_code, reason = "shared with the broker's tests, which use more of it")]
mod wire;

mod allowed;
mod both;
mod node;
mod requests;
mod side;

use both::Both;
use std::time::Instant;

/// Blocks of commands, each under a line `# name`.
const SEQUENCES: &[&str] = &[
    include_str!("classic.txt"),
    include_str!("offsets.txt"),
    include_str!("consumer.txt"),
    include_str!("migration.txt"),
];

#[test]
#[ignore = "needs an Apache Kafka beside the broker"]
fn odradek_answers_as_kafka_does() {
    let address = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name}=host:port"));
    let mut both = Both::connect(&address("KAFKA"), &address("ODRADEK"));
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut played = 0;
    for block in SEQUENCES.iter().flat_map(|text| text.split("\n# ").skip(1)) {
        let (name, commands) = block.split_once('\n').unwrap_or((block, ""));
        if !name.contains(&only) {
            continue;
        }
        both.begin(name.trim());
        let since = Instant::now();
        for command in commands.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")) {
            both.act(command);
        }
        both.end();
        played += 1;
        println!("{name}: {:.1} s", since.elapsed().as_secs_f64());
    }
    let findings = both.findings();
    println!("{played} sequences, {} answers compared, {} differ", both.compared(), findings.len());
    assert!(findings.is_empty(), "odradek answers otherwise than Kafka");
}
