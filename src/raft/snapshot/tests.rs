use super::*;
use crate::raft::{Voter, VoterEndpoint};
use odradek_protocol::primitives::Str;
use odradek_protocol::records::metadata::FeatureLevelRecord;
use odradek_shards::types::NodeId;
use uuid::Uuid;

/// What `kafka-storage format --standalone` of Kafka 4.3.1 wrote.
const KAFKA_QUORUM: &str = include_str!("kafka/quorum.hex");
const KAFKA_BOOTSTRAP: &str = include_str!("kafka/bootstrap.hex");

fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> = hex.bytes().filter_map(|digit| char::from(digit).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The timestamp of its `n`th batch.
fn stamp(file: &Bytes, n: usize) -> Timestamp {
    batches_of(file)[n].header.max_timestamp
}

fn batches_of(file: &Bytes) -> Vec<odradek_shards::record::Batch> {
    odradek_shards::record::batches(file).map(Result::unwrap).collect()
}

#[test]
fn kafkas_quorum_snapshot_is_read_and_written_back_byte_for_byte() {
    let file = bytes(KAFKA_QUORUM);
    let snapshot = Snapshot::parse(SnapshotId::BOOTSTRAP, &file).unwrap();
    assert_eq!(snapshot.kraft_version, Some(1));
    let directory = Uuid::from_u128(0x0803_b261_e3af_40ba_a82f_ac3b_35c2_4860);
    let endpoint =
        VoterEndpoint { listener: Str::from_static("CONTROLLER"), host: Str::from_static("127.0.0.1"), port: 29593 };
    let voters = VoterSet::standalone(Voter { id: NodeId(1), directory }, vec![endpoint]);
    assert_eq!(snapshot.voters, Some(voters.clone()));
    assert_eq!(snapshot.provenance(), Provenance::default());
    // Kafka reads the clock once for the value and once for each batch.
    let contained = snapshot.last_contained_timestamp.unwrap();
    let quorum = [
        (ControlRecordType::KRaftVersion, kraft_version_record(1)),
        (ControlRecordType::KRaftVoters, voters.to_record()),
    ];
    let ours = write(&quorum, &[], contained, stamp(&file, 0));
    assert_eq!(batches_of(&ours)[0], batches_of(&file)[0]);
}

#[test]
fn kafkas_bootstrap_snapshot_is_read_and_written_back_byte_for_byte() {
    let file = bytes(KAFKA_BOOTSTRAP);
    let snapshot = Snapshot::parse(SnapshotId::BOOTSTRAP, &file).unwrap();
    let feature = |(name, feature_level): (&'static str, i16)| {
        MetadataRecord::from(FeatureLevelRecord { name: Str::from_static(name), feature_level })
    };
    let records: Vec<_> = crate::metadata::features::BOOTSTRAP.into_iter().map(feature).collect();
    assert_eq!(snapshot.records, records);
    let ours = bootstrap_snapshot(&records, stamp(&file, 1));
    assert_eq!(batches_of(&ours)[1], batches_of(&file)[1]);
}

#[test]
fn a_snapshot_cut_short_is_refused() {
    let file = bytes(KAFKA_BOOTSTRAP);
    let whole = batches_of(&file);
    let without_footer = file.slice(..whole[0].header.size() + whole[1].header.size());
    assert!(matches!(Snapshot::parse(SnapshotId::BOOTSTRAP, &without_footer), Err(SnapshotError::Incomplete)));
    assert!(Snapshot::parse(SnapshotId::BOOTSTRAP, &file.slice(..file.len() - 1)).is_err());
    assert!(matches!(Snapshot::parse(SnapshotId::BOOTSTRAP, &Bytes::new()), Err(SnapshotError::Incomplete)));
}

#[test]
fn only_finished_snapshots_have_the_name_of_one() {
    let id = SnapshotId { end: Offset(7), epoch: LeaderEpoch(2) };
    assert_eq!(id.file_name(), "00000000000000000007-0000000002.checkpoint");
    assert_eq!(SnapshotId::parse(&id.file_name()), Some(id));
    for other in ["00000000000000000007-0000000002.checkpoint.part", "7-2.checkpoint", "00000000000000000000.log"] {
        assert_eq!(SnapshotId::parse(other), None);
    }
}
