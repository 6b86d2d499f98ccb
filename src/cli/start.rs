//! `odradek start`: reads the configuration, says what is odd in it, and runs the broker until it is told to stop.

use super::{host, logging};
use crate::config::{BrokerConfig, ConfigError, Properties};
use crate::server;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What runs when no file is named; the sample file is the default, so the two cannot differ.
const DEFAULT_PROPERTIES: &str = include_str!("../../config/server.properties");
const DEFAULT_NAME: &str = "(built-in) server.properties";

#[derive(clap::Args, Debug)]
pub struct StartArguments {
    /// Settings in Kafka's server.properties format; without it one node with its data in ./data.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A setting that wins over the file's; may be repeated.
    #[arg(long = "override", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// error, warn, info, debug, trace, or target=level,...; RUST_LOG is read when it is absent.
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// Why there is no configuration to start with.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("{}: {source}; name a readable file with --config, or leave it out to start with the defaults", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Config(#[from] ConfigError),
}

pub fn run(arguments: &StartArguments) -> ExitCode {
    if let Err(message) = logging::start(arguments.log_level.as_deref()) {
        return fail(message);
    }
    let config = match load(arguments) {
        Ok(config) => config,
        Err(error) => return fail(error),
    };
    match server::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

/// One line on stderr, in the form of no log level, so that it stands out and scripts can print it.
fn fail(error: impl std::fmt::Display) -> ExitCode {
    eprintln!("odradek: {error}");
    ExitCode::FAILURE
}

fn load(arguments: &StartArguments) -> Result<BrokerConfig, LoadError> {
    let mut properties = match &arguments.config {
        Some(path) => Properties::parse(&path.display().to_string(), &read(path)?),
        None => Properties::parse(DEFAULT_NAME, DEFAULT_PROPERTIES),
    };
    for pair in &arguments.overrides {
        properties.add_override(pair).map_err(ConfigError::from)?;
    }
    let (config, notices) = BrokerConfig::resolve(&properties, &host::host())?;
    for notice in notices {
        tracing::warn!("{notice}");
    }
    Ok(config)
}

/// Bytes that are no UTF-8 are read as Latin-1, which is what Java takes every file for.
fn read(path: &Path) -> Result<String, LoadError> {
    let bytes = fs::read(path).map_err(|source| LoadError::Unreadable { path: path.into(), source })?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| error.into_bytes().iter().map(|&byte| char::from(byte)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(config: Option<&str>, overrides: &[&str]) -> Result<BrokerConfig, String> {
        let overrides = overrides.iter().map(ToString::to_string).collect();
        let arguments = StartArguments { config: config.map(PathBuf::from), overrides, log_level: None };
        load(&arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_file_one_node_needs_no_other() {
        let config = start(None, &[]).unwrap();
        assert_eq!(config.log_dirs, [PathBuf::from("./data")]);
        assert_eq!(config.groups.offsets_topic_replication_factor, 1);
        assert_eq!(config.transactions.transaction_state_log_replication_factor, 1);
        assert_eq!(config.transactions.transaction_state_log_min_isr, 1);
    }

    #[test]
    fn the_sample_file_is_free_of_notices() {
        let host = crate::config::Host { cores: 1, name: || "localhost".into() };
        let (_, notices) = BrokerConfig::resolve(&Properties::parse("sample", DEFAULT_PROPERTIES), &host).unwrap();
        assert_eq!(notices, []);
    }

    #[test]
    fn overrides_win_over_the_defaults() {
        assert_eq!(start(None, &["num.shards=2", "num.shards=3"]).unwrap().num_shards, 3);
        let message = start(None, &["num.shards=0"]).unwrap_err();
        assert_eq!(message, "command line: num.shards=0: Value must be at least 1 (allowed: int [1,...,1024])");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_the_remedy() {
        let message = start(Some("/no/such/file"), &[]).unwrap_err();
        assert!(message.starts_with("/no/such/file: ") && message.contains("--config"), "{message}");
    }
}
