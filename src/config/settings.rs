//! Every broker key's value by layer, all of them checked: per-broker dynamic over cluster-wide dynamic over file over default.

use super::definition::{self, Definition};
use super::describe::ConfigSource;
use super::error::ConfigError;
use super::notice::{self, Notice};
use super::properties::{Properties, Property};
use super::value::Value;
use std::collections::BTreeMap;

/// Whoever holds one may read any key without an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    configured: BTreeMap<String, Property>,
    cluster: BTreeMap<String, String>,
    broker: BTreeMap<String, String>,
}

/// One value of a key, and who gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    pub source: ConfigSource,
    pub value: Value,
}

impl Settings {
    /// Checks every known key and says what is odd. Unknown keys are kept: DescribeConfigs lists them.
    pub fn new(properties: &Properties) -> Result<(Self, Vec<Notice>), ConfigError> {
        let notices = notice::of(properties);
        let mut configured = BTreeMap::new();
        for property in &properties.entries {
            check(property)?;
            configured.insert(property.key.clone(), property.clone());
        }
        let mut settings = Self { configured, ..Self::default() };
        settings.match_broker_id_and_node_id()?;
        Ok((settings, notices))
    }

    /// The same with other dynamic values. What no broker could apply is left out: it came from a log, not from a person.
    pub fn with_dynamic(&self, cluster: &BTreeMap<String, String>, broker: &BTreeMap<String, String>) -> Self {
        Self { configured: self.configured.clone(), cluster: readable(cluster), broker: readable(broker) }
    }

    /// The value in force. Panics for a key that no table has.
    pub fn value(&self, key: &str) -> Value {
        self.layers(key).into_iter().next().map_or(Value::Null, |layer| layer.value)
    }

    /// All values `key` has, strongest first; a default of null is none.
    pub fn layers(&self, key: &str) -> Vec<Layer> {
        let definition = definition::broker().get(key).expect("a key the program asks for stands in its table");
        let mut layers = Vec::new();
        let mut push = |source, text: Option<&str>| {
            if let Some(value) = text.and_then(|text| definition.read(text).ok()) {
                layers.push(Layer { source, value });
            }
        };
        push(ConfigSource::DynamicBroker, self.broker.get(key).map(String::as_str));
        push(ConfigSource::DynamicDefaultBroker, self.cluster.get(key).map(String::as_str));
        push(ConfigSource::StaticBroker, self.configured.get(key).map(|property| property.value.as_str()));
        if definition.default != Value::Null {
            layers.push(Layer { source: ConfigSource::Default, value: definition.default.clone() });
        }
        layers
    }

    pub fn is_configured(&self, key: &str) -> bool {
        self.configured.contains_key(key)
    }

    /// Keys that were set and that no table has.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        self.configured.keys().map(String::as_str).filter(|key| !definition::broker().contains_key(key))
    }

    /// The error for a value that does not fit with the rest; `why` says what to write instead.
    pub fn conflict(&self, key: &str, why: impl Into<String>) -> ConfigError {
        let why = why.into();
        match self.configured.get(key) {
            Some(property) => ConfigError::Conflict { property: Box::new(property.clone()), why },
            None => {
                let value = self.value(key).text().unwrap_or_else(|| "null".into());
                ConfigError::DefaultConflict { key: key.into(), value, why }
            }
        }
    }

    /// The two are one setting under an old and a new name.
    fn match_broker_id_and_node_id(&mut self) -> Result<(), ConfigError> {
        match (self.configured.get("node.id").cloned(), self.configured.get("broker.id").cloned()) {
            (Some(node), Some(broker)) if node.value.trim() != broker.value.trim() => {
                Err(self.conflict("broker.id", format!("it must equal node.id, which is {}", node.value)))
            }
            (Some(node), None) => {
                self.configured.insert("broker.id".into(), Property { key: "broker.id".into(), ..node });
                Ok(())
            }
            (None, Some(broker)) => {
                let node = Property { key: "node.id".into(), ..broker };
                check(&node)?;
                self.configured.insert("node.id".into(), node);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn check(property: &Property) -> Result<(), ConfigError> {
    let Some(definition) = definition::broker().get(property.key.as_str()) else { return Ok(()) };
    let Err(refusal) = definition.read(&property.value) else { return Ok(()) };
    Err(ConfigError::Value { property: Box::new(property.clone()), refusal, allowed: allowed(definition) })
}

/// What may stand there, in words for a person: the type, and the bounds where there are any.
fn allowed(definition: &Definition) -> String {
    let kind = definition.kind.to_string().to_lowercase();
    if definition.allowed.is_empty() { kind } else { format!("{kind} {}", definition.allowed) }
}

fn readable(values: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_readable =
        |key: &str, value: &str| definition::broker().get(key).is_some_and(|definition| definition.read(value).is_ok());
    values.iter().filter(|(key, value)| is_readable(key, value)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings, ConfigError> {
        Settings::new(&Properties::parse("server.properties", text)).map(|(settings, _)| settings)
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[test]
    fn a_bad_value_names_file_line_key_value_and_what_is_allowed() {
        let error = settings("# x\nnum.partitions=0").unwrap_err().to_string();
        let expected = "server.properties:2: num.partitions=0: Value must be at least 1 (allowed: int [1,...])";
        assert_eq!(error, expected);
    }

    #[test]
    fn the_strongest_layer_is_in_force_and_all_are_listed() {
        let cluster = map(&[("message.max.bytes", "7"), ("num.partitions", "x"), ("nonsense", "1")]);
        let settings = settings("message.max.bytes=5").unwrap().with_dynamic(&cluster, &map(&[]));
        assert_eq!(settings.value("message.max.bytes"), Value::Integer(7));
        let sources: Vec<_> = settings.layers("message.max.bytes").iter().map(|layer| layer.source).collect();
        assert_eq!(sources, [ConfigSource::DynamicDefaultBroker, ConfigSource::StaticBroker, ConfigSource::Default]);
        assert_eq!(settings.value("num.partitions"), Value::Integer(1));
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let mut properties = Properties::parse("f", "num.partitions=2");
        properties.add_override("num.partitions=3").unwrap();
        let (settings, _) = Settings::new(&properties).unwrap();
        assert_eq!(settings.value("num.partitions"), Value::Integer(3));
    }

    #[test]
    fn broker_id_and_node_id_are_one_setting() {
        assert_eq!(settings("broker.id=7").unwrap().value("node.id"), Value::Integer(7));
        assert_eq!(settings("node.id=7").unwrap().value("broker.id"), Value::Integer(7));
        assert!(settings("node.id=7\nbroker.id=8").is_err());
        assert!(settings("broker.id=-1").is_err());
    }
}
