//! Copies bytes for a device: past the processor's caches, which then keep what the processor will want again.
#![allow(unsafe_code)]

/// Shorter copies gain nothing.
const STREAMED_FROM: usize = 1024;

/// As `into.copy_from_slice(from)`, where nobody reads `into` soon but the device it is written to.
///
/// # Panics
/// When the lengths differ.
pub fn copy_past_caches(into: &mut [u8], from: &[u8]) {
    assert_eq!(from.len(), into.len(), "as many bytes as there is room for");
    #[cfg(target_arch = "x86_64")]
    if from.len() >= STREAMED_FROM {
        return stream(into, from);
    }
    into.copy_from_slice(from);
}

#[cfg(target_arch = "x86_64")]
fn stream(into: &mut [u8], from: &[u8]) {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_sfence, _mm_stream_si128};
    // SAFETY: every pattern of bytes is a valid __m128i, and back.
    let (head, lines, tail) = unsafe { into.align_to_mut::<[__m128i; 4]>() };
    let (from_head, rest) = from.split_at(head.len());
    let (from_lines, from_tail) = rest.split_at(size_of_val(lines));
    head.copy_from_slice(from_head);
    tail.copy_from_slice(from_tail);
    for (into, from) in lines.iter_mut().zip(from_lines.chunks_exact(64)) {
        for (into, from) in into.iter_mut().zip(from.chunks_exact(16)) {
            // SAFETY: `from` has 16 bytes, which need no alignment; `into` is aligned as its type wants. SSE2 is part of
            // every x86-64.
            unsafe { _mm_stream_si128(into, _mm_loadu_si128(from.as_ptr().cast())) };
        }
    }
    // SAFETY: SSE as above. What was streamed is ordered before whatever hands the bytes to a device or another core.
    unsafe { _mm_sfence() };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_arrives_however_both_sides_lie() {
        let from: Vec<u8> = (0..10_000u32).map(|at| (at * 7 % 251) as u8).collect();
        for (start, len) in [(0, 0), (1, 63), (3, 1024), (5, 1025), (17, 4096), (64, 9000), (33, 9001)] {
            for place in [0, 1, 15, 16, 40, 63] {
                let mut into = vec![0; 10_000];
                copy_past_caches(&mut into[place..place + len], &from[start..start + len]);
                assert_eq!(into[place..place + len], from[start..start + len]);
                assert!(
                    into[..place].iter().chain(&into[place + len..]).all(|byte| *byte == 0),
                    "and no other is touched"
                );
            }
        }
    }
}
