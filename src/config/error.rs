//! Why a setting is refused, in Kafka's words where a client sees them.

use super::properties::{NotAPair, Property};
use super::value::Kind;
use std::fmt;

/// What is wrong with a value by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("Not a number of type {0}")]
    NotANumber(Kind),
    #[error("Expected value to be either true or false")]
    NotABoolean,
    #[error("Value must be at least {0}")]
    BelowMinimum(&'static str),
    #[error("Value must be no more than {0}")]
    AboveMaximum(&'static str),
    #[error("Value must be between {min} and {max} or equal to {or}")]
    OutsideRangeAndException { min: &'static str, max: &'static str, or: &'static str },
    #[error("String must be one of: {}", .0.join(", "))]
    NotOneOf(&'static [&'static str]),
    #[error("String must be one of (case insensitive): {}", .0.join(", "))]
    NotOneOfIgnoringCase(&'static [&'static str]),
    #[error("String must be non-empty")]
    Empty,
    #[error("values must not be empty")]
    EmptyItem,
    #[error(
        "{0} must be the literal '*' or a list of replicas in the following format: \
         [partitionId]:[brokerId],[partitionId]:[brokerId],..."
    )]
    NotReplicas(String),
    #[error(
        "Invalid value `{value}` for configuration {key}. The value must be either 'earliest', 'latest' or of the \
         format 'by_duration:<PnDTnHnMn.nS>'."
    )]
    NotAnOffsetReset { key: String, value: String },
}

/// Which side a value is bounded on; written as it stands in the names of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounding {
    Min,
    Max,
}

impl fmt::Display for Bounding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Min => "min",
            Self::Max => "max",
        })
    }
}

impl Bounding {
    fn relation(self) -> &'static str {
        match self {
            Self::Min => "greater",
            Self::Max => "less",
        }
    }
}

/// A configuration a client asked for and may not have, with Kafka's message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    #[error("{}", value_message(key, value, refusal))]
    Value { key: String, value: String, refusal: Refusal },
    #[error("Unknown topic config name: {0}")]
    UnknownTopicKey(String),
    #[error("conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})")]
    CompactionLagConflict { min: i64, max: i64 },
    #[error(
        "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
    )]
    TieredStorageDisabled,
    #[error("Cannot update these configs dynamically: {0}")]
    NotDynamic(String),
    #[error(
        "requirement failed: All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing entries : \
         {0}"
    )]
    CordonedNowhere(String),
    #[error("requirement failed: When cordoned.log.dirs is set to *, it must not contain other values")]
    CordonedAllAndOthers,
    #[error("Unknown group config name: {0}")]
    UnknownGroupKey(String),
    #[error("{key} must be {} than or equal to {bound_key}", bounding.relation())]
    OutOfGroupBound { key: String, bounding: Bounding, bound_key: &'static str },
    #[error("{timeout} must be greater than {interval}")]
    TimeoutNotAboveInterval { timeout: String, interval: String },
    #[error("Unknown client metrics configuration: {0}")]
    UnknownMetricsKey(String),
    #[error("Invalid value {0} for interval.ms, interval must be between 100 and 3600000 (1 hour)")]
    MetricsInterval(i64),
    #[error("Illegal client matching pattern: {0}")]
    NotAClientMatch(String),
}

impl InvalidConfig {
    /// Whether Kafka calls the request invalid for it, and not the setting: some of subscriptions to clients' metrics.
    pub fn is_of_request(&self) -> bool {
        matches!(self, Self::UnknownMetricsKey(_) | Self::MetricsInterval(_))
    }
}

fn value_message(key: &str, value: &str, refusal: &Refusal) -> String {
    match refusal {
        Refusal::EmptyItem => format!("Configuration '{key}' values must not be empty."),
        Refusal::NotReplicas(_) => format!("Invalid value [{value}] for configuration {key}: {refusal}"),
        _ => format!("Invalid value {value} for configuration {key}: {refusal}"),
    }
}

/// A configuration this process cannot start with. The message names the place, the key, the value and what may stand there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: {}={}: {refusal} (allowed: {allowed})", property.origin, property.key, property.value)]
    Value { property: Box<Property>, refusal: Refusal, allowed: String },
    /// The value is well formed but does not fit with others or is not possible yet; `why` says what to write instead.
    #[error("{}: {}={}: {why}", property.origin, property.key, property.value)]
    Conflict { property: Box<Property>, why: String },
    /// The same of a value that nobody wrote.
    #[error("{key} (default {value}): {why}")]
    DefaultConflict { key: String, value: String, why: String },
    #[error(transparent)]
    Override(#[from] NotAPair),
}
