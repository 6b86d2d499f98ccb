//! The table of every key there is: Kafka's, from its own documentation, and ours beside them.

use super::error::Refusal;
use super::valid::Valid;
use super::value::{Kind, Value};
use std::collections::BTreeMap;
use std::sync::LazyLock;

const KAFKA_TABLE: &str = include_str!("../../config/kafka-configs.tsv");
/// Keys of our own, and those of Kafka's whose default differs here; a later row replaces an earlier one.
const OUR_TABLE: &str = include_str!("../../config/odradek-configs.tsv");

/// One key, as documented.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    pub name: &'static str,
    pub kind: Kind,
    pub default: Value,
    pub valid: Valid,
    /// The notation `valid` was read from, for messages.
    pub allowed: &'static str,
    pub importance: Importance,
    /// Not shown to clients unless set.
    pub is_internal: bool,
    pub dynamic: Dynamic,
    /// One or two sentences; empty for most of Kafka's keys.
    pub documentation: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Importance {
    High,
    Medium,
    Low,
}

/// Whether a broker key may change while the broker runs, and for whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dynamic {
    ReadOnly,
    ClusterWide,
    PerBroker,
}

/// The keys of one kind of resource, by name.
pub type Definitions = BTreeMap<&'static str, Definition>;

struct Tables {
    broker: Definitions,
    topic: Definitions,
    group: Definitions,
    client_metrics: Definitions,
}

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::read);

pub fn broker() -> &'static Definitions {
    &TABLES.broker
}

pub fn topic() -> &'static Definitions {
    &TABLES.topic
}

pub fn group() -> &'static Definitions {
    &TABLES.group
}

pub fn client_metrics() -> &'static Definitions {
    &TABLES.client_metrics
}

impl Definition {
    /// The value `text` stands for, if this key may have it.
    pub fn read(&self, text: &str) -> Result<Value, Refusal> {
        let value = self.kind.parse(text)?;
        self.valid.check(self.name, &value)?;
        Ok(value)
    }

    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }
}

impl Tables {
    fn read() -> Self {
        let mut tables = Self {
            broker: BTreeMap::new(),
            topic: BTreeMap::new(),
            group: BTreeMap::new(),
            client_metrics: BTreeMap::new(),
        };
        for line in KAFKA_TABLE.lines().skip(1).chain(OUR_TABLE.lines().skip(1)) {
            let (scope, definition) = row(line).expect("the tables are part of the program and a test reads them");
            let scope = match scope {
                "broker" => &mut tables.broker,
                "topic" => &mut tables.topic,
                "group" => &mut tables.group,
                _ => &mut tables.client_metrics,
            };
            scope.insert(definition.name, definition);
        }
        tables
    }
}

fn row(line: &'static str) -> Option<(&'static str, Definition)> {
    let mut fields = line.split('\t');
    let mut next = || fields.next().unwrap_or("");
    let (scope, name, kind) = (next(), next(), Kind::from_name(next())?);
    let default = default_value(kind, next())?;
    let allowed = next();
    let definition = Definition {
        name,
        kind,
        default,
        valid: Valid::from_notation(allowed),
        allowed,
        importance: importance(next())?,
        is_internal: next() == "internal",
        dynamic: dynamic(next())?,
        documentation: next(),
    };
    Some((scope, definition))
}

/// `null` and `(required)` are no value; a list stands in brackets, a class behind its keyword.
fn default_value(kind: Kind, text: &'static str) -> Option<Value> {
    let text = text.strip_prefix("class ").unwrap_or(text);
    match kind {
        _ if matches!(text, "null" | "(required)") => Some(Value::Null),
        Kind::List => kind.parse(text.strip_prefix('[')?.strip_suffix(']')?).ok(),
        _ => kind.parse(text).ok(),
    }
}

fn importance(text: &str) -> Option<Importance> {
    Some(match text {
        "high" => Importance::High,
        "medium" => Importance::Medium,
        "low" => Importance::Low,
        _ => return None,
    })
}

fn dynamic(text: &str) -> Option<Dynamic> {
    Some(match text {
        "" => Dynamic::ReadOnly,
        "cluster-wide" => Dynamic::ClusterWide,
        "per-broker" => Dynamic::PerBroker,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_both_tables_is_read() {
        let rows = |table: &str, scope: &str| table.lines().filter(|line| line.starts_with(scope)).count();
        assert_eq!(rows(KAFKA_TABLE, "topic\t"), 34);
        assert_eq!(topic().len(), 34 + rows(OUR_TABLE, "topic\t"));
        assert!(broker().len() > rows(KAFKA_TABLE, "broker\t"));
        assert_eq!(group().len(), rows(KAFKA_TABLE, "group\t"));
        assert_eq!(client_metrics().len(), 3);
    }

    #[test]
    fn every_default_passes_its_own_check() {
        for definition in broker().values().chain(topic().values()).chain(group().values()) {
            assert_eq!(definition.valid.check(definition.name, &definition.default), Ok(()), "{}", definition.name);
        }
    }

    #[test]
    fn our_default_replaces_kafkas() {
        assert_eq!(broker()["log.dir"].default, Value::List(vec!["./data".into()]));
        assert_eq!(broker()["node.id"].default, Value::Integer(1));
    }

    #[test]
    fn every_key_of_our_own_is_documented() {
        for definition in broker().values().chain(topic().values()) {
            let is_ours = definition.name.starts_with("odradek.") || definition.name == "num.shards";
            assert!(!is_ours || !definition.documentation.is_empty(), "{}", definition.name);
        }
    }

    #[test]
    fn a_list_default_is_the_items_in_brackets() {
        let expected = Value::List(vec!["uniform".into(), "range".into()]);
        assert_eq!(broker()["group.consumer.assignors"].default, expected);
        assert_eq!(broker()["config.providers"].default, Value::List(vec![]));
    }
}
