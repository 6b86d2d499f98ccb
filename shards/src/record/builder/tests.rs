use super::*;
use crate::record::{Batch, Compression, Header, Origin, Record, Rules, batches, validate};
use bytes::Bytes;
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Sample {
    age_ms: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    // Half of it compresses well, half does not.
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..max),
        (any::<u8>(), 0..max).prop_map(|(byte, len)| vec![byte; len])
    ]
}

fn sample() -> impl Strategy<Value = Sample> {
    let headers = prop::collection::vec((bytes(9), prop::option::of(bytes(40))), 0..4);
    (0..1_000_000i64, prop::option::of(bytes(70)), prop::option::of(bytes(3_000)), headers)
        .prop_map(|(age_ms, key, value, headers)| Sample { age_ms, key, value, headers })
}

fn built(samples: &[Sample], codec: Codec, producer: i64) -> ValidBatch {
    let mut builder = BatchBuilder::new().codec(codec, None);
    if producer >= 0 {
        builder = builder.producer(ProducerId(producer), ProducerEpoch(3), Sequence(i32::MAX - 1));
    }
    let mut size_max = HEADER_LEN;
    for sample in samples {
        let headers: Vec<_> = sample.headers.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
        let (key, value) = (sample.key.as_deref(), sample.value.as_deref());
        let record = NewRecord { timestamp: Timestamp(NOW.0 - sample.age_ms), key, value, headers: &headers };
        size_max += BatchBuilder::size_of(&record);
        builder.append(&record);
    }
    assert!(builder.plain_size() <= size_max);
    builder.build()
}

fn expected(index: usize, sample: &Sample, producer: i64) -> Record {
    let header = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| Header {
        key: Bytes::copy_from_slice(key),
        value: value.clone().map(Bytes::from),
    };
    let sequence = if producer >= 0 { Sequence(i32::MAX - 1).plus_wrapping(index as i32) } else { Sequence(-1) };
    Record {
        offset: Offset(index as i64),
        timestamp: Timestamp(NOW.0 - sample.age_ms),
        sequence,
        key: sample.key.clone().map(Bytes::from),
        value: sample.value.clone().map(Bytes::from),
        headers: sample.headers.iter().map(header).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_built_is_valid_and_reads_back_the_same_in_every_codec(
        samples in prop::collection::vec(sample(), 1..40),
        codec in prop::sample::select(Codec::ALL.to_vec()),
        producer in -1..3i64,
    ) {
        let made = built(&samples, codec, producer);
        let valid = validate(made.bytes.clone(), &Rules::default(), NOW).expect("a built batch is valid");
        prop_assert_eq!(&valid, &made);
        let records: Vec<Record> = Batch::from(valid).records(1 << 20).collect::<Result<_, _>>().unwrap();
        let wanted: Vec<Record> = samples.iter().enumerate().map(|(i, s)| expected(i, s, producer)).collect();
        prop_assert_eq!(records, wanted);
    }

    #[test]
    fn a_flipped_bit_never_passes_for_the_same_batch(
        samples in prop::collection::vec(sample(), 1..5),
        codec in prop::sample::select(Codec::ALL.to_vec()),
        at in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        let made = built(&samples, codec, -1);
        let mut bytes = made.bytes.to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        // The leader writes these itself; their bits are outside the checksum.
        let leaders_own = (field::LEADER_EPOCH..field::MAGIC).contains(&at);
        prop_assert_eq!(validate(bytes.into(), &Rules::default(), NOW).is_ok(), leaders_own);
    }

    #[test]
    fn a_sealed_batch_of_noise_neither_panics_nor_grows(
        mut samples in prop::collection::vec(sample(), 1..5),
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        codec in prop::sample::select(Codec::ALL.to_vec()),
        compacted in any::<bool>(),
    ) {
        samples.truncate(4);
        let mut bytes = built(&samples, codec, -1).bytes.to_vec();
        for (at, byte) in noise {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let crc = crc::compute(&bytes);
        bytes[field::CRC..field::CRC + 4].copy_from_slice(&crc.to_be_bytes());
        let bytes = Bytes::from(bytes);
        let rules = Rules { compacted, inflated_bytes_max: 1 << 20, ..Rules::default() };
        let _ = validate(bytes.clone(), &rules, NOW);
        for batch in batches(&bytes).flatten() {
            let _ = batch.records(1 << 20).count();
        }
    }

    #[test]
    fn noise_is_never_a_batch_worth_a_panic(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(noise);
        let _ = validate(bytes.clone(), &Rules { origin: Origin::Coordinator, compression: Compression::Producer, ..Rules::default() }, NOW);
        let _ = batches(&bytes).count();
    }
}
