//! What can be asked of a replica at once, without a step.

use super::driver::Replica;
use crate::error::ReadError;
use crate::log::ReadPlan;
use crate::message::{Description, EpochEnd, Isolation, PartitionCheckpoint};
use crate::types::{LeaderEpoch, Offset};

impl Replica {
    /// Bytes from an offset on that a client may read now.
    pub fn bytes_readable(&self, from: Offset, enough: u64, isolation: Isolation) -> Result<u64, ReadError> {
        let machine = self.machine();
        machine.check_epoch(None)?;
        let end = machine.check_read(from, isolation)?;
        if from >= end {
            return Ok(0);
        }
        let enough = usize::try_from(enough).unwrap_or(usize::MAX);
        match self.log().plan_read(from, enough, end, true) {
            Ok(ReadPlan::Ready(records)) => Ok(records.len() as u64),
            // Not even in the tail any more: a fetch of it need not wait.
            Ok(ReadPlan::Disk(_)) => Ok(u64::MAX),
            Err(_) => Err(ReadError::OffsetOutOfRange),
        }
    }

    /// The largest epoch not above `epoch`, and where it ends; `None` when our log cannot tell.
    pub fn epoch_end(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let (leader_epoch, end_offset) = self.log().end_offset_for_epoch(epoch);
        (leader_epoch != LeaderEpoch::NONE).then_some(EpochEnd { leader_epoch, end_offset })
    }

    /// Where the log of a reader, having read up to `from` with `last_epoch`, parts from ours (KIP-595).
    pub fn divergence(&self, from: Offset, last_epoch: Option<LeaderEpoch>) -> Result<Option<EpochEnd>, ReadError> {
        let Some(last_epoch) = last_epoch else { return Ok(None) };
        let end = self.epoch_end(last_epoch).ok_or(ReadError::OffsetOutOfRange)?;
        let parts = end.leader_epoch < last_epoch || end.end_offset < from;
        Ok(parts.then_some(end))
    }

    pub fn describe(&self) -> Description {
        let machine = self.machine();
        let state = machine.state();
        Description {
            partition: self.home().partition,
            topic: self.home().topic.clone(),
            log_dir: self.home().log_dir,
            size: self.log().size(),
            leader_epoch: state.leader_epoch,
            log_start_offset: state.log_start,
            high_watermark: state.high_watermark,
            log_end_offset: state.log_end,
            offline: state.offline,
            future: None,
        }
    }

    pub fn checkpoint(&self, sound: bool) -> PartitionCheckpoint {
        let machine = self.machine();
        let state = machine.state();
        self.told_point.set(self.log().recovery_point());
        PartitionCheckpoint {
            partition: self.home().partition,
            topic: self.home().topic.clone(),
            log_dir: self.home().log_dir,
            recovery_point: self.told_point.get(),
            // A crash may leave no more than what is flushed for the start to lie in.
            log_start_offset: state.log_start.min(self.log().flushed_offset()),
            high_watermark: state.high_watermark,
            cleaned: self.log().config().cleanup_policy.compact.then(|| self.log().cleaned()),
            sound: sound && !state.offline,
        }
    }
}
