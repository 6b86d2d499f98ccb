//! Which names a topic may have, and which belong to Kafka itself.

/// Longest name: a directory's name holds it, with the partition and a suffix.
const LENGTH_MAX: usize = 249;
const INTERNAL: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];
const ADMIN_CLIENT: &str = "__admin_client";

/// Kafka's rule for topic names.
pub fn is_valid(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= LENGTH_MAX && name != "." && name != ".." && name.bytes().all(legal)
}

/// True for topics that coordinators keep their state in.
pub fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

/// True when a client of this id may not write to the topic.
pub fn is_closed_to(name: &str, client: Option<&str>) -> bool {
    is_internal(name) && client != Some(ADMIN_CLIENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_dots_underscores_and_hyphens() {
        assert!(is_valid("Orders.v1_eu-west"));
        assert!(["", ".", "..", "a/b", "a b", "é", &"x".repeat(250)].iter().all(|name| !is_valid(name)));
    }

    #[test]
    fn internal_topics_are_written_by_admin_clients_only() {
        assert!(is_closed_to("__consumer_offsets", Some("me")));
        assert!(!is_closed_to("__consumer_offsets", Some(ADMIN_CLIENT)));
        assert!(!is_closed_to("orders", None));
    }
}
