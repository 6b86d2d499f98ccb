//! The broker's membership: registers with the controller, then heartbeats so that it is not fenced.

use super::log_dir_watch::failed_ids;
use super::publication::Publication;
use crate::config::BrokerConfig;
use crate::controller::{Controller, ControllerReply, ControllerRequest};
use crate::log_dirs::LogDirTable;
use crate::metadata::features::SUPPORTED;
use futures_util::future::select;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::broker_registration_request::{Feature, Listener};
use odradek_protocol::messages::{BrokerHeartbeatRequest, BrokerRegistrationRequest};
use odradek_shards::runtime;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;
use uuid::Uuid;

/// PLAINTEXT, as RegisterBroker records it.
const PLAINTEXT: i16 = 0;
/// Pause before the controller is asked again.
const RETRY: Duration = Duration::from_millis(50);
const ATTEMPTS_MAX: u32 = 200;

/// What the controller answered to all attempts.
#[derive(Debug, thiserror::Error)]
#[error("the controller does not take this broker: {}; look for the first error above", .0.name())]
pub struct Refused(pub ErrorCode);

/// A registered broker.
pub struct Registration {
    controller: Controller,
    broker_id: i32,
    log_dirs: Arc<LogDirTable>,
    pub epoch: i64,
}

/// Who registers, and from where.
pub struct Registrant<'a> {
    pub config: &'a BrokerConfig,
    pub cluster_id: &'a str,
    pub log_dirs: Arc<LogDirTable>,
    /// Name, host and port of each advertised listener.
    pub endpoints: Vec<(String, String, u16)>,
    /// Of the run before, when it lost nothing it had acknowledged.
    pub previous_epoch: Option<i64>,
}

impl Registration {
    /// Registers and is unfenced; the image then shows this broker.
    pub async fn new(controller: Controller, registrant: Registrant<'_>) -> Result<Self, Refused> {
        let request = request(&registrant);
        let broker_id = request.broker_id;
        let epoch = attempt(|| register(&controller, &request)).await?;
        let registration = Self { controller, broker_id, log_dirs: registrant.log_dirs, epoch };
        attempt(|| registration.unfence()).await?;
        Ok(registration)
    }

    /// Heartbeats every `interval`, and when other log directories are cordoned, as long as the shard runs.
    pub async fn keep(&self, interval: Duration, publication: &Publication) {
        loop {
            select(pin!(runtime::sleep(interval)), pin!(publication.cordoned())).await;
            if let Err(error) = self.beat().await {
                warn!("the controller refused a heartbeat: {}", error.name());
            }
        }
    }

    async fn unfence(&self) -> Result<(), ErrorCode> {
        match self.beat().await? {
            true => Err(ErrorCode::RequestTimedOut),
            false => Ok(()),
        }
    }

    /// True when the controller keeps the broker fenced.
    pub async fn beat(&self) -> Result<bool, ErrorCode> {
        let request = BrokerHeartbeatRequest {
            broker_id: self.broker_id,
            broker_epoch: self.epoch,
            // In one process the broker has seen what the controller committed.
            current_metadata_offset: i64::MAX,
            offline_log_dirs: failed_ids(&self.log_dirs),
            cordoned_log_dirs: Some(self.log_dirs.cordoned_ids()),
            ..Default::default()
        };
        match self.controller.call(ControllerRequest::BrokerHeartbeat(request)).await {
            ControllerReply::BrokerHeartbeat(reply) if reply.error_code == 0 => Ok(reply.is_fenced),
            ControllerReply::BrokerHeartbeat(reply) => Err(ErrorCode::from_code(reply.error_code)),
            _ => Err(ErrorCode::NotController),
        }
    }
}

async fn attempt<T, F: Future<Output = Result<T, ErrorCode>>>(try_once: impl Fn() -> F) -> Result<T, Refused> {
    let mut last = ErrorCode::NotController;
    for _ in 0..ATTEMPTS_MAX {
        match try_once().await {
            Ok(done) => return Ok(done),
            Err(error) => last = error,
        }
        runtime::sleep(RETRY).await;
    }
    Err(Refused(last))
}

async fn register(controller: &Controller, request: &BrokerRegistrationRequest) -> Result<i64, ErrorCode> {
    match controller.call(ControllerRequest::BrokerRegistration(request.clone())).await {
        ControllerReply::BrokerRegistration(reply) if reply.error_code == 0 => Ok(reply.broker_epoch),
        ControllerReply::BrokerRegistration(reply) => Err(ErrorCode::from_code(reply.error_code)),
        _ => Err(ErrorCode::NotController),
    }
}

fn request(registrant: &Registrant<'_>) -> BrokerRegistrationRequest {
    let listeners = registrant.endpoints.iter().map(|(name, host, port)| Listener {
        name: name.into(),
        host: host.into(),
        port: *port,
        security_protocol: PLAINTEXT,
    });
    let online = registrant.log_dirs.rows().filter(|row| row.is_online() && row.holds_topics);
    let log_dirs = online.map(|row| row.directory_id);
    let features = SUPPORTED.iter().map(|(name, range)| Feature {
        name: (*name).into(),
        min_supported_version: range.min,
        max_supported_version: range.max,
    });
    BrokerRegistrationRequest {
        broker_id: registrant.config.node_id.0,
        cluster_id: registrant.cluster_id.into(),
        incarnation_id: Uuid::new_v4(),
        listeners: listeners.collect(),
        features: features.collect(),
        rack: registrant.config.broker_rack.as_ref().map(Into::into),
        log_dirs: log_dirs.collect(),
        previous_broker_epoch: registrant.previous_epoch.unwrap_or(-1),
        ..Default::default()
    }
}
