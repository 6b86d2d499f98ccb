//! The door of the produce path: header, CRC-32C and record checks of one batch.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use odradek_shards::record::{BatchBuilder, BatchHeader, Codec, NewRecord, Rules, validate};
use odradek_shards::types::Timestamp;
use std::hint::black_box;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn batch(records: usize, value: usize, codec: Codec) -> Bytes {
    let mut builder = BatchBuilder::new().codec(codec, None);
    let value = vec![b'v'; value];
    for _ in 0..records {
        builder.append(&NewRecord { timestamp: NOW, key: None, value: Some(&value), headers: &[] });
    }
    builder.build().bytes
}

fn header(c: &mut Criterion) {
    let bytes = batch(16, 1024, Codec::None);
    c.bench_function("parse header", |b| b.iter(|| BatchHeader::parse(black_box(&bytes))));
}

fn validator(c: &mut Criterion) {
    let mut group = c.benchmark_group("validate");
    let shapes = [("1 x 100 B", 1, 100), ("16 x 1 KiB", 16, 1024), ("1000 x 1 KiB", 1000, 1024)];
    for (name, records, value) in shapes {
        for codec in [Codec::None, Codec::Lz4] {
            let bytes = batch(records, value, codec);
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_function(format!("{name}, {codec:?}"), |b| {
                b.iter(|| validate(black_box(bytes.clone()), &Rules::default(), NOW));
            });
        }
    }
    group.finish();
}

criterion_group!(batch_view, header, validator);
criterion_main!(batch_view);
