//! Lets old segments go: one task, asleep between two looks, one partition at a time.

use super::Shard;
use crate::limits::{RETENTION_PAUSE, RETENTION_YIELD};
use crate::partition::driver::Replica;
use crate::runtime;
use std::rc::Rc;

/// Looks every `log.retention.check.interval.ms`, first `log.initial.task.delay.ms` after the start, until the shard stops.
pub(super) async fn run(shard: Rc<Shard>) {
    let interval = shard.settings.retention_check;
    runtime::sleep(shard.settings.retention_first_check).await;
    while !shard.stopping.get() {
        shard.retain_all().await;
        runtime::sleep(interval).await;
    }
}

impl Shard {
    async fn retain_all(&self) {
        for (at, replica) in self.replicas().iter().enumerate() {
            if self.stopping.get() {
                return;
            }
            if at % RETENTION_YIELD == RETENTION_YIELD - 1 {
                runtime::yield_now().await;
            }
            self.retain(replica).await;
        }
    }

    pub(super) async fn retain(&self, replica: &Rc<Replica>) {
        if replica.machine().state().closed.is_some() {
            return;
        }
        let name = &replica.home().directory;
        match replica.retain(&self.host()).await {
            Ok(None) => {}
            Ok(Some(expiry)) => {
                let (segments, start) = (expiry.segments, expiry.start);
                tracing::info!("{name}: {segments} segments up to {start} go: {}", expiry.breach);
                runtime::sleep(RETENTION_PAUSE).await;
            }
            Err(error) => tracing::warn!("{name}: what is old enough to go is not known, tried again later: {error}"),
        }
    }
}
