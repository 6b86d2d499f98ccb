//! Waiting for what the process lacks: a disk that was not reached has not failed.

use super::{Host, Replica};
use crate::limits::SHORTAGE_PAUSE;
use crate::log::StorageError;
use crate::runtime;
use std::rc::Rc;

impl Replica {
    /// Does it again and again, as long as only descriptors or memory are missing and the partition is served.
    pub(super) async fn until_supplied<T>(
        &self,
        host: &Rc<dyn Host>,
        work: impl AsyncFn() -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        loop {
            let result = work().await;
            if !self.is_short(host, &result).await {
                return result;
            }
        }
    }

    /// True, after a while, when the same is worth another try.
    pub(super) async fn is_short<T>(&self, host: &Rc<dyn Host>, result: &Result<T, StorageError>) -> bool {
        let Err(error @ StorageError::Shortage { .. }) = result else { return false };
        host.short(&self.home, error);
        runtime::sleep(SHORTAGE_PAUSE).await;
        self.machine().state().is_served()
    }
}
