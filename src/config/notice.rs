//! What is odd in a configuration that works all the same.

use super::definition;
use super::properties::{Origin, Properties, Property};
use super::support::{self, Support};
use super::topic;
use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    Unknown { origin: Origin, key: String, instead: Option<String> },
    Repeated { origin: Origin, key: String, by: Origin },
    NotSupported { origin: Origin, key: String, support: Support },
}

/// All of them, in the order of the file.
pub(super) fn of(properties: &Properties) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut seen: BTreeMap<&str, &Property> = BTreeMap::new();
    for property in &properties.entries {
        notices.extend(of_property(property));
        let earlier = seen.insert(&property.key, property);
        if let Some(earlier) = earlier.filter(|_| property.origin != Origin::CommandLine) {
            let (origin, by) = (earlier.origin.clone(), property.origin.clone());
            notices.push(Notice::Repeated { origin, key: property.key.clone(), by });
        }
    }
    notices
}

fn of_property(property: &Property) -> Option<Notice> {
    let Property { key, value, origin } = property;
    let (origin, name) = (origin.clone(), support::without_listener_prefix(key));
    let Some(definition) = definition::broker().get(name) else {
        return Some(Notice::Unknown { origin, key: key.clone(), instead: instead_of(key) });
    };
    let is_default = definition.read(value).is_ok_and(|value| value == definition.default) && name == key;
    match support::of(key) {
        Support::Full => None,
        _ if is_default => None,
        support => Some(Notice::NotSupported { origin, key: key.clone(), support }),
    }
}

/// The key somebody may have meant: a topic's setting has a broker's name, and a slip of the hand is near its target.
fn instead_of(key: &str) -> Option<String> {
    if let Some(broker_key) = topic::broker_key(key) {
        return Some(broker_key.into());
    }
    let reach = (key.len() / 6).clamp(1, 3);
    let near = definition::broker().keys().map(|known| (distance(key, known), *known));
    near.filter(|(distance, _)| *distance <= reach).min().map(|(_, known)| known.into())
}

/// Letters to add, drop or change.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { origin, key, instead: Some(instead) } => {
                write!(f, "{origin}: unknown key {key} is ignored; did you mean {instead}?")
            }
            Self::Unknown { origin, key, instead: None } => write!(f, "{origin}: unknown key {key} is ignored"),
            Self::Repeated { origin, key, by } => write!(f, "{origin}: {key} is set again at {by}, which wins"),
            Self::NotSupported { origin, key, support } => write!(f, "{origin}: {key} {support}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notices(text: &str) -> Vec<String> {
        of(&Properties::parse("f", text)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_the_nearest_known_one() {
        assert_eq!(
            notices("\nnum.partition=3"),
            ["f:2: unknown key num.partition is ignored; did you mean num.partitions?"]
        );
        assert_eq!(notices("zookeeper.connect=x"), ["f:1: unknown key zookeeper.connect is ignored"]);
    }

    #[test]
    fn a_topics_key_points_to_the_brokers() {
        assert_eq!(
            notices("segment.bytes=3"),
            ["f:1: unknown key segment.bytes is ignored; did you mean log.segment.bytes?"]
        );
    }

    #[test]
    fn a_repeated_key_names_both_places() {
        assert_eq!(
            notices("num.partitions=1\nnum.partitions=2"),
            ["f:1: num.partitions is set again at f:2, which wins"]
        );
    }

    #[test]
    fn an_override_is_no_repetition() {
        let mut properties = Properties::parse("f", "num.partitions=1");
        properties.add_override("num.partitions=2").unwrap();
        assert_eq!(of(&properties), []);
    }

    #[test]
    fn an_unsupported_key_is_noticed_unless_it_keeps_its_default() {
        assert_eq!(notices("ssl.client.auth=none"), Vec::<String>::new());
        assert_eq!(
            notices("ssl.client.auth=required"),
            ["f:1: ssl.client.auth is known but not supported yet; it has no effect"]
        );
        let listener = notices("listener.name.internal.ssl.keystore.location=/x");
        assert_eq!(
            listener,
            ["f:1: listener.name.internal.ssl.keystore.location is known but not supported yet; it has no effect"]
        );
    }
}
