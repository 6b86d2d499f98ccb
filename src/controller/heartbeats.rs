//! When each broker was last heard of. In memory only: a new leader gives every broker one session to show itself.

use odradek_shards::clock::Instant;
use odradek_shards::types::{NodeId, Offset};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) struct Heartbeats {
    session: Duration,
    brokers: BTreeMap<NodeId, Contact>,
}

#[derive(Clone, Debug)]
struct Contact {
    epoch: i64,
    fenced: bool,
    /// No heartbeat of this epoch has reached this leader yet.
    is_presumed: bool,
    expires: Instant,
    /// How far the broker has replayed the metadata log.
    metadata_offset: Offset,
    /// The metadata offset every other broker must pass before this one may stop.
    shutdown_offset: Option<Offset>,
}

impl Heartbeats {
    pub fn new(session_ms: i32) -> Self {
        let session = Duration::from_millis(session_ms.max(1).unsigned_abs().into());
        Self { session, brokers: BTreeMap::new() }
    }

    /// A registered broker that this leader has not heard of yet.
    pub fn expect(&mut self, id: NodeId, epoch: i64, fenced: bool, now: Instant) {
        let contact = Contact {
            epoch,
            fenced,
            is_presumed: true,
            expires: now + self.session,
            metadata_offset: Offset(-1),
            shutdown_offset: None,
        };
        self.brokers.insert(id, contact);
    }

    pub fn forget(&mut self, id: NodeId) {
        self.brokers.remove(&id);
    }

    /// Notes a heartbeat; `fenced` is what the broker is from now on.
    pub fn touch(&mut self, id: NodeId, epoch: i64, fenced: bool, metadata_offset: Offset, now: Instant) {
        let shutdown_offset = self.brokers.get(&id).filter(|c| c.epoch == epoch).and_then(|c| c.shutdown_offset);
        let expires = now + self.session;
        let contact = Contact { epoch, fenced, is_presumed: false, expires, metadata_offset, shutdown_offset };
        self.brokers.insert(id, contact);
    }

    /// Another incarnation of this id is alive for all we know.
    pub fn has_valid_session(&self, id: NodeId, epoch: i64, now: Instant) -> bool {
        let alive = |contact: &Contact| contact.epoch == epoch && !contact.is_presumed && now < contact.expires;
        self.brokers.get(&id).is_some_and(alive)
    }

    /// Unfenced brokers whose session is over, longest silent first.
    pub fn expired(&self, now: Instant) -> Vec<NodeId> {
        let mut silent: Vec<_> = self.brokers.iter().filter(|(_, c)| !c.fenced && now >= c.expires).collect();
        silent.sort_by_key(|(_, contact)| contact.expires);
        silent.into_iter().map(|(id, _)| *id).collect()
    }

    /// When the next session ends unless its broker is heard of.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.brokers.values().filter(|contact| !contact.fenced).map(|contact| contact.expires).min()
    }

    pub fn set_shutdown_offset(&mut self, id: NodeId, offset: Offset) {
        if let Some(contact) = self.brokers.get_mut(&id) {
            contact.shutdown_offset = Some(offset);
        }
    }

    /// Every other unfenced broker has seen that this one leads nothing any more.
    pub fn may_shut_down(&self, id: NodeId) -> bool {
        let Some(offset) = self.brokers.get(&id).and_then(|contact| contact.shutdown_offset) else { return true };
        self.brokers.iter().all(|(other, c)| *other == id || c.fenced || c.metadata_offset >= offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn silence_ends_a_session_and_a_heartbeat_extends_it() {
        let mut heartbeats = Heartbeats::new(9000);
        heartbeats.touch(NodeId(1), 5, false, Offset(5), at(0));
        heartbeats.touch(NodeId(2), 6, false, Offset(5), at(1));
        assert_eq!(heartbeats.next_expiry(), Some(at(9)));
        heartbeats.touch(NodeId(1), 5, false, Offset(5), at(4));
        assert_eq!(heartbeats.expired(at(10)), [NodeId(2)]);
        assert_eq!(heartbeats.expired(at(14)), [NodeId(2), NodeId(1)]);
    }

    #[test]
    fn a_broker_only_presumed_alive_blocks_nobody_but_is_fenced_in_time() {
        let mut heartbeats = Heartbeats::new(9000);
        heartbeats.expect(NodeId(1), 5, false, at(0));
        assert!(!heartbeats.has_valid_session(NodeId(1), 5, at(1)));
        assert_eq!(heartbeats.expired(at(9)), [NodeId(1)]);
        heartbeats.touch(NodeId(1), 5, false, Offset(5), at(2));
        assert!(heartbeats.has_valid_session(NodeId(1), 5, at(3)));
        assert!(!heartbeats.has_valid_session(NodeId(1), 4, at(3)));
    }

    #[test]
    fn a_broker_may_stop_when_the_others_know_that_it_leads_nothing() {
        let mut heartbeats = Heartbeats::new(9000);
        heartbeats.touch(NodeId(1), 5, false, Offset(20), at(0));
        heartbeats.touch(NodeId(2), 6, false, Offset(20), at(0));
        heartbeats.set_shutdown_offset(NodeId(1), Offset(30));
        assert!(!heartbeats.may_shut_down(NodeId(1)));
        heartbeats.touch(NodeId(2), 6, false, Offset(30), at(1));
        assert!(heartbeats.may_shut_down(NodeId(1)));
    }
}
