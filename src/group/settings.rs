//! What the configuration says of groups, in the units that are reckoned with here.

use crate::config::BrokerConfig;
use crate::metadata::{Image, ResourceType};
use std::time::Duration;

/// The topic that holds every group.
pub const TOPIC: &str = "__consumer_offsets";

/// How long a member that joined for the first time is kept without a sign of life.
pub const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// What `group.consumer.migration.policy` lets groups do while they have members.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Migration {
    /// A classic group becomes a consumer group when a consumer of KIP-848 joins.
    pub upgrades: bool,
    /// A consumer group becomes a classic one when its last consumer of KIP-848 is gone.
    pub downgrades: bool,
}

impl Migration {
    pub fn of(config: &BrokerConfig) -> Self {
        let policy = config.groups.group_consumer_migration_policy.as_str();
        let is = |name: &str| policy.eq_ignore_ascii_case(name);
        let both = is("bidirectional");
        Self { upgrades: both || is("upgrade"), downgrades: both || is("downgrade") }
    }

    /// Members of either kind stay among themselves.
    pub fn is_disabled(self) -> bool {
        !self.upgrades && !self.downgrades
    }
}

/// A timeout as clients and settings give it; a negative one is over at once.
pub fn milliseconds(value: i32) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}

/// A group's own setting, or the broker's.
pub fn of_group(image: &Image, group: &str, key: &str, broker: i32) -> i32 {
    let own = image.configs().of(ResourceType::Group, group).get(key);
    own.and_then(|value| value.parse().ok()).unwrap_or(broker)
}

pub fn offsets_retention_ms(config: &BrokerConfig) -> i64 {
    i64::from(config.groups.offsets_retention_minutes) * 60_000
}

pub fn retention_check_interval(config: &BrokerConfig) -> Duration {
    Duration::from_millis(u64::try_from(config.groups.offsets_retention_check_interval_ms).unwrap_or(1).max(1))
}
