//! Opening a log.

use super::config::LogConfig;
use super::error::OpenError;
use super::leader_epoch::LeaderEpochs;
use super::log::{Jobs, Log, Opening};
use super::producer_state::ProducerStates;
use super::segment::Segment;
use super::segments::Segments;
use super::tail::Tail;
use crate::runtime::Directory;
use std::sync::Arc;

pub(super) async fn open(dir: Directory, config: Arc<LogConfig>, how: Opening) -> Result<Log, OpenError> {
    let base = how.log_start;
    let segment = Segment::new(&dir, base, &config, how.now, 0);
    Ok(Log {
        segments: Segments::new([segment]),
        tail: Tail::new(base),
        epochs: LeaderEpochs::default(),
        producers: ProducerStates::default(),
        start: base,
        end: base,
        written: base,
        recovery_point: base,
        jobs: Jobs::default(),
        failed: None,
        dir,
        config,
    })
}
