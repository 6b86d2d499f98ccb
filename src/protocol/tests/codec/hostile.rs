//! Frames that want to hurt: nothing may panic, and decoding may allocate four times the frame and 64 KiB at most.

use bytes::Bytes;
use odradek_protocol::codec::{ARRAY_ELEMENTS_MAX, DecodeError, Reader, TAGS_MAX};
use odradek_protocol::header::decode_request_header;

use crate::allocator;
use crate::catalogue::{self, Codec};
use crate::model::Message as Table;
use crate::sample::{self, Fill, Random, Sampler, uvarint};
use crate::tables;
use crate::trial::{Trial, try_codec};

/// Decodes within the bound.
fn decode(codec: &Codec, bytes: Vec<u8>, version: i16) -> Result<(), DecodeError> {
    let frame = Bytes::from(bytes);
    let allowed = 4 * frame.len() + 64 * 1024;
    let (result, spent) = allocator::count(|| (codec.decode)(frame, version));
    assert!(spent <= allowed, "{} v{version}: {spent} bytes allocated, {allowed} allowed: {result:?}", codec.name);
    result
}

/// Every message in every version.
fn for_each_version(mut test: impl FnMut(&Table, &Codec, i16)) {
    for table in tables::all() {
        let codec = catalogue::of(&table.name);
        table.valid.iter().for_each(|version| test(&table, &codec, version));
    }
}

#[test]
fn five_bytes_cannot_ask_for_gigabytes() {
    let result = decode(&catalogue::of("MetadataRequest"), vec![0x03, 0x3c, 0x0c, 0x00, 0xb6], 0);
    assert!(result.is_err());
}

#[test]
fn a_message_cut_short_anywhere_is_an_error() {
    for_each_version(|table, codec, version| {
        for seed in 0..4 {
            let bytes = sample::random(table, version, seed);
            for end in 0..bytes.len() {
                let result = decode(codec, bytes[..end].to_vec(), version);
                assert!(result.is_err(), "{} v{version} seed {seed} cut at {end}", codec.name);
            }
        }
    });
}

#[test]
fn bytes_after_a_message_are_an_error() {
    for_each_version(|table, codec, version| {
        let mut bytes = sample::random(table, version, 1);
        bytes.push(0);
        assert!(decode(codec, bytes, version).is_err(), "{} v{version}", codec.name);
    });
}

#[test]
fn a_length_that_lies_is_an_error_wherever_it_stands() {
    for_each_version(|table, codec, version| {
        for seed in 0..4 {
            let mut sampler = Sampler::new(Fill::Random, seed);
            sampler.message(table, version);
            for nth in 0..sampler.lengths {
                for lie in [70_000, ARRAY_ELEMENTS_MAX as u32, 0x00ff_ffff, 0x7fff_fffe, 0x7fff_ffff] {
                    let mut liar = Sampler::new(Fill::Random, seed);
                    liar.lie = Some((nth, lie));
                    // A default told with a lie is no longer a default, so tags may differ; the bound holds all the same.
                    let _ = decode(codec, liar.message(table, version), version);
                }
            }
        }
    });
}

#[test]
fn arrays_of_the_smallest_elements_stay_within_the_budget() {
    let mut spent = 0;
    for_each_version(|table, codec, version| {
        for (count, depth) in [(30_000, 1), (200, 2), (40, 3)] {
            let mut sampler = Sampler::new(Fill::Least, 0);
            sampler.width = Some((count, depth));
            let result = decode(codec, sampler.message(table, version), version);
            spent += usize::from(result == Err(DecodeError::BudgetSpent));
            assert!(matches!(result, Ok(()) | Err(DecodeError::BudgetSpent)), "{} v{version}: {result:?}", codec.name);
        }
    });
    assert!(spent > 0, "the budget was never the limit, so this proves nothing");
}

#[test]
fn a_count_beyond_the_bytes_that_follow_allocates_nothing() {
    let frame = Bytes::from_static(b"\x00\x00\x00\x03\x00\x00\x00\x01\x00\x00\x00");
    let (result, spent) = allocator::count(|| Reader::new(frame).array::<i32>(0, false));
    assert_eq!((result.is_err(), spent), (true, 0));
}

#[test]
fn many_tiny_record_sets_are_charged_too() {
    let partitions = 10_000;
    let mut body = b"\x00\xff\xff\x00\x00\x00\x00\x02\x01".to_vec();
    uvarint(partitions + 1, &mut body);
    (0..partitions).for_each(|_| body.extend(b"\x00\x00\x00\x00\x02r\x00"));
    body.extend(b"\x00\x00");
    assert_eq!(decode(&catalogue::of("ProduceRequest"), body, 9), Err(DecodeError::BudgetSpent));
}

#[test]
fn a_large_request_that_is_meant_honestly_fits_the_budget() {
    let codec = catalogue::of("MetadataRequest");
    let names: Vec<String> = (0..20_000).map(|i| format!("t-{i:05}")).collect();
    let mut body = Vec::new();
    uvarint(names.len() as u32 + 1, &mut body);
    for name in names {
        uvarint(name.len() as u32 + 1, &mut body);
        body.extend(name.bytes());
        body.push(0);
    }
    body.extend([1, 0, 0, 0]);
    assert_eq!(decode(&codec, body, 9), Ok(()));
}

#[test]
fn an_array_has_a_million_elements_at_most() {
    let body = |count: usize| [&(count as i32).to_be_bytes()[..], &vec![0; 4 * count]].concat();
    assert_eq!(Reader::new(body(ARRAY_ELEMENTS_MAX).into()).array::<i32>(0, false).unwrap().len(), ARRAY_ELEMENTS_MAX);
    assert!(Reader::new(body(ARRAY_ELEMENTS_MAX + 1).into()).array::<i32>(0, false).is_err());
}

#[test]
fn twenty_million_tags_in_a_header_are_refused_unread() {
    let frame = tagged(20_000_000);
    let (result, spent) = allocator::count(|| decode_request_header(&mut Reader::new(frame)));
    assert!(result.is_err());
    assert!(spent <= 64 * 1024);
}

#[test]
fn unknown_tags_are_passed_over_up_to_ten_thousand() {
    assert!(decode_request_header(&mut Reader::new(tagged(TAGS_MAX))).is_ok());
    assert!(decode_request_header(&mut Reader::new(tagged(TAGS_MAX + 1))).is_err());
}

#[test]
fn a_tagged_field_must_be_as_long_as_it_says() {
    let api_versions = catalogue::of("ApiVersionsResponse");
    let response = |field: &[u8]| decode(&api_versions, [b"\0\0\x01\0\0\0\0\x01", field].concat(), 3);
    assert_eq!(response(b"\x01\x08\0\0\0\0\0\0\0\x05"), Ok(()));
    assert!(response(b"\x01\x09\0\0\0\0\0\0\0\x05\0").is_err(), "longer than its value");
    assert!(response(b"\x01\x07\0\0\0\0\0\0\0\x05").is_err(), "shorter than its value");
    assert!(response(b"\x63\x05\0\0").is_err(), "past the end");
}

#[test]
fn varints_are_five_or_ten_bytes_and_no_longer() {
    let uvarint = |bytes: &'static [u8]| Reader::new(Bytes::from_static(bytes)).uvarint();
    assert_eq!(uvarint(b"\xff\xff\xff\xff\x0f"), Ok(u32::MAX));
    assert_eq!(uvarint(b"\x80\x80\x80\x80\x00"), Ok(0));
    assert!(uvarint(b"\xff\xff\xff\xff\x1f").is_err(), "33 bits");
    assert!(uvarint(b"\x80\x80\x80\x80\x80\x00").is_err(), "6 bytes");
    assert!(uvarint(b"\x80\x80").is_err(), "no end");
    let varlong = |bytes: &'static [u8]| Reader::new(Bytes::from_static(bytes)).varlong();
    assert_eq!(varlong(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), Ok(i64::MIN));
    assert!(varlong(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02").is_err(), "65 bits");
    assert!(varlong(b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00").is_err(), "11 bytes");
}

#[test]
fn a_failed_reader_can_be_asked_again() {
    let mut r = Reader::new(Bytes::from_static(b"\x05"));
    for _ in 0..2 {
        assert!(r.i64().is_err() && r.uuid().is_err() && r.i16().is_err());
    }
    assert!(r.string(true).is_err());
    assert!(r.i8().is_err() && r.tags().is_err() && r.array::<i32>(0, true).is_err());
}

/// `MUTATION_ROUNDS` asks for more than a test run has time for.
#[test]
fn mutated_messages_neither_panic_nor_grow() {
    let rounds = std::env::var("MUTATION_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let mut random = Random(7);
    for_each_version(|table, codec, version| {
        for seed in 0..rounds {
            let mut bytes = sample::random(table, version, seed);
            mutate(&mut bytes, &mut random);
            let _ = decode(codec, bytes.clone(), version);
            try_codec(codec, bytes.into(), version);
        }
    });
}

#[test]
fn mutated_frames_do_not_panic() {
    let trial = Trial::new(catalogue::all());
    let mut random = Random(11);
    for table in tables::all().iter().filter(|table| table.api_key.is_some()) {
        for version in table.valid.iter() {
            let head = [table.api_key.unwrap().to_be_bytes(), version.to_be_bytes()].concat();
            let mut frame = [&head, &[0; 4][..], b"\0\x02me\0", &sample::random(table, version, 3)].concat();
            trial.request(&frame);
            mutate(&mut frame, &mut random);
            trial.request(&frame);
            let mut frame = [&head, &[0; 5][..], &sample::random(table, version, 3)].concat();
            mutate(&mut frame, &mut random);
            trial.response(&frame);
            trial.message(&frame);
        }
    }
}

/// A request's header with this many tagged fields, two bytes each.
fn tagged(count: u32) -> Bytes {
    let mut frame = b"\x00\x12\x00\x03\x00\x00\x00\x00\xff\xff".to_vec();
    uvarint(count, &mut frame);
    frame.resize(frame.len() + 2 * count as usize, 0);
    frame.into()
}

/// A few of the things that go wrong with bytes.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    const TELLING: [u8; 8] = [0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe, 0x0f, 0x10];
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(5) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = TELLING[random.below(TELLING.len())],
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => bytes.insert(at, random.next() as u8),
            _ => bytes.extend_from_within(at..(at + random.below(16)).min(bytes.len())),
        }
    }
}
