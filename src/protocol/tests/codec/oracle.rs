//! The kafka-protocol crate as a second opinion, for every message and version that it knows too.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{self as theirs, ApiKey, RequestKind, ResponseKind};
use kafka_protocol::protocol::{Decodable, Encodable, Message};
use odradek_protocol::codec::EncodeError;

use crate::model::Message as Table;
use crate::{catalogue, sample, tables};

const SEEDS: u64 = 200;

/// Versions the crate lists and then has no code for.
const UNKNOWN_TO_THEM: [(&str, i16); 6] = [
    ("InitProducerIdRequest", 6),
    ("LeaderChangeMessage", 0),
    ("LeaderChangeMessage", 1),
    ("OffsetCommitRequest", 10),
    ("OffsetFetchRequest", 10),
    ("VotersRecord", 0),
];

#[test]
fn requests_and_responses_are_those_of_another_codec() {
    let mut compared = 0;
    let mut disagreements = Vec::new();
    for table in tables::all() {
        let Some(key) = api_key(&table) else { continue };
        let known = key.valid_versions();
        for version in table.valid.iter().filter(|v| (known.min..=known.max).contains(v)) {
            disagreements.extend(compare(&table, version, |bytes| recode(&table.kind, key, bytes, version)));
            compared += 1;
        }
    }
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
    assert!(compared > 400, "only {compared} versions were compared");
}

#[test]
fn what_a_version_cannot_carry_is_what_another_codec_says() {
    let mut disagreements = Vec::new();
    for table in tables::all() {
        let Some(key) = api_key(&table) else { continue };
        let known = |v: &i16| (key.valid_versions().min..=key.valid_versions().max).contains(v) && is_known(&table, *v);
        for (from, to) in table.valid.iter().filter(known).zip(table.valid.iter().filter(known).skip(1)) {
            for (from, to) in [(from, to), (to, from)] {
                disagreements.extend(compare_versions(&table, key, from, to));
            }
        }
    }
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}

#[test]
fn headers_and_records_for_clients_are_those_of_another_codec() {
    let mut disagreements = Vec::new();
    macro_rules! compare_with {
        ($($message:ident)*) => {$(
            let table = tables::of(stringify!($message));
            let known = theirs::$message::VERSIONS;
            for version in table.valid.iter().filter(|v| (known.min..=known.max).contains(v)) {
                disagreements.extend(compare(&table, version, |bytes| recode_as::<theirs::$message>(bytes, version)));
            }
        )*};
    }
    compare_with! {
        RequestHeader ResponseHeader ConsumerProtocolAssignment ConsumerProtocolSubscription DefaultPrincipalData
        EndTxnMarker KRaftVersionRecord LeaderChangeMessage SnapshotFooterRecord SnapshotHeaderRecord VotersRecord
    }
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}

/// Random values must survive both codecs unchanged, byte for byte. Tells of the first that does not.
fn compare(table: &Table, version: i16, theirs: impl Fn(Bytes) -> anyhow::Result<Bytes>) -> Option<String> {
    if !is_known(table, version) {
        return None;
    }
    let ours = catalogue::of(&table.name);
    let disagrees = |seed: &u64| {
        let bytes = Bytes::from(sample::random(table, version, *seed));
        let (recoded, _) = (ours.recode)(bytes.clone(), version).unwrap();
        let second = theirs(bytes);
        (!second.as_ref().is_ok_and(|second| *second == recoded)).then_some((recoded, second))
    };
    let (seed, (ours, theirs)) = (0..SEEDS).find_map(|seed| disagrees(&seed).map(|found| (seed, found)))?;
    Some(format!("{} v{version} seed {seed}:\n    {ours:?}\n    {theirs:?}", table.name))
}

/// A value of one version must fit another or not, and give the same bytes if it does. Tells of the first disagreement.
/// Apache Kafka refuses nulls and tagged fields that a version lacks, as we do; the crate sends an empty value or drops them.
fn compare_versions(table: &Table, key: ApiKey, from: i16, to: i16) -> Option<String> {
    let ours = catalogue::of(&table.name);
    (0..SEEDS).find_map(|seed| {
        let bytes = Bytes::from(sample::random(table, from, seed));
        let first = (ours.transcode)(bytes.clone(), from, to);
        let second = transcode(&table.kind, key, bytes, from, to);
        let agree = match (&first, &second) {
            (Ok(first), Ok(second)) => first == second,
            (Err(EncodeError::UnsupportedNull { .. }), _) => true,
            (Err(EncodeError::UnsupportedField { field, .. }), Ok(_)) => is_tagged(table, field),
            (first, second) => first.is_err() && second.is_err(),
        };
        (!agree).then(|| format!("{} v{from} to v{to} seed {seed}:\n    {first:?}\n    {second:?}", table.name))
    })
}

fn is_tagged(table: &Table, field: &str) -> bool {
    let (name, field) = field.split_once('.').unwrap();
    table.find(name).tagged().iter().any(|tagged| tagged.name == field)
}

fn is_known(table: &Table, version: i16) -> bool {
    !UNKNOWN_TO_THEM.contains(&(&table.name, version))
}

fn recode(kind: &str, key: ApiKey, bytes: Bytes, version: i16) -> anyhow::Result<Bytes> {
    transcode(kind, key, bytes, version, version)
}

fn transcode(kind: &str, key: ApiKey, mut bytes: Bytes, from: i16, to: i16) -> anyhow::Result<Bytes> {
    let mut out = BytesMut::new();
    match kind {
        "request" => RequestKind::decode(key, &mut bytes, from)?.encode(&mut out, to)?,
        _ => ResponseKind::decode(key, &mut bytes, from)?.encode(&mut out, to)?,
    }
    anyhow::ensure!(bytes.is_empty(), "{} bytes left", bytes.len());
    Ok(out.freeze())
}

fn recode_as<M: Decodable + Encodable>(mut bytes: Bytes, version: i16) -> anyhow::Result<Bytes> {
    let mut out = BytesMut::new();
    M::decode(&mut bytes, version)?.encode(&mut out, version)?;
    anyhow::ensure!(bytes.is_empty(), "{} bytes left", bytes.len());
    Ok(out.freeze())
}

fn api_key(table: &Table) -> Option<ApiKey> {
    let is_rpc = matches!(table.kind.as_str(), "request" | "response");
    table.api_key.filter(|_| is_rpc).and_then(|key| ApiKey::try_from(key).ok())
}
