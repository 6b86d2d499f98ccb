//! Registered brokers and controllers: the image every shard reads, and what a delta changed in it.

use super::replay::ReplayError;
use odradek_protocol::primitives::Str;
use odradek_protocol::records::metadata::{
    self as records, BrokerRegistrationChangeRecord, RegisterBrokerRecord, RegisterControllerRecord,
};
use odradek_shards::types::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterImage {
    brokers: BTreeMap<NodeId, Arc<BrokerRegistration>>,
    controllers: BTreeMap<NodeId, Arc<ControllerRegistration>>,
}

/// A broker as it registered, and whether it may lead.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerRegistration {
    pub id: NodeId,
    /// Offset of the registration record; later requests that carry another one are stale.
    pub epoch: i64,
    /// Random per process, so that a restart is recognised.
    pub incarnation: Uuid,
    pub listeners: Vec<Endpoint>,
    pub features: BTreeMap<Str, VersionRange>,
    pub rack: Option<Str>,
    /// A fenced broker leads nothing and is not shown to clients.
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
    pub log_dirs: Vec<Uuid>,
    /// Log directories that take no new partitions (KIP-1066); absent until the broker reported them.
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ControllerRegistration {
    pub id: NodeId,
    pub incarnation: Uuid,
    pub zk_migration_ready: bool,
    pub listeners: Vec<Endpoint>,
    pub features: BTreeMap<Str, VersionRange>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Listener name, such as `PLAINTEXT` or `CONTROLLER`.
    pub name: Str,
    pub host: Str,
    pub port: u16,
    /// 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// Inclusive levels of a feature that a node can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    pub min: i16,
    pub max: i16,
}

impl VersionRange {
    pub fn contains(self, level: i16) -> bool {
        (self.min..=self.max).contains(&level)
    }
}

impl BrokerRegistration {
    /// Takes part: neither fenced nor leaving.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    pub fn listener(&self, name: &str) -> Option<&Endpoint> {
        self.listeners.iter().find(|endpoint| endpoint.name.as_ref() == name)
    }

    /// The directory a new replica goes to when there is no choice, else unassigned until the broker reports one.
    pub fn directory_for_new_replica(&self) -> Uuid {
        let cordoned = self.cordoned_log_dirs.as_deref().unwrap_or_default();
        let mut open = self.log_dirs.iter().filter(|dir| !cordoned.contains(dir));
        match (open.next(), open.next()) {
            (Some(only), None) => *only,
            _ => super::topics::DIRECTORY_UNASSIGNED,
        }
    }

    /// Whether a replica that is said to lie in `dir` can be served: as far as one knows, the directory works.
    pub fn has_online_dir(&self, dir: Uuid) -> bool {
        let is_reserved = dir.as_u128() < super::topics::DIRECTORIES_RESERVED;
        let is_unknown = is_reserved && dir != super::topics::DIRECTORY_LOST;
        is_unknown || self.log_dirs.is_empty() || self.log_dirs.contains(&dir)
    }

    /// Every log directory is cordoned: no new replica may be placed here.
    pub fn is_cordoned(&self) -> bool {
        let cordoned = self.cordoned_log_dirs.as_deref().unwrap_or_default();
        !self.log_dirs.is_empty() && self.log_dirs.iter().all(|dir| cordoned.contains(dir))
    }
}

impl ClusterImage {
    pub fn broker(&self, id: NodeId) -> Option<&BrokerRegistration> {
        self.brokers.get(&id).map(AsRef::as_ref)
    }

    /// Registered brokers, fenced ones too, by id.
    pub fn brokers(&self) -> impl ExactSizeIterator<Item = &BrokerRegistration> {
        self.brokers.values().map(AsRef::as_ref)
    }

    /// What clients are shown.
    pub fn unfenced_brokers(&self) -> impl Iterator<Item = &BrokerRegistration> {
        self.brokers().filter(|broker| !broker.fenced)
    }

    pub fn controller(&self, id: NodeId) -> Option<&ControllerRegistration> {
        self.controllers.get(&id).map(AsRef::as_ref)
    }

    pub fn controllers(&self) -> impl ExactSizeIterator<Item = &ControllerRegistration> {
        self.controllers.values().map(AsRef::as_ref)
    }

    fn broker_mut(&mut self, id: i32, epoch: i64) -> Result<&mut BrokerRegistration, ReplayError> {
        let broker = self.brokers.get_mut(&NodeId(id)).ok_or(ReplayError::UnknownBroker(NodeId(id)))?;
        if broker.epoch != epoch {
            return Err(ReplayError::StaleBrokerEpoch { broker: NodeId(id), current: broker.epoch, found: epoch });
        }
        Ok(Arc::make_mut(broker))
    }
}

/// The nodes whose registration one delta touched.
#[derive(Clone, Debug, Default)]
pub struct ClusterDelta {
    pub changed_brokers: BTreeSet<NodeId>,
    pub changed_controllers: BTreeSet<NodeId>,
}

impl ClusterDelta {
    pub fn is_empty(&self) -> bool {
        self.changed_brokers.is_empty() && self.changed_controllers.is_empty()
    }

    pub(super) fn replay_register_broker(&mut self, image: &mut ClusterImage, record: &RegisterBrokerRecord) {
        let broker = BrokerRegistration::from_record(record);
        self.changed_brokers.insert(broker.id);
        image.brokers.insert(broker.id, Arc::new(broker));
    }

    pub(super) fn replay_unregister_broker(
        &mut self,
        image: &mut ClusterImage,
        record: &records::UnregisterBrokerRecord,
    ) -> Result<(), ReplayError> {
        image.broker_mut(record.broker_id, record.broker_epoch)?;
        image.brokers.remove(&NodeId(record.broker_id));
        self.changed_brokers.insert(NodeId(record.broker_id));
        Ok(())
    }

    pub(super) fn replay_fenced(
        &mut self,
        image: &mut ClusterImage,
        id: i32,
        epoch: i64,
        fenced: bool,
    ) -> Result<(), ReplayError> {
        image.broker_mut(id, epoch)?.fenced = fenced;
        self.changed_brokers.insert(NodeId(id));
        Ok(())
    }

    pub(super) fn replay_registration_change(
        &mut self,
        image: &mut ClusterImage,
        record: &BrokerRegistrationChangeRecord,
    ) -> Result<(), ReplayError> {
        let broker = image.broker_mut(record.broker_id, record.broker_epoch)?;
        match record.fenced {
            FENCE => broker.fenced = true,
            UNFENCE => broker.fenced = false,
            0 => {}
            other => return Err(ReplayError::UnknownChange { field: "fenced", value: other }),
        }
        match record.in_controlled_shutdown {
            ENTER_CONTROLLED_SHUTDOWN => broker.in_controlled_shutdown = true,
            0 => {}
            other => return Err(ReplayError::UnknownChange { field: "inControlledShutdown", value: other }),
        }
        if !record.log_dirs.is_empty() {
            broker.log_dirs.clone_from(&record.log_dirs);
        }
        if let Some(cordoned) = &record.cordoned_log_dirs {
            broker.cordoned_log_dirs = Some(cordoned.clone());
        }
        self.changed_brokers.insert(broker.id);
        Ok(())
    }

    pub(super) fn replay_register_controller(&mut self, image: &mut ClusterImage, record: &RegisterControllerRecord) {
        let controller = ControllerRegistration::from_record(record);
        self.changed_controllers.insert(controller.id);
        image.controllers.insert(controller.id, Arc::new(controller));
    }
}

/// `Fenced` in a registration change: 1 fences, -1 unfences, 0 leaves as is.
pub const FENCE: i8 = 1;
pub const UNFENCE: i8 = -1;
/// `InControlledShutdown` in a registration change: there is no way back but a new registration.
pub const ENTER_CONTROLLED_SHUTDOWN: i8 = 1;

impl BrokerRegistration {
    fn from_record(record: &RegisterBrokerRecord) -> Self {
        let endpoint = |e: &records::register_broker_record::BrokerEndpoint| Endpoint {
            name: e.name.clone(),
            host: e.host.clone(),
            port: e.port,
            security_protocol: e.security_protocol,
        };
        let feature = |f: &records::register_broker_record::BrokerFeature| {
            (f.name.clone(), VersionRange { min: f.min_supported_version, max: f.max_supported_version })
        };
        Self {
            id: NodeId(record.broker_id),
            epoch: record.broker_epoch,
            incarnation: record.incarnation_id,
            listeners: record.end_points.iter().map(endpoint).collect(),
            features: record.features.iter().map(feature).collect(),
            rack: record.rack.clone(),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            log_dirs: record.log_dirs.clone(),
            cordoned_log_dirs: record.cordoned_log_dirs.clone(),
        }
    }

    pub(super) fn to_record(&self) -> RegisterBrokerRecord {
        let endpoint = |e: &Endpoint| records::register_broker_record::BrokerEndpoint {
            name: e.name.clone(),
            host: e.host.clone(),
            port: e.port,
            security_protocol: e.security_protocol,
        };
        let feature = |(name, range): (&Str, &VersionRange)| records::register_broker_record::BrokerFeature {
            name: name.clone(),
            min_supported_version: range.min,
            max_supported_version: range.max,
        };
        RegisterBrokerRecord {
            broker_id: self.id.0,
            is_migrating_zk_broker: false,
            incarnation_id: self.incarnation,
            broker_epoch: self.epoch,
            end_points: self.listeners.iter().map(endpoint).collect(),
            features: self.features.iter().map(feature).collect(),
            rack: self.rack.clone(),
            fenced: self.fenced,
            in_controlled_shutdown: self.in_controlled_shutdown,
            log_dirs: self.log_dirs.clone(),
            cordoned_log_dirs: self.cordoned_log_dirs.clone(),
        }
    }
}

impl ControllerRegistration {
    fn from_record(record: &RegisterControllerRecord) -> Self {
        let endpoint = |e: &records::register_controller_record::ControllerEndpoint| Endpoint {
            name: e.name.clone(),
            host: e.host.clone(),
            port: e.port,
            security_protocol: e.security_protocol,
        };
        let feature = |f: &records::register_controller_record::ControllerFeature| {
            (f.name.clone(), VersionRange { min: f.min_supported_version, max: f.max_supported_version })
        };
        Self {
            id: NodeId(record.controller_id),
            incarnation: record.incarnation_id,
            zk_migration_ready: record.zk_migration_ready,
            listeners: record.end_points.iter().map(endpoint).collect(),
            features: record.features.iter().map(feature).collect(),
        }
    }

    pub(super) fn to_record(&self) -> RegisterControllerRecord {
        let endpoint = |e: &Endpoint| records::register_controller_record::ControllerEndpoint {
            name: e.name.clone(),
            host: e.host.clone(),
            port: e.port,
            security_protocol: e.security_protocol,
        };
        let feature = |(name, range): (&Str, &VersionRange)| records::register_controller_record::ControllerFeature {
            name: name.clone(),
            min_supported_version: range.min,
            max_supported_version: range.max,
        };
        RegisterControllerRecord {
            controller_id: self.id.0,
            incarnation_id: self.incarnation,
            zk_migration_ready: self.zk_migration_ready,
            end_points: self.listeners.iter().map(endpoint).collect(),
            features: self.features.iter().map(feature).collect(),
        }
    }
}
