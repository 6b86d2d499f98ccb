//! What each codec costs: a batch that the broker packs, one that it unpacks to check it, and how small it gets.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use odradek_shards::record::{BatchBuilder, Codec, NewRecord, Rules, deflate, validate};
use odradek_shards::types::Timestamp;
use std::hint::black_box;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const CODECS: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
/// A produced batch of a busy client, and one of a patient one.
const SIZES: [usize; 2] = [16 << 10, 512 << 10];

/// Lines as services log them: words that come again, numbers that do not.
fn lines(bytes: usize) -> Vec<String> {
    let mut random = 1u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 33
    };
    let mut lines = Vec::new();
    let mut len = 0;
    while len < bytes {
        let (user, took, session) = (next() % 100_000, next() % 1_000, next() << 31 | next());
        let line = format!(
            r#"{{"level":"info","service":"checkout","user":{user},"took_ms":{took},"session":"{session:016x}","path":"/basket/{}"}}"#,
            next() % 500
        );
        len += line.len();
        lines.push(line);
    }
    lines
}

fn pack(c: &mut Criterion) {
    let mut group = c.benchmark_group("pack");
    for size in SIZES {
        let plain = lines(size).concat();
        group.throughput(Throughput::Bytes(plain.len() as u64));
        for codec in CODECS {
            let packed = deflate(codec, None, plain.as_bytes()).len();
            let name = format!("{} KiB, {codec:?}, to {} %", size >> 10, packed * 100 / plain.len());
            group.bench_function(name, |b| b.iter(|| deflate(codec, None, black_box(plain.as_bytes()))));
        }
    }
    group.finish();
}

fn batch(size: usize, codec: Codec) -> Bytes {
    let mut builder = BatchBuilder::new().codec(codec, None);
    for line in lines(size) {
        builder.append(&NewRecord { timestamp: NOW, key: None, value: Some(line.as_bytes()), headers: &[] });
    }
    builder.build().bytes
}

fn unpack(c: &mut Criterion) {
    let mut group = c.benchmark_group("validate packed");
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        for codec in CODECS {
            let bytes = batch(size, codec);
            group.bench_function(format!("{} KiB, {codec:?}", size >> 10), |b| {
                b.iter(|| validate(black_box(bytes.clone()), &Rules::default(), NOW));
            });
        }
    }
    group.finish();
}

criterion_group!(compression, pack, unpack);
criterion_main!(compression);
