//! Starts the rooms in order and stops them in reverse.
//!
//! ```text
//! start: log directories (locked) -> shards -> sockets bound -> metadata log, controller -> partitions opened
//!        -> registered -> image on every shard -> connections
//! stop:  connections -> partitions closed -> metadata log closed -> checkpoints -> directories marked clean
//! ```

mod arrivals;
mod assignments;
mod broker;
mod checkpoints;
mod control;
mod journals;
mod log_dir_watch;
mod metadata_log;
mod publication;
mod registration;
mod shard_rooms;
mod sockets;

use crate::config::BrokerConfig;
use crate::controller::ControllerError;
use crate::log_dirs::{self, LogDirError};
use crate::raft::RaftError;
use broker::Belongings;
use odradek_shards::runtime::checks::{self, StartupFault};
use odradek_shards::runtime::{executors, now, signals};
use registration::Refused;
use sockets::ListenError;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::info;

/// Why the broker does not run; each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Machine(#[from] StartupFault),
    #[error(transparent)]
    LogDir(#[from] LogDirError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("signals cannot be watched: {0}")]
    Signals(io::Error),
    #[error(
        "a log directory does not open on its shard: {0}; direct I/O needs a file system that has it, such as ext4 or xfs"
    )]
    Shard(io::Error),
    #[error("a journal of the run before: {0}")]
    Journal(io::Error),
    #[error(transparent)]
    Metadata(#[from] RaftError),
    #[error("{0}; the broker ended, for nothing can be changed or trusted without the metadata log")]
    Controller(ControllerError),
    #[error("log directory {} failed, and it holds the metadata log; repair it, then start the broker", .0.display())]
    MetadataLogDir(PathBuf),
    #[error("all log directories failed; repair one of them, then start the broker")]
    LogDirs,
    #[error(transparent)]
    Registration(#[from] Refused),
}

/// Where shard 0 leaves the error that ended its start.
type Fate = Arc<Mutex<Option<StartError>>>;

/// Runs until SIGTERM or SIGINT.
pub fn run(config: BrokerConfig) -> Result<(), StartError> {
    let started = now();
    info!("{}", checks::checks()?);
    let sockets = sockets::resolve(&config)?;
    let log_dirs = log_dirs::open(&config)?;
    let signals = signals::watch().map_err(StartError::Signals)?;
    let config = Arc::new(config);
    let fate = Fate::default();
    let belongings =
        Belongings::of_each(&config, broker::Start { started, sockets, log_dirs, signals, fate: fate.clone() });
    executors::start_each(&executors(&config), belongings, broker::main)?.join()?;
    match fate.lock().expect("nothing panics while it holds the error").take() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn executors(config: &BrokerConfig) -> executors::Config {
    executors::Config {
        spin: Duration::from_micros(u64::from(config.engine.odradek_spin_us)),
        pinned: config.engine.odradek_shards_pinned,
        ..executors::Config::new(shards(config))
    }
}

/// At most 1024, as the table of settings has it.
fn shards(config: &BrokerConfig) -> u16 {
    u16::try_from(config.num_shards).expect("num.shards is bounded by its definition")
}
