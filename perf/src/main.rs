//! `odradek-perf`: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    odradek_perf::run(std::env::args_os())
}
