//! Log lines on stderr: time, level, message.

use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// `level` wins over `RUST_LOG`, which wins over `info`; both may name targets (`info,odradek::network=debug`).
pub fn start(level: Option<&str>) -> Result<(), String> {
    let from_environment = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let (name, text) = match (level, from_environment) {
        (Some(level), _) => ("--log-level", level.to_string()),
        (None, Some(text)) => ("RUST_LOG", text),
        (None, None) => ("--log-level", "info".to_string()),
    };
    let filter = EnvFilter::try_new(&text)
        .map_err(|_| format!("{name}={text}: expected error, warn, info, debug, trace or target=level,target=level"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    Ok(())
}
