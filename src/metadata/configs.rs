//! Dynamic configuration of every resource: only what was set, never defaults.

use super::shared_map::SharedMap;
use odradek_protocol::primitives::Str;
use odradek_protocol::records::metadata::ConfigRecord;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a configuration belongs to; the numbers are Kafka's on wire and disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ResourceType {
    Topic = 2,
    /// With an empty name: the default of all brokers.
    Broker = 4,
    BrokerLogger = 8,
    ClientMetrics = 16,
    Group = 32,
}

impl ResourceType {
    pub fn from_code(code: i8) -> Option<Self> {
        use ResourceType::{Broker, BrokerLogger, ClientMetrics, Group, Topic};
        [Topic, Broker, BrokerLogger, ClientMetrics, Group].into_iter().find(|kind| kind.code() == code)
    }

    pub fn code(self) -> i8 {
        self as i8
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    pub kind: ResourceType,
    pub name: Str,
}

impl ConfigResource {
    pub fn new(kind: ResourceType, name: impl Into<Str>) -> Self {
        Self { kind, name: name.into() }
    }
}

static NOTHING_SET: BTreeMap<String, String> = BTreeMap::new();

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigsImage {
    resources: SharedMap<ConfigResource, Arc<BTreeMap<String, String>>>,
}

impl ConfigsImage {
    /// What was set on a resource; nothing for one that is unknown.
    pub fn of(&self, kind: ResourceType, name: &str) -> &BTreeMap<String, String> {
        self.of_resource(&ConfigResource::new(kind, name))
    }

    pub fn of_resource(&self, resource: &ConfigResource) -> &BTreeMap<String, String> {
        self.resources.get(resource).map_or(&NOTHING_SET, AsRef::as_ref)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&ConfigResource, &BTreeMap<String, String>)> {
        self.resources.iter().map(|(resource, values)| (resource, values.as_ref()))
    }
}

/// The resources whose configuration one delta touched.
#[derive(Clone, Debug, Default)]
pub struct ConfigsDelta {
    pub changed: BTreeSet<ConfigResource>,
}

impl ConfigsDelta {
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// Resource types of later releases are passed over: nothing here could read them.
    pub(super) fn replay(&mut self, image: &mut ConfigsImage, record: &ConfigRecord) {
        let Some(kind) = ResourceType::from_code(record.resource_type) else { return };
        let resource = ConfigResource { kind, name: record.resource_name.clone() };
        let mut values = image.resources.get(&resource).cloned().unwrap_or_default();
        match &record.value {
            Some(value) => Arc::make_mut(&mut values).insert(record.name.to_string(), value.to_string()),
            None => Arc::make_mut(&mut values).remove(record.name.as_ref() as &str),
        };
        if values.is_empty() {
            image.resources.remove(&resource);
        } else {
            image.resources.insert(resource.clone(), values);
        }
        self.changed.insert(resource);
    }

    pub(super) fn remove_topic(&mut self, image: &mut ConfigsImage, topic: &Str) {
        let resource = ConfigResource { kind: ResourceType::Topic, name: topic.clone() };
        if image.resources.remove(&resource).is_some() {
            self.changed.insert(resource);
        }
    }
}
