//! Which partition of its topic a coordinator's key belongs to, as Java computes it.

/// `String.hashCode`: over UTF-16 code units, wrapping.
pub fn hash_code(key: &str) -> i32 {
    key.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The partition of `key` among `partitions`, of which there is at least one.
pub fn partition_of(key: &str, partitions: i32) -> i32 {
    assert!(partitions > 0, "a topic has a partition");
    // Java has no absolute value of the smallest number; Kafka takes 0.
    hash_code(key).checked_abs().unwrap_or(0) % partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_javas() {
        for (key, hash) in
            [("", 0), ("a", 97), ("test-group", 627_841_412), ("groüpe", -1_237_330_803), ("😀", 1_772_899)]
        {
            assert_eq!(hash_code(key), hash, "{key}");
        }
    }

    #[test]
    fn a_hash_without_absolute_value_belongs_to_the_first_partition() {
        assert_eq!(hash_code("polygenelubricants"), i32::MIN);
        assert_eq!(partition_of("polygenelubricants", 50), 0);
    }
}
