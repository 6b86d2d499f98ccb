//! Measures any broker that speaks Kafka's protocol. Speaks the wire and never links the broker.
//!
//! ```text
//! arguments -> workload -> producer (source) | consumer (verify) | end_to_end -> event_loop -> link -> socket
//!                 |        | commits | groups (crowd, member)
//!                 |                        |
//!              cluster, coordinators    recorder -> report (process, progress)
//!                 (client)
//! ```
//! A thread serves many connections with ppoll(2). Batches are encoded before the clock starts, so that in a closed
//! loop the client only patches correlation ids; at a fixed rate latency counts from when a record was due, sent or not.

mod acked;
mod arguments;
mod batch;
mod client;
mod cluster;
mod commits;
mod compression;
mod consumer;
mod coordinators;
mod crowd;
mod end_to_end;
mod event_loop;
mod failure;
mod groups;
mod link;
mod member;
mod pace;
mod payload;
mod process;
mod producer;
mod progress;
mod recorder;
mod report;
mod sequence;
mod source;
mod verify;
mod workload;

use arguments::{Arguments, Command};
use clap::Parser;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs one measurement as the command line says (the first item is the program's name) and prints its report.
/// Fails when the run could not be made or any request was answered with an error.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(told) => {
            let _ = told.print();
            return ExitCode::from(u8::try_from(told.exit_code()).unwrap_or(2));
        }
    };
    let outcome = match &arguments.command {
        Command::Produce(arguments) => producer::run(arguments),
        Command::Consume(arguments) => consumer::run(arguments),
        Command::EndToEnd(arguments) => end_to_end::run(arguments),
        Command::Commits(arguments) => commits::run(arguments),
        Command::Groups(arguments) => groups::run(arguments),
    };
    match outcome {
        Ok(report) => report.print(arguments.json),
        Err(failure) => {
            eprintln!("odradek-perf: {failure}");
            ExitCode::FAILURE
        }
    }
}
