//! The command line: arguments, exit codes and where log lines go.

mod host;
mod logging;
mod start;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// A log broker that speaks Apache Kafka's protocol.
#[derive(Parser, Debug)]
#[command(name = "odradek", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    start: start::StartArguments,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Start the broker; also what happens without a command.
    Start(start::StartArguments),
    /// Measure this or any other broker that speaks Kafka's protocol; its own --help tells more.
    #[command(disable_help_flag = true)]
    Perf {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        arguments: Vec<OsString>,
    },
}

/// Runs what `arguments` ask for, the program's name first. 0 is a clean end, 1 a fault that was named on stderr, 2 wrong arguments.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let is_answered = error.print().is_ok();
            return ExitCode::from(if is_answered && !error.use_stderr() { 0 } else { 2 });
        }
    };
    match arguments.command {
        Some(Command::Start(start)) => start::run(&start),
        Some(Command::Perf { arguments }) => {
            odradek_perf::run(std::iter::once(OsString::from("odradek perf")).chain(arguments))
        }
        None => start::run(&arguments.start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Arguments {
        Arguments::try_parse_from(line.split(' ')).unwrap()
    }

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn no_command_means_start() {
        let line = parse("odradek --override a=b --override c=d");
        assert!(line.command.is_none());
        assert_eq!(line.start.overrides, ["a=b", "c=d"]);
    }

    #[test]
    fn all_that_follows_perf_is_perfs() {
        let Some(Command::Perf { arguments }) = parse("odradek perf produce --config x --help").command else {
            panic!("not perf")
        };
        assert_eq!(arguments, ["produce", "--config", "x", "--help"]);
        let Some(Command::Perf { arguments }) = parse("odradek perf --help").command else { panic!("not perf") };
        assert_eq!(arguments, ["--help"]);
    }

    #[test]
    fn start_takes_a_file_and_overrides() {
        let Some(Command::Start(start)) = parse("odradek start --config x --override a=b").command else {
            panic!("not start")
        };
        assert_eq!(start.config.as_deref(), Some(std::path::Path::new("x")));
        assert_eq!(start.overrides, ["a=b"]);
    }
}
