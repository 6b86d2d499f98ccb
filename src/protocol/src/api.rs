//! The table of requests: keys, names, version ranges, which response answers which request.

use std::ops::RangeInclusive;

use thiserror::Error;

use crate::codec::Message;

include!(concat!(env!("OUT_DIR"), "/api.rs"));

/// A message that asks for a response.
pub trait Request: Message {
    /// The number that announces it.
    const KEY: ApiKey;
    /// What answers it, in the same version.
    type Response: Message;
}

/// A key that no request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no request has the key {0}")]
pub struct UnknownApiKey(pub i16);

/// What the field tables say about one request.
#[derive(Debug)]
struct Facts {
    key: ApiKey,
    name: &'static str,
    first: i16,
    last: i16,
    flexible_from: i16,
    last_is_unstable: bool,
    broker: bool,
    controller: bool,
}

impl ApiKey {
    /// Every key there is, ascending; those whose versions are all gone included.
    pub fn all() -> impl Iterator<Item = ApiKey> {
        FACTS.iter().map(|facts| facts.key)
    }

    /// The number on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Kafka's name: `Produce`, `ListOffsets`.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The versions we can read and write, an unstable last one included; empty when none is left.
    pub fn valid_versions(self) -> RangeInclusive<i16> {
        self.facts().first..=self.facts().last
    }

    /// The last version that is not subject to change.
    pub fn latest_stable(self) -> i16 {
        self.facts().last - i16::from(self.facts().last_is_unstable)
    }

    /// The first version with compact lengths and tagged fields (KIP-482).
    pub fn flexible_from(self) -> Option<i16> {
        Some(self.facts().flexible_from).filter(|&first| first != i16::MAX)
    }

    /// 1 or 2. Versions that don't exist have an answer too: a peer may be newer than we are.
    pub fn request_header_version(self, version: i16) -> i16 {
        if version >= self.facts().flexible_from { 2 } else { 1 }
    }

    /// 0 or 1. Always 0 for ApiVersions, whose answer must be readable before versions are agreed on (KIP-511).
    pub fn response_header_version(self, version: i16) -> i16 {
        i16::from(self != ApiKey::ApiVersions && version >= self.facts().flexible_from)
    }

    /// Whether brokers serve it.
    pub fn is_for_broker(self) -> bool {
        self.facts().broker
    }

    /// Whether controllers serve it.
    pub fn is_for_controller(self) -> bool {
        self.facts().controller
    }

    fn facts(self) -> &'static Facts {
        let index = FACTS.binary_search_by_key(&self, |facts| facts.key);
        &FACTS[index.expect("every key has a line")]
    }
}

impl TryFrom<i16> for ApiKey {
    type Error = UnknownApiKey;

    fn try_from(code: i16) -> Result<Self, UnknownApiKey> {
        let index = FACTS.binary_search_by_key(&code, |facts| facts.key.code());
        index.map(|i| FACTS[i].key).map_err(|_| UnknownApiKey(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_by_its_number() {
        assert_eq!(ApiKey::all().count(), 93);
        assert!(ApiKey::all().all(|key| ApiKey::try_from(key.code()) == Ok(key)));
        assert_eq!(ApiKey::try_from(-1), Err(UnknownApiKey(-1)));
        assert_eq!(ApiKey::try_from(i16::MAX), Err(UnknownApiKey(i16::MAX)));
    }

    #[test]
    fn headers_follow_the_flexible_versions_except_for_api_versions() {
        assert_eq!((ApiKey::Fetch.request_header_version(11), ApiKey::Fetch.response_header_version(11)), (1, 0));
        assert_eq!((ApiKey::Fetch.request_header_version(12), ApiKey::Fetch.response_header_version(12)), (2, 1));
        assert_eq!(ApiKey::ApiVersions.request_header_version(99), 2);
        assert_eq!(ApiKey::ApiVersions.response_header_version(99), 0);
        assert_eq!(ApiKey::SaslHandshake.request_header_version(1), 1);
    }

    #[test]
    fn an_unstable_last_version_is_not_the_latest_stable_one() {
        assert_eq!((ApiKey::InitProducerId.valid_versions(), ApiKey::InitProducerId.latest_stable()), (0..=6, 5));
        assert_eq!((ApiKey::Fetch.valid_versions(), ApiKey::Fetch.latest_stable()), (4..=18, 18));
        assert!(ApiKey::LeaderAndIsr.valid_versions().is_empty());
    }

    #[test]
    fn listeners_tell_brokers_from_controllers() {
        assert!(ApiKey::Vote.is_for_controller() && !ApiKey::Vote.is_for_broker());
        assert!(ApiKey::Fetch.is_for_controller() && ApiKey::Fetch.is_for_broker());
        assert!(!ApiKey::Produce.is_for_controller() && ApiKey::Produce.is_for_broker());
    }
}
