//! What encoding refuses, what it leaves out, and what decoding passes over.

use bytes::Bytes;
use odradek_protocol::codec::{EncodeError, Message, Reader, Writer};
use odradek_protocol::messages::offset_fetch_request::OffsetFetchRequest;
use odradek_protocol::messages::{
    ApiVersionsResponse, CreateTopicsRequest, DescribeClusterRequest, FetchRequest, FetchResponse, HeartbeatRequest,
    MetadataRequest,
};
use odradek_protocol::primitives::Str;

fn encode(message: &impl Message, version: i16) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    message.encode(&mut w, version).map(|()| w.into_bytes())
}

#[test]
fn a_field_that_the_version_lacks_is_refused_when_it_is_set() {
    let mut request = FetchRequest { replica_id: 3, ..Default::default() };
    assert!(encode(&request, 14).is_ok());
    let refused = EncodeError::UnsupportedField { field: "FetchRequest.ReplicaId", version: 15 };
    assert_eq!(encode(&request, 15), Err(refused));
    assert_eq!(request.size(15), Err(refused));
    request.replica_id = -1;
    assert!(encode(&request, 15).is_ok());
}

#[test]
fn an_ignorable_field_that_the_version_lacks_is_left_out() {
    let response = FetchResponse { error_code: 5, throttle_time_ms: 1, ..Default::default() };
    assert_eq!(encode(&response, 4).unwrap(), &b"\0\0\0\x01\0\0\0\0"[..]);
    let heartbeat = HeartbeatRequest { group_instance_id: Some("i".into()), ..Default::default() };
    assert!(encode(&heartbeat, 2).is_err(), "this one is not ignorable");
}

#[test]
fn a_null_is_refused_where_the_version_has_no_place_for_it() {
    let request = MetadataRequest { topics: None, ..Default::default() };
    assert_eq!(encode(&request, 0), Err(EncodeError::UnsupportedNull { field: "MetadataRequest.Topics", version: 0 }));
    assert_eq!(encode(&request, 1).unwrap(), &b"\xff\xff\xff\xff"[..]);
    let request = OffsetFetchRequest { topics: None, ..Default::default() };
    assert!(encode(&request, 1).is_err() && encode(&request, 2).is_ok());
    assert!(encode(&request, 8).is_err(), "null is not the default, and version 8 lacks the field");
}

#[test]
fn a_version_that_is_not_there_is_refused() {
    let refused = EncodeError::UnsupportedVersion { message: "CreateTopicsRequest", version: 1 };
    assert_eq!(encode(&CreateTopicsRequest::default(), 1), Err(refused));
}

#[test]
fn strings_end_at_32767_bytes() {
    let named = |length: usize| HeartbeatRequest { group_id: "x".repeat(length).into(), ..Default::default() };
    for version in [0, 4] {
        assert!(encode(&named(32_767), version).is_ok());
        assert_eq!(encode(&named(32_768), version), Err(EncodeError::TooLong(32_768)));
    }
    let mut body = Vec::new();
    crate::sample::uvarint(32_769, &mut body);
    body.resize(body.len() + 32_768, b'x');
    assert!(Reader::new(body.into()).string(true).is_err());
}

#[test]
fn unknown_tagged_fields_are_passed_over() {
    let body = Bytes::from_static(b"\x01\x02\x05\x01\xaa\x63\x00");
    let mut r = Reader::new(body);
    assert_eq!(DescribeClusterRequest::decode(&mut r, 0).map(|m| m.include_cluster_authorized_operations), Ok(true));
    r.finish().unwrap();
}

#[test]
fn strings_and_bytes_are_slices_of_the_frame() {
    let request = HeartbeatRequest { group_id: "group".into(), ..Default::default() };
    let frame = encode(&request, 4).unwrap();
    let within = frame.as_ptr() as usize..frame.as_ptr() as usize + frame.len();
    let decoded = HeartbeatRequest::decode(&mut Reader::new(frame.clone()), 4).unwrap();
    assert!(within.contains(&(decoded.group_id.as_bytes().as_ptr() as usize)));
    let detached: Str = decoded.group_id.detached();
    assert!(!within.contains(&(detached.as_bytes().as_ptr() as usize)));
}

#[test]
fn a_default_in_a_tagged_field_is_not_sent() {
    let quiet = ApiVersionsResponse::default();
    let loud = ApiVersionsResponse { finalized_features_epoch: 0, ..Default::default() };
    assert_eq!(encode(&quiet, 3).unwrap(), &b"\0\0\x01\0\0\0\0\0"[..]);
    assert_eq!(encode(&loud, 3).unwrap(), &b"\0\0\x01\0\0\0\0\x01\x01\x08\0\0\0\0\0\0\0\0"[..]);
}
