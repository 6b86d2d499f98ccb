//! Connections that send nothing but heartbeats: they doze, and miss nothing.

use crate::harness::Broker;
use crate::member::find_coordinator;
use crate::wire::Wire;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages as m;
use std::thread;
use std::time::Duration;

/// Between heartbeats of one who is in no hurry.
const PAUSE: Duration = Duration::from_millis(10);

fn broker(overrides: &[&str]) -> Broker {
    let broker = Broker::start_with(overrides);
    find_coordinator(&mut broker.connect());
    broker
}

/// Of nobody: a heartbeat all the same.
fn beat(wire: &mut Wire) {
    let request = m::HeartbeatRequest { group_id: "g".into(), member_id: "nobody".into(), ..Default::default() };
    assert_eq!(ErrorCode::from_code(wire.call(4, &request).error_code), ErrorCode::UnknownMemberId);
}

fn drowsy(broker: &Broker) -> Wire {
    let mut wire = broker.connect();
    for _ in 0..3 {
        thread::sleep(PAUSE);
        beat(&mut wire);
    }
    wire
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
    let mut wires: Vec<Wire> = (0..5).map(|_| drowsy(&broker)).collect();
    until_dozing(&broker, 5);
    for _ in 0..3 {
        wires.iter_mut().for_each(beat);
    }
    assert_eq!(broker.dozing(), 5);
    wires[0].call(12, &m::MetadataRequest::default());
    until_dozing(&broker, 4);
    wires[0].call(12, &m::MetadataRequest::default());
    wires.iter_mut().for_each(beat);
}

#[test]
fn a_drowsy_connection_that_its_peer_closes_is_let_go() {
    let broker = broker(&[]);
    let wires: Vec<Wire> = (0..5).map(|_| drowsy(&broker)).collect();
    until_dozing(&broker, 5);
    drop(wires);
    until_dozing(&broker, 0);
}

#[test]
fn a_drowsy_connection_is_closed_when_it_idles() {
    let broker = broker(&["connections.max.idle.ms=2000"]);
    let mut wire = drowsy(&broker);
    assert!(wire.is_closed());
    until_dozing(&broker, 0);
}

#[test]
fn a_broker_with_drowsy_connections_stops() {
    let mut broker = broker(&[]);
    let mut wires: Vec<Wire> = (0..5).map(|_| drowsy(&broker)).collect();
    until_dozing(&broker, 5);
    broker.stop();
    assert!(wires.iter_mut().all(Wire::is_closed));
}
