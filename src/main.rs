//! The process: its allocator, its arguments, its exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    odradek::cli::run(std::env::args_os())
}
