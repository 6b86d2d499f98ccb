//! Which topics the members of a classic group consume, as far as they say it in Kafka's consumer protocol.

use super::{ClassicGroup, State};
use bytes::Bytes;
use odradek_protocol::codec::{Message, Reader};
use odradek_protocol::messages::ConsumerProtocolSubscription;
use odradek_protocol::primitives::Str;
use std::collections::BTreeSet;

/// The protocol type of consumers.
pub const CONSUMER: &str = "consumer";

impl ClassicGroup {
    pub fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// All of its members' topics; none when that cannot be told.
    pub(super) fn read_subscriptions(&self) -> Option<BTreeSet<Str>> {
        if !self.is_of_consumers() {
            return None;
        }
        let Some(protocol) = self.protocol.as_ref().filter(|_| !self.members.is_empty()) else {
            return self.members.is_empty().then(BTreeSet::new);
        };
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscription(&member.metadata(protocol))?.topics.iter().map(Str::detached));
        }
        Some(topics)
    }

    /// One whose topics cannot be told consumes every topic.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.subscribed_topics.as_ref().map_or(self.is_of_consumers(), |topics| topics.contains(topic))
    }

    pub(super) fn knows_its_topics(&self) -> bool {
        self.is_of_consumers() && self.subscribed_topics.is_some() && self.state == State::Stable
    }
}

/// What every version of the protocol begins with.
fn subscription(metadata: &Bytes) -> Option<ConsumerProtocolSubscription> {
    let mut reader = Reader::new(metadata.clone());
    reader.i16().ok()?;
    ConsumerProtocolSubscription::decode(&mut reader, 0).ok()
}
