//! The metadata log at work on shard 0: opened, led, and the end of the process when it fails.

use super::StartError;
use super::publication::Publication;
use crate::config::BrokerConfig;
use crate::controller::{self, Controller};
use crate::log_dirs::LogDirs;
use crate::metadata::{Delta, Image};
use crate::raft::{Formatting, Raft, RaftSettings};
use odradek_shards::runtime::Directory;
use std::rc::Rc;
use std::sync::Arc;

/// Opens the log in its directory, or begins one, and stands for election.
pub async fn open(config: &BrokerConfig, log_dirs: &LogDirs, dirs: &[Directory]) -> Result<Raft, StartError> {
    let home = &log_dirs.dirs[log_dirs.metadata];
    let settings = RaftSettings {
        node: config.node_id,
        directory_id: home.directory_id,
        formatting: Formatting::of(config),
        bootstrap: controller::bootstrap_features(),
        segment_bytes: config.quorum.metadata_log_segment_bytes,
        segment_ms: config.quorum.metadata_log_segment_ms,
        clean: home.is_clean,
    };
    let raft = Raft::open(&dirs[log_dirs.metadata], &settings).await?;
    raft.start();
    Ok(raft)
}

/// Answers the controller's requests until the log fails. A broker that cannot keep its metadata must not go on.
pub async fn lead(
    controller: Controller,
    raft: Raft,
    settings: controller::Settings,
    publication: Rc<Publication>,
) -> StartError {
    let publish = |delta: Arc<Delta>, image: Arc<Image>| {
        let publication = publication.clone();
        async move { publication.publish(&delta, image).await }
    };
    let Err(error) = controller.lead(raft, settings, publish).await;
    StartError::Controller(error)
}
