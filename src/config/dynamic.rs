//! Which broker settings may change while brokers run, and what a change is held to.

use super::broker::BrokerConfig;
use super::definition::{self, Dynamic};
use super::error::InvalidConfig;
use super::value::Value;
use std::collections::BTreeMap;

const CORDONED: &str = "cordoned.log.dirs";

/// What Kafka checks before `changes` become settings of one broker, or of all (`for_all`).
/// A key of one broker alone may be changed for one broker only; a cluster-wide one for one or all. `own`: what the broker
/// was started with, when the changes are for this one.
pub fn validate(
    changes: &BTreeMap<String, String>,
    for_all: bool,
    own: Option<&BrokerConfig>,
) -> Result<(), InvalidConfig> {
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
        let read = definition.read(value).map_err(invalid)?;
        if let (CORDONED, Value::List(names), Some(own)) = (key.as_str(), read, own) {
            own.may_cordon(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(key: &str, value: &str, for_all: bool) -> String {
        let own = BrokerConfig::for_tests("log.dirs=/a,/b");
        match validate(&BTreeMap::from([(key.to_string(), value.to_string())]), for_all, Some(&own)) {
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
    fn only_log_directories_of_the_broker_can_be_cordoned_or_all() {
        for fine in ["", "*", "/a", "/a,/b"] {
            assert_eq!(verdict(CORDONED, fine, false), "fine", "{fine}");
        }
        let missing = "requirement failed: All entries in cordoned.log.dirs must be present in log.dirs or log.dir. \
                       Missing entries : /nowhere";
        assert_eq!(verdict(CORDONED, "/a,/nowhere", false), missing);
        let mixed = "requirement failed: When cordoned.log.dirs is set to *, it must not contain other values";
        assert_eq!(verdict(CORDONED, "*,/a", false), mixed);
        assert_eq!(verdict(CORDONED, "*", true), "Cannot update these configs dynamically: cordoned.log.dirs");
        let of_another = BTreeMap::from([(CORDONED.to_string(), "/theirs".to_string())]);
        assert_eq!(validate(&of_another, false, None), Ok(()));
    }

    #[test]
    fn a_changed_value_is_checked_like_any_other() {
        let message = "Invalid value -1 for configuration message.max.bytes: Value must be at least 0";
        assert_eq!(verdict("message.max.bytes", "-1", true), message);
    }
}
