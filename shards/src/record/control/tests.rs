use super::*;
use crate::record::{Batch, BatchBuilder};

fn only_record(batch: ValidBatch) -> Record {
    Batch::from(batch).records(1 << 10).next().unwrap().unwrap()
}

#[test]
fn a_marker_reads_back_and_is_a_transactional_control_batch() {
    let marker = EndTransactionMarker { committed: true, coordinator_epoch: 9 };
    let batch = marker.batch(ProducerId(7), ProducerEpoch(2), Timestamp(3));
    assert!(batch.header.attributes.is_control() && batch.header.attributes.is_transactional());
    assert_eq!(batch.header.base_sequence, Sequence(-1));
    let record = ControlRecord::parse(&only_record(batch)).unwrap();
    assert_eq!(record.marker(), Ok(Some(marker)));
}

#[test]
fn a_kraft_record_is_no_marker() {
    let mut builder = BatchBuilder::new().control();
    builder.append_control(Timestamp(1), ControlRecordType::LeaderChange, b"body");
    let record = ControlRecord::parse(&only_record(builder.build())).unwrap();
    assert_eq!((record.kind, &record.value[..]), (ControlRecordType::LeaderChange, &b"body"[..]));
    assert_eq!(record.marker(), Ok(None));
}

#[test]
fn kinds_keep_their_numbers() {
    for code in -1..9 {
        assert_eq!(ControlRecordType::from_code(code).code(), code);
    }
}

#[test]
fn short_keys_and_values_are_corrupt() {
    let mut record = only_record(EndTransactionMarker { committed: false, coordinator_epoch: 1 }.batch(
        ProducerId(1),
        ProducerEpoch(1),
        Timestamp(1),
    ));
    record.value = Some(Bytes::from_static(&[0, 0, 0]));
    assert_eq!(ControlRecord::parse(&record).unwrap().marker(), Err(Corruption::Control));
    record.key = Some(Bytes::from_static(&[0, 0]));
    assert_eq!(ControlRecord::parse(&record), Err(Corruption::Control));
}
