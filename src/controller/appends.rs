//! Cutting a decision's records into batches: one if they fit, else a metadata transaction around several (KIP-868).

use crate::metadata::features::FeaturesImage;
use crate::metadata::replay::record_version;
use crate::raft::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX};
use bytes::Bytes;
use odradek_protocol::primitives::Str;
use odradek_protocol::records::metadata::{
    BeginTransactionRecord, EndTransactionRecord, FeatureLevelRecord, MetadataRecord,
};

/// Bytes of values in a batch; what surrounds each in it comes on top.
const VALUES_BYTES_MAX: usize = BATCH_BYTES_MAX / 2;

/// Each record's value, at the newest version the cluster can read. A level set on the way holds for what follows.
pub(super) fn encoded(records: &[MetadataRecord], features: &FeaturesImage) -> Vec<Bytes> {
    let mut features = features.clone();
    let encode = |record: &MetadataRecord| {
        if let MetadataRecord::FeatureLevel(level) = record {
            raise(&mut features, level);
        }
        let version = record_version(record, &features);
        record.encode_value(version).expect("decisions hold only what their cluster's records carry")
    };
    records.iter().map(encode).collect()
}

fn raise(features: &mut FeaturesImage, record: &FeatureLevelRecord) {
    // A level that cannot be replayed is refused when it is.
    let _ = features.replay(record);
}

/// Values that are one batch each. Atomic ones that need several are surrounded by the marks of a transaction.
pub(super) fn chunks(values: Vec<Bytes>, is_atomic: bool) -> Vec<Vec<Bytes>> {
    let mut chunks: Vec<Vec<Bytes>> = Vec::new();
    let mut bytes = 0;
    for value in values {
        bytes += value.len();
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < BATCH_RECORDS_MAX && bytes <= VALUES_BYTES_MAX => chunk.push(value),
            _ => {
                bytes = value.len();
                chunks.push(vec![value]);
            }
        }
    }
    if is_atomic && chunks.len() > 1 {
        let name = Some(Str::from_static("Large operation"));
        chunks.insert(0, vec![mark(BeginTransactionRecord { name }.into())]);
        chunks.push(vec![mark(EndTransactionRecord {}.into())]);
    }
    chunks
}

fn mark(record: MetadataRecord) -> Bytes {
    record.encode_value(0).expect("marks have one version")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize, len: usize) -> Vec<Bytes> {
        vec![Bytes::from(vec![0; len]); count]
    }

    fn sizes(values: Vec<Bytes>, is_atomic: bool) -> Vec<usize> {
        chunks(values, is_atomic).iter().map(Vec::len).collect()
    }

    #[test]
    fn what_fits_is_one_batch() {
        assert!(sizes(values(0, 1), true).is_empty());
        assert_eq!(sizes(values(BATCH_RECORDS_MAX, 10), true), [BATCH_RECORDS_MAX]);
    }

    #[test]
    fn what_does_not_fit_is_a_transaction_if_it_must_be_whole() {
        assert_eq!(sizes(values(BATCH_RECORDS_MAX + 1, 10), false), [BATCH_RECORDS_MAX, 1]);
        assert_eq!(sizes(values(BATCH_RECORDS_MAX + 1, 10), true), [1, BATCH_RECORDS_MAX, 1, 1]);
        assert_eq!(sizes(values(3, VALUES_BYTES_MAX / 2), true), [1, 2, 1, 1]);
    }
}
