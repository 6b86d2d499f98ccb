//! Which of Kafka's keys do something here.

use super::definition;
use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    Full,
    NotYet,
    /// Sizes a mechanism that a thread per core does not have.
    NoMeaning,
}

/// Areas that are not built; a key belongs to the first that begins it.
const NOT_YET: &[&str] = &[
    "add.partitions.to.txn.",
    "alter.config.policy.",
    "alter.log.dirs.",
    "auto.leader.rebalance.",
    "client.quota.",
    "config.providers",
    "connection.failed.authentication.",
    "connections.max.reauth.",
    "controller.quota.",
    "create.topic.policy.",
    "delegation.token.",
    "follower.fetch.last.tiered.",
    "group.share.",
    "group.streams.",
    "kafka.metrics.",
    "leader.imbalance.",
    "listener.name.",
    "log.local.retention.",
    "metric.reporters",
    "metrics.",
    "num.replica.alter.",
    "principal.builder.",
    "quota.",
    "remote.",
    "replica.selector.",
    "replication.quota.",
    "sasl.",
    "security.providers",
    "share.",
    "ssl.",
    "telemetry.",
    "authorizer.class.name",
    "transaction.two.phase.",
    "unstable.",
];

const NO_MEANING: &[&str] = &[
    "background.threads",
    "delete.records.purgatory.purge.interval.requests",
    "fetch.purgatory.purge.interval.requests",
    "group.coordinator.background.threads",
    "group.coordinator.threads",
    "log.cleaner.io.buffer.size",
    "log.cleaner.threads",
    "log.flush.scheduler.interval.ms",
    "num.io.threads",
    "num.network.threads",
    "producer.purgatory.purge.interval.requests",
    "queued.max.requests",
    "share.coordinator.threads",
    "share.fetch.purgatory.purge.interval.requests",
];

/// Of a key some table has, prefixed by a listener's name or not.
pub fn of(key: &str) -> Support {
    if NO_MEANING.contains(&key) {
        Support::NoMeaning
    } else if NOT_YET.iter().any(|area| key.starts_with(area)) {
        Support::NotYet
    } else {
        Support::Full
    }
}

/// `ssl.keystore.type` of `listener.name.internal.ssl.keystore.type`; a SASL mechanism may stand between as well.
pub fn without_listener_prefix(key: &str) -> &str {
    let Some((_, rest)) = key.strip_prefix("listener.name.").and_then(|rest| rest.split_once('.')) else { return key };
    match rest.split_once('.') {
        Some((_, inner)) if definition::broker().contains_key(inner) => inner,
        _ => rest,
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "is supported",
            Self::NotYet => "is known but not supported yet; it has no effect",
            Self::NoMeaning => "has no meaning with one thread per core (see num.shards); it has no effect",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_that_a_table_has() {
        let known = definition::broker();
        for name in NO_MEANING {
            assert!(known.contains_key(name), "{name}");
        }
        for area in NOT_YET.iter().filter(|area| **area != "listener.name.") {
            assert!(known.keys().any(|key| key.starts_with(area)), "{area}");
        }
    }

    #[test]
    fn a_listeners_prefix_and_mechanism_are_set_aside() {
        assert_eq!(without_listener_prefix("listener.name.a.ssl.key.password"), "ssl.key.password");
        assert_eq!(without_listener_prefix("listener.name.a.scram-sha-256.sasl.jaas.config"), "sasl.jaas.config");
        assert_eq!(without_listener_prefix("num.partitions"), "num.partitions");
    }
}
