use super::*;
use crate::record::deflate;

fn inflate(codec: Codec, packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, Broken> {
    let mut inflater = Inflater::new(codec, Bytes::copy_from_slice(packed), bytes_max);
    let mut out = Vec::new();
    while inflater.fill()? {
        out.extend_from_slice(&inflater.window[..inflater.end]);
    }
    Ok(out)
}

fn text() -> Vec<u8> {
    (0..200_000u32).flat_map(|n| (n % 1_000).to_le_bytes()).collect()
}

#[test]
fn every_codec_gives_back_what_it_took() {
    for codec in Codec::ALL {
        for level in [None, Some(1), Some(9)] {
            assert_eq!(
                inflate(codec, &deflate(codec, level, &text()), 1 << 20).unwrap(),
                text(),
                "{codec:?} {level:?}"
            );
        }
        assert_eq!(inflate(codec, &deflate(codec, None, b""), 0), Ok(vec![]), "{codec:?}, nothing");
    }
}

#[test]
fn lz4_packs_tighter_where_kafka_does() {
    let text: Vec<u8> = (0..20_000u32).flat_map(|n| n.wrapping_mul(n / 7).to_string().into_bytes()).collect();
    let packed = |level| deflate(Codec::Lz4, level, &text);
    assert_eq!(packed(None), packed(Some(9)), "Kafka's default is the fast method, whatever its number");
    assert!(packed(Some(12)).len() < packed(Some(3)).len() && packed(Some(3)).len() < packed(Some(9)).len());
    for level in [-5, 1, 2, 9, 12, 17, 100] {
        assert_eq!(inflate(Codec::Lz4, &packed(Some(level)), 1 << 20).unwrap(), text, "{level}");
    }
}

#[test]
fn a_bomb_is_put_out_at_the_bound() {
    let zeroes = vec![0; 8 << 20];
    for codec in Codec::ALL {
        assert_eq!(inflate(codec, &deflate(codec, None, &zeroes), 1 << 20), Err(Broken::TooLarge), "{codec:?}");
    }
}

#[test]
fn a_cut_stream_never_gives_everything() {
    for codec in Codec::ALL {
        let packed = deflate(codec, None, &text());
        for len in [0, 1, 5, 15, 17, packed.len() / 2, packed.len() - 9] {
            let cut = inflate(codec, &packed[..len], 1 << 20);
            assert!(cut.is_err() || cut.as_ref().is_ok_and(|out| out.len() < text().len()), "{codec:?} cut at {len}");
        }
    }
}

#[test]
fn bare_snappy_is_read_too() {
    let packed = snap::raw::Encoder::new().compress_vec(&text()).unwrap();
    assert_eq!(inflate(Codec::Snappy, &packed, 1 << 20).unwrap(), text());
}

#[test]
fn snappy_that_claims_more_than_it_could_hold_is_refused_before_room_is_made() {
    // A length of 2^32 - 1 in front of two bytes.
    let packed = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
    assert_eq!(inflate(Codec::Snappy, &packed, usize::MAX), Err(Broken::Compression));
}

#[test]
fn gzip_members_one_after_another_are_one_stream() {
    let packed = [deflate(Codec::Gzip, None, b"one "), deflate(Codec::Gzip, None, b"two")].concat();
    assert_eq!(inflate(Codec::Gzip, &packed, 100).unwrap(), b"one two");
}

#[test]
fn what_follows_an_lz4_frame_is_left_alone() {
    let packed = [deflate(Codec::Lz4, None, b"frame"), b"garbage of some length".to_vec()].concat();
    assert_eq!(inflate(Codec::Lz4, &packed, 100).unwrap(), b"frame");
}

#[test]
fn a_zstd_context_is_fresh_after_a_broken_stream() {
    let packed = deflate(Codec::Zstd, None, &text());
    assert!(inflate(Codec::Zstd, &packed[..packed.len() / 2], 1 << 20).unwrap().len() < text().len());
    assert_eq!(inflate(Codec::Zstd, &packed, 1 << 20).unwrap(), text());
    assert_eq!(inflate(Codec::Zstd, b"no frame at all", 1 << 20), Err(Broken::Compression));
    assert_eq!(inflate(Codec::Zstd, &packed, 1 << 20).unwrap(), text());
}
