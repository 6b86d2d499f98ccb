//! Which broker settings may change while brokers run, and what a change is held to.

use super::definition::{self, Dynamic};
use super::error::InvalidConfig;
use std::collections::BTreeMap;

/// What Kafka checks before `changes` become settings of one broker, or of all (`for_all`).
/// A key of one broker alone may be changed for one broker only; a cluster-wide one for one or all.
pub fn validate(changes: &BTreeMap<String, String>, for_all: bool) -> Result<(), InvalidConfig> {
    let is_allowed = |key: &str| match definition::broker().get(key).map(|definition| definition.dynamic) {
        Some(Dynamic::ClusterWide) => true,
        Some(Dynamic::PerBroker) => !for_all,
        Some(Dynamic::ReadOnly) => false,
        None => true,
    };
    let refused: Vec<_> = changes.keys().map(String::as_str).filter(|key| !is_allowed(key)).collect();
    if !refused.is_empty() {
        return Err(InvalidConfig::NotDynamic(refused.join(",")));
    }
    for (key, value) in changes {
        let Some(definition) = definition::broker().get(key.as_str()) else { continue };
        let invalid = |refusal| InvalidConfig::Value { key: key.clone(), value: value.clone(), refusal };
        definition.read(value).map_err(invalid)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(key: &str, value: &str, for_all: bool) -> String {
        match validate(&BTreeMap::from([(key.to_string(), value.to_string())]), for_all) {
            Ok(()) => "fine".into(),
            Err(invalid) => invalid.to_string(),
        }
    }

    #[test]
    fn a_key_changes_only_for_whom_it_may() {
        assert_eq!(verdict("message.max.bytes", "5", true), "fine");
        assert_eq!(verdict("message.max.bytes", "5", false), "fine");
        assert_eq!(verdict("listeners", "PLAINTEXT://:1", false), "fine");
        assert_eq!(verdict("listeners", "PLAINTEXT://:1", true), "Cannot update these configs dynamically: listeners");
        assert_eq!(verdict("num.partitions", "5", true), "Cannot update these configs dynamically: num.partitions");
    }

    #[test]
    fn a_changed_value_is_checked_like_any_other() {
        let message = "Invalid value -1 for configuration message.max.bytes: Value must be at least 0";
        assert_eq!(verdict("message.max.bytes", "-1", true), message);
    }
}
