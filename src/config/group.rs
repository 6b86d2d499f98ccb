//! The configuration of one group: its own settings over the broker's, within the bounds the broker sets.

use super::broker::BrokerConfig;
use super::definition;
use super::error::{Bounding, InvalidConfig};
use super::groups::read;
use super::topic::Overrides;
use super::value::Value;

/// What a group's own settings are held to.
///
/// # Errors
/// The first key no group has, else the first value that cannot be read, else the first that is out of bounds.
pub fn validate(overrides: &Overrides, broker: &BrokerConfig) -> Result<(), InvalidConfig> {
    if let Some(key) = overrides.keys().find(|key| !definition::group().contains_key(key.as_str())) {
        return Err(InvalidConfig::UnknownGroupKey(key.clone()));
    }
    for (key, text) in overrides {
        let invalid = |refusal| InvalidConfig::Value { key: key.clone(), value: text.clone(), refusal };
        definition::group()[key.as_str()].read(text).map_err(invalid)?;
    }
    for key in overrides.keys() {
        check_bound(overrides, broker, key, Bounding::Min)?;
        check_bound(overrides, broker, key, Bounding::Max)?;
    }
    FAMILIES.iter().try_for_each(|family| check_timeout(overrides, broker, family))
}

/// Kinds of groups; a key begins with its family.
const FAMILIES: [&str; 3] = ["consumer", "share", "streams"];

/// The broker key that holds the default of a group's key; a few have none.
pub fn broker_key(group_key: &str) -> Option<&'static str> {
    known(&format!("group.{group_key}"))
}

/// The broker key that bounds a group's key, as `group.share.min.session.timeout.ms` does `share.session.timeout.ms`.
fn bound_key(group_key: &str, bounding: Bounding) -> Option<&'static str> {
    let (family, rest) = group_key.split_once('.')?;
    // The one bound whose name leaves a word out.
    let rest = rest.strip_prefix("num.").unwrap_or(rest);
    known(&format!("group.{family}.{bounding}.{rest}"))
}

fn known(broker_key: &str) -> Option<&'static str> {
    definition::broker().get(broker_key).map(|definition| definition.name)
}

fn check_bound(
    overrides: &Overrides,
    broker: &BrokerConfig,
    key: &str,
    bounding: Bounding,
) -> Result<(), InvalidConfig> {
    let Some(bound_key) = bound_key(key, bounding) else { return Ok(()) };
    let bound: i64 = read(broker.settings(), bound_key);
    let number = number(overrides, broker, key);
    let is_inside = match bounding {
        Bounding::Min => number >= bound,
        Bounding::Max => number <= bound,
    };
    if is_inside { Ok(()) } else { Err(InvalidConfig::OutOfGroupBound { key: key.into(), bounding, bound_key }) }
}

/// Members must have time for a heartbeat before they are given up.
fn check_timeout(overrides: &Overrides, broker: &BrokerConfig, family: &str) -> Result<(), InvalidConfig> {
    let [timeout, interval] = ["session.timeout.ms", "heartbeat.interval.ms"].map(|key| format!("{family}.{key}"));
    if !overrides.contains_key(&timeout) && !overrides.contains_key(&interval) {
        return Ok(());
    }
    if number(overrides, broker, &timeout) > number(overrides, broker, &interval) {
        return Ok(());
    }
    Err(InvalidConfig::TimeoutNotAboveInterval { timeout, interval })
}

/// The value in force, of a key that is a number.
fn number(overrides: &Overrides, broker: &BrokerConfig, key: &str) -> i64 {
    match value(overrides, broker, key) {
        Value::Integer(number) => number,
        other => panic!("the table gives {key} another type than its bounds: {other:?}"),
    }
}

/// The value in force: the group's own, else the broker's, else the default.
/// Own text that no group may have is passed over: it came from a log, where `validate` should have stopped it.
pub(super) fn value(overrides: &Overrides, broker: &BrokerConfig, key: &str) -> Value {
    let definition = definition::group().get(key).expect("a key the program asks for stands in its table");
    let own = overrides.get(key).and_then(|text| definition.read(text).ok());
    let of_broker = || broker_key(key).map(|key| broker.settings().value(key));
    own.or_else(of_broker).unwrap_or_else(|| definition.default.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(broker: &str, pairs: &[(&str, &str)]) -> String {
        let overrides = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        match validate(&overrides, &BrokerConfig::for_tests(broker)) {
            Ok(()) => "fine".into(),
            Err(invalid) => invalid.to_string(),
        }
    }

    #[test]
    fn a_value_is_held_to_the_bounds_of_the_broker() {
        for (key, value, bound) in [
            ("consumer.session.timeout.ms", "44999", "greater than or equal to group.consumer.min.session.timeout.ms"),
            ("consumer.session.timeout.ms", "60001", "less than or equal to group.consumer.max.session.timeout.ms"),
            (
                "consumer.assignment.interval.ms",
                "15001",
                "less than or equal to group.consumer.max.assignment.interval.ms",
            ),
            (
                "share.record.lock.duration.ms",
                "14999",
                "greater than or equal to group.share.min.record.lock.duration.ms",
            ),
            ("share.delivery.count.limit", "11", "less than or equal to group.share.max.delivery.count.limit"),
            (
                "share.partition.max.record.locks",
                "4001",
                "less than or equal to group.share.max.partition.max.record.locks",
            ),
            (
                "streams.heartbeat.interval.ms",
                "4999",
                "greater than or equal to group.streams.min.heartbeat.interval.ms",
            ),
            ("streams.num.standby.replicas", "3", "less than or equal to group.streams.max.standby.replicas"),
        ] {
            assert_eq!(refusal("", &[(key, value)]), format!("{key} must be {bound}"));
        }
        assert_eq!(
            refusal("group.consumer.max.session.timeout.ms=70000", &[("consumer.session.timeout.ms", "60001")]),
            "fine"
        );
    }

    #[test]
    fn every_number_but_a_delay_has_a_bound_of_the_broker() {
        let is_number = |key: &&&str| matches!(definition::group()[**key].default, Value::Integer(_));
        for key in definition::group().keys().filter(is_number) {
            let has_bound = bound_key(key, Bounding::Max).is_some();
            assert_eq!(has_bound, *key != "streams.initial.rebalance.delay.ms", "{key}");
        }
    }

    #[test]
    fn an_unknown_key_is_told_before_a_bad_value() {
        let pairs = [("consumer.session.timeout.ms", "x"), ("nonsense", "1")];
        assert_eq!(refusal("", &pairs), "Unknown group config name: nonsense");
        let expected = "Invalid value x for configuration consumer.session.timeout.ms: Not a number of type INT";
        assert_eq!(refusal("", &pairs[..1]), expected);
    }

    #[test]
    fn a_session_outlasts_a_heartbeat_also_when_one_of_them_is_the_brokers() {
        let broker = "group.consumer.max.heartbeat.interval.ms=60000";
        let expected = "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms";
        assert_eq!(refusal(broker, &[("consumer.heartbeat.interval.ms", "45000")]), expected);
        assert_eq!(refusal(broker, &[("consumer.heartbeat.interval.ms", "44999")]), "fine");
    }

    #[test]
    fn a_share_group_begins_at_an_end_or_a_duration_ago() {
        for good in ["latest", "earliest", "by_duration:PT1H", "by_duration:P1DT0.5S"] {
            assert_eq!(refusal("", &[("share.auto.offset.reset", good)]), "fine", "{good}");
        }
        for bad in ["x", "EARLIEST", "by_duration", "by_duration:", "by_duration:x", "by_duration:-PT1H", "none"] {
            let expected = format!(
                "Invalid value {bad} for configuration share.auto.offset.reset: Invalid value `{bad}` for configuration \
                 share.auto.offset.reset. The value must be either 'earliest', 'latest' or of the format \
                 'by_duration:<PnDTnHnMn.nS>'."
            );
            assert_eq!(refusal("", &[("share.auto.offset.reset", bad)]), expected);
        }
    }
}
