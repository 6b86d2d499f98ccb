//! Brokers come, live and go: registration, heartbeats, fencing, controlled shutdown; and controllers make themselves known.

use super::directories::changes_as_directories_fail;
use super::leadership::{changes_as_broker_leaves, changes_as_broker_returns, leads_something};
use super::request::ControllerReply;
use super::result::{Decision, Moment};
use super::state::State;
use crate::metadata::cluster::{BrokerRegistration, ENTER_CONTROLLED_SHUTDOWN, FENCE, UNFENCE, VersionRange};
use crate::metadata::features::{METADATA_VERSION, supported};
use crate::metadata::topics::DIRECTORIES_RESERVED;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::broker_registration_request as wire;
use odradek_protocol::messages::{
    BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationRequest, BrokerRegistrationResponse,
    ControllerRegistrationRequest, ControllerRegistrationResponse,
};
use odradek_protocol::records::metadata::{
    BrokerRegistrationChangeRecord, MetadataRecord, RegisterBrokerRecord, RegisterControllerRecord,
    register_broker_record, register_controller_record,
};
use odradek_shards::types::{NodeId, Offset};
use uuid::Uuid;

/// From this metadata.version on, cordoned log directories are recorded.
const CORDONED_DIRECTORIES_SINCE: i16 = 30;

/// A request is from the living incarnation of its broker.
pub(super) fn check_epoch(state: &State, broker: i32, epoch: i64) -> Result<&BrokerRegistration, ErrorCode> {
    let broker = state.image().cluster().broker(NodeId(broker)).ok_or(ErrorCode::BrokerIdNotRegistered)?;
    if broker.epoch == epoch { Ok(broker) } else { Err(ErrorCode::StaleBrokerEpoch) }
}

pub(super) fn register(state: &mut State, at: &Moment, request: &BrokerRegistrationRequest) -> Decision {
    let respond = |error_code: ErrorCode, broker_epoch| {
        let response = BrokerRegistrationResponse { error_code: error_code.code(), broker_epoch, ..Default::default() };
        ControllerReply::BrokerRegistration(response)
    };
    if let Err(code) = check_registration(state, at, request) {
        return Decision::refuse(respond(code, -1));
    }
    let id = NodeId(request.broker_id);
    let previous = state.image().cluster().broker(id).cloned();
    let amended = previous.as_ref().filter(|broker| broker.incarnation == request.incarnation_id);
    let (epoch, fenced) = amended.map_or((at.next_offset.0, true), |broker| (broker.epoch, broker.fenced));
    let mut record = registration_record(request, epoch, fenced);
    record.in_controlled_shutdown = amended.is_some_and(|broker| broker.in_controlled_shutdown);
    // First, so that the epoch is the offset of this very record.
    let mut records = vec![record.into()];
    if let (Some(previous), None) = (&previous, amended) {
        // An incarnation that did not stop in order may have lost the end of its logs (KIP-966).
        let unclean = state.is_elr_enabled() && request.previous_broker_epoch != previous.epoch;
        records.extend(changes_as_broker_leaves(state, id, unclean));
    }
    state.heartbeats.touch(id, epoch, fenced, Offset(-1), at.now);
    Decision::in_parts(records, respond(ErrorCode::None, epoch))
}

fn check_registration(state: &State, at: &Moment, request: &BrokerRegistrationRequest) -> Result<(), ErrorCode> {
    let cluster = state.image().cluster();
    let id = NodeId(request.broker_id);
    if request.cluster_id != state.settings().cluster_id {
        return Err(ErrorCode::InconsistentClusterId);
    }
    if request.is_migrating_zk_broker {
        return Err(ErrorCode::BrokerIdNotRegistered);
    }
    let another_is_alive = |broker: &BrokerRegistration| {
        broker.incarnation != request.incarnation_id
            && !broker.in_controlled_shutdown
            && id != state.settings().node
            && state.heartbeats.has_valid_session(id, broker.epoch, at.now)
    };
    if cluster.broker(id).is_some_and(another_is_alive) {
        return Err(ErrorCode::DuplicateBrokerRegistration);
    }
    let taken = |dir: &Uuid| cluster.brokers().any(|other| other.id != id && other.log_dirs.contains(dir));
    check_directories(&request.log_dirs, taken)?;
    check_features(state, &request.features)
}

fn check_directories(dirs: &[Uuid], taken: impl Fn(&Uuid) -> bool) -> Result<(), ErrorCode> {
    let mut sorted = dirs.to_vec();
    sorted.sort_unstable();
    let is_repeated = sorted.windows(2).any(|pair| pair[0] == pair[1]);
    let is_reserved = dirs.iter().any(|dir| dir.as_u128() < DIRECTORIES_RESERVED);
    if dirs.is_empty() || is_repeated || is_reserved || dirs.iter().any(taken) {
        return Err(ErrorCode::InvalidRegistration);
    }
    Ok(())
}

/// A broker must be able to run every level the cluster has settled on.
fn check_features(state: &State, features: &[wire::Feature]) -> Result<(), ErrorCode> {
    let range = |name: &str| {
        let found = features.iter().find(|feature| feature.name == name);
        found.map(|f| VersionRange { min: f.min_supported_version, max: f.max_supported_version })
    };
    if range(METADATA_VERSION).is_none() {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let none = VersionRange { min: 0, max: 0 };
    let can_run = |(name, level): (&str, i16)| range(name).unwrap_or(none).contains(level);
    if state.image().features().finalized().all(can_run) { Ok(()) } else { Err(ErrorCode::UnsupportedVersion) }
}

fn registration_record(request: &BrokerRegistrationRequest, broker_epoch: i64, fenced: bool) -> RegisterBrokerRecord {
    let end_points = request.listeners.iter().map(|listener| register_broker_record::BrokerEndpoint {
        name: listener.name.clone(),
        host: listener.host.clone(),
        port: listener.port,
        security_protocol: listener.security_protocol,
    });
    let features = request.features.iter().map(|feature| register_broker_record::BrokerFeature {
        name: feature.name.clone(),
        min_supported_version: feature.min_supported_version,
        max_supported_version: feature.max_supported_version,
    });
    RegisterBrokerRecord {
        broker_id: request.broker_id,
        incarnation_id: request.incarnation_id,
        broker_epoch,
        end_points: end_points.collect(),
        features: features.collect(),
        rack: request.rack.clone(),
        fenced,
        log_dirs: request.log_dirs.clone(),
        ..Default::default()
    }
}

/// What a broker is, from the controller's side; a heartbeat may move it down this list and from the first to the second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    Fenced,
    Unfenced,
    /// Wants to stop; others have yet to see that it leads nothing.
    ControlledShutdown,
    /// May stop.
    ShutdownNow,
}

pub(super) fn heartbeat(state: &mut State, at: &Moment, request: &BrokerHeartbeatRequest) -> Decision {
    let broker = match check_epoch(state, request.broker_id, request.broker_epoch) {
        Ok(broker) => broker.clone(),
        Err(code) => {
            let response = BrokerHeartbeatResponse { error_code: code.code(), ..Default::default() };
            return Decision::refuse(ControllerReply::BrokerHeartbeat(response));
        }
    };
    let (now, next) = (standing(&broker), next_standing(state, &broker, request));
    let mut records = cordoned_change(state, &broker, request);
    records.extend(changes_as_directories_fail(state, &broker, &request.offline_log_dirs));
    if now != next {
        records.extend(transition(state, &broker, next));
    }
    let is_fenced = matches!(next, Standing::Fenced | Standing::ShutdownNow);
    let metadata_offset = Offset(request.current_metadata_offset);
    state.heartbeats.touch(broker.id, broker.epoch, is_fenced, metadata_offset, at.now);
    if now != next && next == Standing::ControlledShutdown {
        state.heartbeats.set_shutdown_offset(broker.id, at.next_offset + (records.len() as i64 - 1));
    }
    let response = BrokerHeartbeatResponse {
        is_caught_up: request.current_metadata_offset >= broker.epoch,
        is_fenced,
        should_shut_down: next == Standing::ShutdownNow,
        ..Default::default()
    };
    Decision::in_parts(records, ControllerReply::BrokerHeartbeat(response))
}

fn standing(broker: &BrokerRegistration) -> Standing {
    match (broker.fenced, broker.in_controlled_shutdown) {
        (true, true) => Standing::ShutdownNow,
        (true, false) => Standing::Fenced,
        (false, true) => Standing::ControlledShutdown,
        (false, false) => Standing::Unfenced,
    }
}

fn next_standing(state: &State, broker: &BrokerRegistration, request: &BrokerHeartbeatRequest) -> Standing {
    let caught_up = request.current_metadata_offset >= broker.epoch;
    match standing(broker) {
        Standing::ShutdownNow => Standing::ShutdownNow,
        Standing::Fenced if request.want_shut_down => Standing::ShutdownNow,
        Standing::Fenced if request.want_fence || !caught_up => Standing::Fenced,
        Standing::Fenced => Standing::Unfenced,
        Standing::Unfenced if request.want_shut_down && leads_something(state, broker.id) => {
            Standing::ControlledShutdown
        }
        Standing::Unfenced if request.want_shut_down => Standing::ShutdownNow,
        Standing::Unfenced if request.want_fence => Standing::Fenced,
        Standing::Unfenced => Standing::Unfenced,
        Standing::ControlledShutdown => {
            let done = !leads_something(state, broker.id) && state.heartbeats.may_shut_down(broker.id);
            if done { Standing::ShutdownNow } else { Standing::ControlledShutdown }
        }
    }
}

fn transition(state: &State, broker: &BrokerRegistration, next: Standing) -> Vec<MetadataRecord> {
    let mut change =
        BrokerRegistrationChangeRecord { broker_id: broker.id.0, broker_epoch: broker.epoch, ..Default::default() };
    match next {
        Standing::Unfenced => {
            change.fenced = UNFENCE;
            let returned = changes_as_broker_returns(state, broker.id);
            std::iter::once(change.into()).chain(returned).collect()
        }
        Standing::ControlledShutdown => {
            change.in_controlled_shutdown = ENTER_CONTROLLED_SHUTDOWN;
            let left = changes_as_broker_leaves(state, broker.id, false);
            std::iter::once(change.into()).chain(left).collect()
        }
        Standing::Fenced | Standing::ShutdownNow => {
            if next == Standing::ShutdownNow {
                change.in_controlled_shutdown = i8::from(!broker.in_controlled_shutdown) * ENTER_CONTROLLED_SHUTDOWN;
            }
            change.fenced = i8::from(!broker.fenced) * FENCE;
            let left = changes_as_broker_leaves(state, broker.id, false);
            left.into_iter().chain(std::iter::once(change.into())).collect()
        }
    }
}

fn cordoned_change(
    state: &State,
    broker: &BrokerRegistration,
    request: &BrokerHeartbeatRequest,
) -> Vec<MetadataRecord> {
    let is_new = request.cordoned_log_dirs.is_some() && request.cordoned_log_dirs != broker.cordoned_log_dirs;
    if !is_new || state.image().features().metadata_version() < CORDONED_DIRECTORIES_SINCE {
        return Vec::new();
    }
    let change = BrokerRegistrationChangeRecord {
        broker_id: broker.id.0,
        broker_epoch: broker.epoch,
        cordoned_log_dirs: request.cordoned_log_dirs.clone(),
        ..Default::default()
    };
    vec![change.into()]
}

/// Fences the broker that has been silent for longest, if any is over its time; the next one at the next tick.
pub(super) fn fence_expired(state: &mut State, at: &Moment) -> Vec<MetadataRecord> {
    let Some(id) = state.heartbeats.expired(at.now).first().copied() else { return Vec::new() };
    let Some(broker) = state.image().cluster().broker(id).cloned() else {
        state.heartbeats.forget(id);
        return Vec::new();
    };
    state.heartbeats.expect(id, broker.epoch, true, at.now);
    if broker.fenced { Vec::new() } else { transition(state, &broker, Standing::Fenced) }
}

pub(super) fn register_controller(state: &State, request: &ControllerRegistrationRequest) -> Decision {
    let respond = |code: ErrorCode| {
        let response =
            ControllerRegistrationResponse { error_code: code.code(), error_message: None, ..Default::default() };
        ControllerReply::ControllerRegistration(response)
    };
    let feature = request.features.iter().find(|feature| feature.name == METADATA_VERSION);
    let level = state.image().features().metadata_version();
    let can_run = feature.is_some_and(|f| (f.min_supported_version..=f.max_supported_version).contains(&level));
    if !can_run || supported(METADATA_VERSION).is_none() {
        return Decision::refuse(respond(ErrorCode::UnsupportedVersion));
    }
    let end_points = request.listeners.iter().map(|listener| register_controller_record::ControllerEndpoint {
        name: listener.name.clone(),
        host: listener.host.clone(),
        port: listener.port,
        security_protocol: listener.security_protocol,
    });
    let features = request.features.iter().map(|feature| register_controller_record::ControllerFeature {
        name: feature.name.clone(),
        min_supported_version: feature.min_supported_version,
        max_supported_version: feature.max_supported_version,
    });
    let record = RegisterControllerRecord {
        controller_id: request.controller_id,
        incarnation_id: request.incarnation_id,
        zk_migration_ready: request.zk_migration_ready,
        end_points: end_points.collect(),
        features: features.collect(),
    };
    Decision::new(vec![record.into()], respond(ErrorCode::None))
}
