//! Fields that may differ, each with its reason. Besides, ids that brokers make up are compared by the name they have in
//! the sequence, the order of lists does not count, and `loosely` leaves out who among equals gets which partition.
//! A command marked `known` shows a difference that is open or wanted, as the line above it says: it is printed and fails nothing.

/// A field's name, or `response.field`, and why nobody is hurt.
pub const ALLOWED: &[(&str, &str)] = &[
    ("throttle_time_ms", "quotas are not compared here"),
    ("FindCoordinatorResponse.host", "each broker tells its own address"),
    ("FindCoordinatorResponse.port", "each broker tells its own address"),
    ("FindCoordinatorResponse.node_id", "each broker has its own id"),
    ("FindCoordinatorResponse.error_message", "words, not codes"),
    ("DescribeGroupsResponse.error_message", "words, not codes"),
    ("ConsumerGroupHeartbeatResponse.error_message", "words, not codes"),
    ("ConsumerGroupDescribeResponse.error_message", "words, not codes"),
];

pub fn is_allowed(response: &str, field: &str) -> bool {
    ALLOWED.iter().any(|(allowed, _)| match allowed.split_once('.') {
        Some((of, name)) => of == response && name == field,
        None => *allowed == field,
    })
}
