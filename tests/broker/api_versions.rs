//! The first question of every client.

use crate::harness::Broker;
use crate::wire::{Wire, decode};
use odradek_protocol::error::ErrorCode;
use odradek_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

fn ask(wire: &mut Wire, version: i16) -> ApiVersionsResponse {
    let request = ApiVersionsRequest { client_software_name: "test".into(), client_software_version: "1.0".into() };
    wire.call(version, &request)
}

#[test]
fn versions_that_codecs_of_clients_depend_on_are_told() {
    let broker = Broker::start();
    let told = ask(&mut broker.connect(), 3);
    let range = |key| {
        let api = told.api_keys.iter().find(|api| api.api_key == key).expect("an API every client needs");
        (api.min_version, api.max_version)
    };
    assert_eq!((range(0), range(1), range(18)), ((0, 13), (4, 18), (0, 4)));
    assert!(told.api_keys.iter().all(|api| !(4..=7).contains(&api.api_key)), "these have no version left");
}

#[test]
fn features_that_start_at_zero_are_told_from_version_four_on() {
    let broker = Broker::start();
    let mut wire = broker.connect();
    assert!(ask(&mut wire, 3).supported_features.iter().all(|feature| feature.min_version > 0));
    assert!(ask(&mut wire, 4).supported_features.iter().any(|feature| feature.min_version == 0));
    assert!(ask(&mut wire, 4).finalized_features.iter().any(|feature| &*feature.name == "metadata.version"));
}

#[test]
fn a_version_from_the_future_is_answered_in_version_zero() {
    let broker = Broker::start();
    let mut wire = broker.connect();
    wire.send_bytes(b"\0\0\0\x0f\0\x12\0\x63\0\0\0\x07\0\x02me\0\0\0");
    let frame = wire.receive_frame().expect("an answer, not a closed connection");
    let (correlation, response) = decode::<ApiVersionsRequest>(frame, 0);
    assert_eq!((correlation, response.error_code), (7, ErrorCode::UnsupportedVersion.code()));
    let told: Vec<_> = response.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
    assert_eq!(told, [(18, 0, 4)]);
    assert_eq!(ask(&mut wire, 4).error_code, 0);
}

#[test]
fn a_software_name_of_strange_letters_is_refused() {
    let broker = Broker::start();
    let request = ApiVersionsRequest { client_software_name: "-x-".into(), client_software_version: "1".into() };
    assert_eq!(broker.connect().call(3, &request).error_code, ErrorCode::InvalidRequest.code());
}
