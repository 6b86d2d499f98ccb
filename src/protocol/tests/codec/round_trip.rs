//! Every message in every version, against bytes made from the field tables.

use bytes::Bytes;
use odradek_protocol::records::metadata::MetadataRecord;

use crate::sample::{self, Fill, Sampler};
use crate::{catalogue, tables};

const SEEDS: u64 = 40;

#[test]
fn the_catalogue_holds_all_tables() {
    let mut names: Vec<String> = catalogue::all().iter().map(|codec| codec.name.to_owned()).collect();
    let mut tables: Vec<String> = tables::all().into_iter().map(|table| table.name).collect();
    names.sort();
    tables.sort();
    assert_eq!((names.len(), names), (280, tables));
}

#[test]
fn bytes_made_from_the_tables_come_back_the_same() {
    for table in tables::all() {
        let codec = catalogue::of(&table.name);
        for version in table.valid.iter() {
            for seed in 0..SEEDS {
                let bytes = Bytes::from(sample::random(&table, version, seed));
                let (again, size) = (codec.recode)(bytes.clone(), version)
                    .unwrap_or_else(|e| panic!("{} v{version} seed {seed}: {e}", table.name));
                assert_eq!(again, bytes, "{} v{version} seed {seed}", table.name);
                assert_eq!(size, bytes.len(), "{} v{version} seed {seed}", table.name);
            }
        }
    }
}

#[test]
fn defaults_are_those_of_the_tables() {
    for table in tables::all() {
        let codec = catalogue::of(&table.name);
        for version in table.valid.iter() {
            let expected = Sampler::new(Fill::Defaults, 0).message(&table, version);
            assert_eq!((codec.default)(version), expected, "{} v{version}", table.name);
        }
    }
}

#[test]
fn versions_a_message_lacks_are_refused() {
    for codec in catalogue::all() {
        for version in [i16::MIN, codec.versions.start() - 1, codec.versions.end() + 1, i16::MAX] {
            assert!((codec.decode)(Bytes::from_static(&[0; 64]), version).is_err(), "{} v{version}", codec.name);
        }
    }
}

#[test]
fn metadata_records_come_back_from_their_frames() {
    for table in
        tables::all().iter().filter(|table| table.kind == "metadata" && catalogue::of(&table.name).kind == "metadata")
    {
        for version in table.valid.iter() {
            let mut value = vec![1];
            sample::uvarint(table.api_key.unwrap() as u32, &mut value);
            sample::uvarint(version as u32, &mut value);
            value.extend(sample::random(table, version, 1));
            let record = MetadataRecord::decode_value(value.clone().into()).unwrap();
            assert_eq!(
                (record.api_key(), record.versions()),
                (table.api_key.unwrap(), table.valid.first..=table.valid.last)
            );
            assert_eq!(record.encode_value(version).unwrap(), value, "{} v{version}", table.name);
        }
    }
}
