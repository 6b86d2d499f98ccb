//! What DescribeConfigs and CreateTopics tell about settings: value, source, synonyms, type.

use super::broker::BrokerConfig;
use super::definition::{self, Definition, Dynamic};
use super::group;
use super::settings::{Layer, Settings};
use super::topic::{self, Overrides};
use super::value::{Kind, Value};

/// One key of a resource, as DescribeConfigs answers it.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigEntry {
    pub name: String,
    /// None when null, and always when sensitive.
    pub value: Option<String>,
    pub source: ConfigSource,
    /// None for a key no table has.
    pub kind: Option<Kind>,
    pub is_read_only: bool,
    pub is_sensitive: bool,
    /// All values the key has, strongest first.
    pub synonyms: Vec<ConfigSynonym>,
    pub documentation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    pub name: String,
    pub value: Option<String>,
    pub source: ConfigSource,
}

/// Who gave a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ConfigSource {
    Topic,
    DynamicBroker,
    DynamicDefaultBroker,
    StaticBroker,
    Default,
    BrokerLogger,
    ClientMetrics,
    Group,
}

impl ConfigSource {
    /// The byte of DescribeConfigs.
    pub fn code(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::DynamicBroker => 2,
            Self::DynamicDefaultBroker => 3,
            Self::StaticBroker => 4,
            Self::Default => 5,
            Self::BrokerLogger => 6,
            Self::ClientMetrics => 7,
            Self::Group => 8,
        }
    }
}

impl ConfigEntry {
    /// The byte of DescribeConfigs; 0 is unknown.
    pub fn kind_code(&self) -> i8 {
        self.kind.map_or(0, Kind::code)
    }
}

/// Every setting of a topic with these settings of its own, by name; internal ones only where they are set.
pub fn topic(overrides: &Overrides, broker: &BrokerConfig) -> Vec<ConfigEntry> {
    let is_shown = |definition: &&Definition| !definition.is_internal || overrides.contains_key(definition.name);
    definition::topic().values().filter(is_shown).map(|definition| topic_entry(definition, overrides, broker)).collect()
}

/// Every setting of this broker, by name.
pub fn broker(broker: &BrokerConfig) -> Vec<ConfigEntry> {
    let settings = broker.settings();
    let is_shown = |definition: &&Definition| !definition.is_internal || settings.is_configured(definition.name);
    let known = definition::broker().values().filter(is_shown).map(|definition| broker_entry(definition, settings));
    let mut entries: Vec<_> = known.chain(settings.unknown().map(unknown_entry)).collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

/// The settings all brokers share (the resource without a name): those that are set, and nothing of this broker alone.
pub fn cluster(broker: &BrokerConfig) -> Vec<ConfigEntry> {
    let is_shared = |synonym: &ConfigSynonym| synonym.source == ConfigSource::DynamicDefaultBroker;
    let entries = self::broker(broker).into_iter().filter_map(|mut entry| {
        entry.synonyms.retain(is_shared);
        let shared = entry.synonyms.first()?;
        (entry.value, entry.source) = (shared.value.clone(), shared.source);
        Some(entry)
    });
    entries.collect()
}

/// Every setting of a group with these settings of its own, by name; a group need not exist to have them.
pub fn group(overrides: &Overrides, broker: &BrokerConfig) -> Vec<ConfigEntry> {
    definition::group().values().map(|definition| group_entry(definition, overrides, broker)).collect()
}

/// Every setting of a subscription to clients' metrics (KIP-714), by name.
pub fn client_metrics(overrides: &Overrides) -> Vec<ConfigEntry> {
    definition::client_metrics().values().map(|definition| client_metrics_entry(definition, overrides)).collect()
}

/// The loggers of this broker: one, whose level is that of the most talkative part of it.
pub fn loggers(level: &str) -> Vec<ConfigEntry> {
    vec![ConfigEntry {
        name: "root".into(),
        value: Some(level.to_uppercase()),
        source: ConfigSource::BrokerLogger,
        kind: None,
        is_read_only: false,
        is_sensitive: false,
        synonyms: Vec::new(),
        documentation: "",
    }]
}

fn topic_entry(definition: &Definition, overrides: &Overrides, broker: &BrokerConfig) -> ConfigEntry {
    let settings = broker.settings();
    let own = own(definition, overrides);
    let mut synonyms = own_synonyms(definition, own.as_ref(), ConfigSource::Topic);
    if let Some(key) = topic::broker_key(definition.name) {
        synonyms.extend(settings.layers(key).iter().map(|layer| synonym(key, layer, false)));
    }
    let value = own.or_else(|| topic::broker_value(settings, definition.name));
    entry_of(definition, value.as_ref().unwrap_or(&definition.default), synonyms)
}

fn group_entry(definition: &Definition, overrides: &Overrides, broker: &BrokerConfig) -> ConfigEntry {
    let own = own(definition, overrides);
    let mut synonyms = own_synonyms(definition, own.as_ref(), ConfigSource::Group);
    match group::broker_key(definition.name) {
        Some(key) => synonyms.extend(broker.settings().layers(key).iter().map(|layer| synonym(key, layer, false))),
        None => {
            let default = Layer { source: ConfigSource::Default, value: definition.default.clone() };
            synonyms.push(synonym(definition.name, &default, false));
        }
    }
    entry_of(definition, &group::value(overrides, broker, definition.name), synonyms)
}

/// A default is no synonym here.
fn client_metrics_entry(definition: &Definition, overrides: &Overrides) -> ConfigEntry {
    let own = own(definition, overrides);
    let synonyms = own_synonyms(definition, own.as_ref(), ConfigSource::ClientMetrics);
    entry_of(definition, own.as_ref().unwrap_or(&definition.default), synonyms)
}

/// The resource's own value, if it has one that can be read.
fn own(definition: &Definition, overrides: &Overrides) -> Option<Value> {
    overrides.get(definition.name).and_then(|text| definition.read(text).ok())
}

fn own_synonyms(definition: &Definition, own: Option<&Value>, source: ConfigSource) -> Vec<ConfigSynonym> {
    let own = own.map(|value| synonym(definition.name, &Layer { source, value: value.clone() }, false));
    own.into_iter().collect()
}

/// A setting of a resource that is no broker: never secret, always free to change.
fn entry_of(definition: &Definition, value: &Value, synonyms: Vec<ConfigSynonym>) -> ConfigEntry {
    ConfigEntry {
        name: definition.name.into(),
        value: value.text(),
        source: source_of(&synonyms),
        kind: Some(definition.kind),
        is_read_only: false,
        is_sensitive: false,
        synonyms,
        documentation: definition.documentation,
    }
}

fn broker_entry(definition: &Definition, settings: &Settings) -> ConfigEntry {
    let is_sensitive = definition.is_sensitive();
    let layers = settings.layers(definition.name);
    let synonyms: Vec<_> = layers.iter().map(|layer| synonym(definition.name, layer, is_sensitive)).collect();
    ConfigEntry {
        name: definition.name.into(),
        value: synonyms.first().and_then(|strongest| strongest.value.clone()),
        source: source_of(&synonyms),
        kind: Some(definition.kind),
        is_read_only: definition.dynamic == Dynamic::ReadOnly,
        is_sensitive,
        synonyms,
        documentation: definition.documentation,
    }
}

/// What an unknown key holds may be a secret of some plugin.
fn unknown_entry(name: &str) -> ConfigEntry {
    let synonym = synonym(name, &Layer { source: ConfigSource::StaticBroker, value: Value::Null }, true);
    ConfigEntry {
        name: name.into(),
        value: None,
        source: ConfigSource::StaticBroker,
        kind: None,
        is_read_only: true,
        is_sensitive: true,
        synonyms: vec![synonym],
        documentation: "",
    }
}

fn source_of(synonyms: &[ConfigSynonym]) -> ConfigSource {
    synonyms.first().map_or(ConfigSource::Default, |strongest| strongest.source)
}

fn synonym(name: &str, layer: &Layer, is_sensitive: bool) -> ConfigSynonym {
    let value = if is_sensitive { None } else { layer.value.text() };
    ConfigSynonym { name: name.into(), value, source: layer.source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(entries: &'a [ConfigEntry], name: &str) -> &'a ConfigEntry {
        entries.iter().find(|entry| entry.name == name).unwrap()
    }

    fn printed(entry: &ConfigEntry) -> String {
        let code = |source: ConfigSource| source.code();
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".into());
        let synonyms: Vec<_> =
            entry.synonyms.iter().map(|s| format!("{}={}@{}", s.name, text(&s.value), code(s.source))).collect();
        format!("{}@{} {}", text(&entry.value), code(entry.source), synonyms.join(" ")).trim_end().to_string()
    }

    #[test]
    fn a_topics_entry_lists_its_own_value_then_the_brokers_then_the_default() {
        let broker = BrokerConfig::for_tests("log.segment.bytes=2000000");
        let own = Overrides::from([("segment.bytes".into(), "3000000".into())]);
        let entries = topic(&own, &broker);
        let expected = "3000000@1 segment.bytes=3000000@1 log.segment.bytes=2000000@4 log.segment.bytes=1073741824@5";
        assert_eq!(printed(entry(&entries, "segment.bytes")), expected);
        assert_eq!(entry(&entries, "segment.bytes").kind_code(), 3);
    }

    #[test]
    fn hours_of_the_broker_show_as_milliseconds_without_a_synonym() {
        let entries = topic(&Overrides::new(), &BrokerConfig::for_tests("log.retention.hours=1"));
        assert_eq!(printed(entry(&entries, "retention.ms")), "3600000@5");
        assert_eq!(printed(entry(&entries, "flush.ms")), "9223372036854775807@5");
        assert_eq!(printed(entry(&entries, "remote.storage.enable")), "false@5");
        assert_eq!(
            printed(entry(&entries, "min.cleanable.dirty.ratio")),
            "0.5@5 log.cleaner.min.cleanable.ratio=0.5@5"
        );
    }

    #[test]
    fn internal_keys_are_hidden_until_they_are_set() {
        let broker = BrokerConfig::for_tests("");
        let own = Overrides::from([("internal.segment.bytes".into(), "10".into())]);
        let has = |overrides: &Overrides| topic(overrides, &broker).iter().any(|e| e.name == "internal.segment.bytes");
        assert!(!has(&Overrides::new()));
        assert!(has(&own));
        assert_eq!(topic(&Overrides::new(), &broker).len(), 34);
    }

    #[test]
    fn secrets_and_unknown_keys_are_never_told() {
        let entries = self::broker(&BrokerConfig::for_tests("sasl.jaas.config=secret\nmy.password=secret"));
        assert_eq!(printed(entry(&entries, "sasl.jaas.config")), "null@4 sasl.jaas.config=null@4");
        let unknown = entry(&entries, "my.password");
        assert_eq!(
            (printed(unknown).as_str(), unknown.kind_code(), unknown.is_sensitive),
            ("null@4 my.password=null@4", 0, true)
        );
    }

    #[test]
    fn a_dynamic_broker_key_is_not_read_only() {
        let entries = self::broker(&BrokerConfig::for_tests(""));
        assert!(!entry(&entries, "message.max.bytes").is_read_only);
        assert!(entry(&entries, "num.partitions").is_read_only);
        assert_eq!(printed(entry(&entries, "log.retention.ms")), "null@5");
    }

    #[test]
    fn the_cluster_shows_only_what_is_set_for_all() {
        let shared = std::collections::BTreeMap::from([("min.insync.replicas".to_string(), "1".to_string())]);
        let broker = BrokerConfig::for_tests("").with_dynamic(&shared, &std::collections::BTreeMap::new());
        let entries = cluster(&broker);
        assert_eq!(entries.len(), 1);
        assert_eq!(printed(&entries[0]), "1@3 min.insync.replicas=1@3");
        let topic = topic(&Overrides::new(), &broker);
        assert_eq!(
            printed(entry(&topic, "min.insync.replicas")),
            "1@3 min.insync.replicas=1@3 min.insync.replicas=1@5"
        );
    }

    #[test]
    fn a_groups_entry_lists_its_own_value_then_the_brokers_then_the_default() {
        let shared = Overrides::from([("group.consumer.assignment.interval.ms".into(), "2000".into())]);
        let broker = BrokerConfig::for_tests("group.consumer.session.timeout.ms=50000");
        let broker = broker.with_dynamic(&shared, &Overrides::new());
        let own = Overrides::from([("consumer.session.timeout.ms".into(), "46000".into())]);
        let entries = group(&own, &broker);
        assert_eq!(entries.len(), 17);
        for (name, expected) in [
            (
                "consumer.session.timeout.ms",
                "46000@8 consumer.session.timeout.ms=46000@8 group.consumer.session.timeout.ms=50000@4 \
                 group.consumer.session.timeout.ms=45000@5",
            ),
            (
                "consumer.assignment.interval.ms",
                "2000@3 group.consumer.assignment.interval.ms=2000@3 group.consumer.assignment.interval.ms=1000@5",
            ),
            ("share.renew.acknowledge.enable", "true@5 share.renew.acknowledge.enable=true@5"),
        ] {
            assert_eq!(printed(entry(&entries, name)), expected);
        }
    }

    #[test]
    fn a_subscription_to_metrics_shows_what_was_set_and_defaults_without_synonyms() {
        let own = Overrides::from([("match".into(), "client_id=a, client_id=b".into())]);
        let printed: Vec<_> = client_metrics(&own).iter().map(printed).collect();
        let expected = ["300000@5", "client_id=a,client_id=b@7 match=client_id=a,client_id=b@7", "@5"];
        assert_eq!(printed, expected);
    }
}
