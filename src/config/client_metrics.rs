//! The configuration of one subscription to clients' metrics (KIP-714): which clients, what of theirs, how often.

use super::definition;
use super::error::InvalidConfig;
use super::topic::Overrides;
use super::value::Value;
use regex::RegexBuilder;
use std::ops::RangeInclusive;

const INTERVAL_MS: RangeInclusive<i64> = 100..=3_600_000;

/// What a pattern may tell clients apart by.
const MATCHABLE: [&str; 6] = [
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// A compiled pattern is this large at most, so that a short text does not become a large machine.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// What a subscription's settings are held to.
///
/// # Errors
/// The first key no subscription has, else the first value that cannot be read, else what is out of bounds or no match.
pub fn validate(overrides: &Overrides) -> Result<(), InvalidConfig> {
    if let Some(key) = overrides.keys().find(|key| !definition::client_metrics().contains_key(key.as_str())) {
        return Err(InvalidConfig::UnknownMetricsKey(key.clone()));
    }
    for (key, text) in overrides {
        let invalid = |refusal| InvalidConfig::Value { key: key.clone(), value: text.clone(), refusal };
        let value = definition::client_metrics()[key.as_str()].read(text).map_err(invalid)?;
        match (key.as_str(), value) {
            ("interval.ms", Value::Integer(interval)) if !INTERVAL_MS.contains(&interval) => {
                return Err(InvalidConfig::MetricsInterval(interval));
            }
            ("match", Value::List(pairs)) => check_pairs(&pairs)?,
            _ => {}
        }
    }
    Ok(())
}

fn check_pairs(pairs: &[String]) -> Result<(), InvalidConfig> {
    match pairs.iter().find(|pair| !is_match(pair)) {
        Some(pair) => Err(InvalidConfig::NotAClientMatch(pair.clone())),
        None => Ok(()),
    }
}

/// `name=pattern`; equals signs at the end do not count, as in Kafka.
fn is_match(pair: &str) -> bool {
    let Some((name, pattern)) = pair.trim_end_matches('=').split_once('=') else { return false };
    let compiles = || RegexBuilder::new(pattern.trim()).size_limit(PATTERN_BYTES_MAX).build().is_ok();
    MATCHABLE.contains(&name.trim()) && !pattern.contains('=') && compiles()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(key: &str, value: &str) -> String {
        match validate(&Overrides::from([(key.into(), value.into())])) {
            Ok(()) => "fine".into(),
            Err(invalid) => invalid.to_string(),
        }
    }

    #[test]
    fn a_match_is_pairs_of_a_clients_property_and_a_pattern() {
        for good in ["", "client_id=x.*", "client_id=a, client_id=b", "client_source_port=90..=", "client_id = a"] {
            assert_eq!(refusal("match", good), "fine", "{good}");
        }
        for bad in ["x", "foo=bar", "client_id=[", "client_id=", "client_id=a=b", "=a"] {
            assert_eq!(refusal("match", bad), format!("Illegal client matching pattern: {bad}"));
        }
        assert_eq!(refusal("match", "client_id=a,,client_id=b"), "Configuration 'match' values must not be empty.");
    }

    #[test]
    fn metrics_are_asked_for_ten_times_a_second_to_once_an_hour() {
        assert_eq!((refusal("interval.ms", "100"), refusal("interval.ms", "3600000")), ("fine".into(), "fine".into()));
        let expected = "Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 hour)";
        assert_eq!(refusal("interval.ms", "99"), expected);
        let expected = "Invalid value abc for configuration interval.ms: Not a number of type INT";
        assert_eq!(refusal("interval.ms", "abc"), expected);
    }

    #[test]
    fn an_unknown_key_of_a_subscription_is_named() {
        assert_eq!(refusal("nonsense", "1"), "Unknown client metrics configuration: nonsense");
    }
}
