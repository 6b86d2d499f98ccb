//! Connections that send nothing but heartbeats: they doze, and miss nothing.

use crate::harness::Broker;
use crate::member::find_coordinator;
use crate::wire::Wire;
use odradek_protocol::messages as m;
use odradek_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use std::thread;
use std::time::Duration;

/// Between heartbeats of one who is in no hurry.
const PAUSE: Duration = Duration::from_millis(10);

fn broker(overrides: &[&str]) -> Broker {
    let overrides = [&["group.initial.rebalance.delay.ms=0"], overrides].concat();
    let broker = Broker::start_with(&overrides);
    find_coordinator(&mut broker.connect());
    broker
}

/// The only member of a group, on a connection of its own.
struct Member {
    wire: Wire,
    heartbeat: m::HeartbeatRequest,
}

impl Member {
    fn join(broker: &Broker, group: &str) -> Self {
        let mut wire = broker.connect();
        let protocol = JoinGroupRequestProtocol { name: "range".into(), ..Default::default() };
        let join = m::JoinGroupRequest {
            group_id: group.into(),
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 30_000,
            protocol_type: "consumer".into(),
            protocols: vec![protocol],
            ..Default::default()
        };
        let m::JoinGroupResponse { generation_id, member_id, .. } = wire.call(3, &join);
        let sync = m::SyncGroupRequest {
            group_id: group.into(),
            generation_id,
            member_id: member_id.clone(),
            ..Default::default()
        };
        assert_eq!(wire.call(2, &sync).error_code, 0);
        let heartbeat = m::HeartbeatRequest { group_id: group.into(), generation_id, member_id, ..Default::default() };
        Self { wire, heartbeat }
    }

    fn beat(&mut self) {
        assert_eq!(self.wire.call(4, &self.heartbeat).error_code, 0);
    }
}

/// Members of these groups, that beat until their connections doze.
fn drowsy(broker: &Broker, groups: &[&str]) -> Vec<Member> {
    let mut members: Vec<Member> = groups.iter().map(|group| Member::join(broker, group)).collect();
    while broker.dozing() != members.len() {
        members.iter_mut().for_each(Member::beat);
        thread::sleep(PAUSE);
    }
    members
}

fn five(broker: &Broker) -> Vec<Member> {
    drowsy(broker, &["a", "b", "c", "d", "e"])
}

/// The broker falls asleep a moment after its answer.
fn until_dozing(broker: &Broker, count: usize) {
    while broker.dozing() != count {
        thread::sleep(PAUSE);
    }
}

#[test]
fn a_drowsy_connection_is_answered_and_wakes_at_another_request() {
    let broker = broker(&[]);
    let mut members = five(&broker);
    for _ in 0..3 {
        members.iter_mut().for_each(Member::beat);
    }
    assert_eq!(broker.dozing(), 5);
    members[0].wire.call(12, &m::MetadataRequest::default());
    until_dozing(&broker, 4);
    members[0].wire.call(12, &m::MetadataRequest::default());
    members.iter_mut().for_each(Member::beat);
}

#[test]
fn a_drowsy_connection_that_its_peer_closes_is_let_go() {
    let broker = broker(&[]);
    let members = five(&broker);
    drop(members);
    until_dozing(&broker, 0);
}

#[test]
fn a_drowsy_connection_is_closed_when_it_idles() {
    let broker = broker(&["connections.max.idle.ms=2000"]);
    let mut member = drowsy(&broker, &["a"]).remove(0);
    assert!(member.wire.is_closed());
    until_dozing(&broker, 0);
}

#[test]
fn a_broker_with_drowsy_connections_stops() {
    let mut broker = broker(&[]);
    let mut members = five(&broker);
    broker.stop();
    assert!(members.iter_mut().all(|member| member.wire.is_closed()));
}
