//! The `*_authorized_operations` bit fields (KIP-430): bit n stands for operation n of Kafka's AclOperation.

const READ: u32 = 3;
const WRITE: u32 = 4;
const CREATE: u32 = 5;
const DELETE: u32 = 6;
const ALTER: u32 = 7;
const DESCRIBE: u32 = 8;
const CLUSTER_ACTION: u32 = 9;
const DESCRIBE_CONFIGS: u32 = 10;
const ALTER_CONFIGS: u32 = 11;
const IDEMPOTENT_WRITE: u32 = 12;

/// The field's value when nobody asked.
const NOT_ASKED: i32 = i32::MIN;

/// Without an authorizer everybody may do everything.
pub fn of_topic(asked: bool) -> i32 {
    field(asked, &[READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS])
}

pub fn of_cluster(asked: bool) -> i32 {
    let operations = [CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE];
    field(asked, &operations)
}

pub fn of_group(asked: bool) -> i32 {
    field(asked, &[READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS])
}

fn field(asked: bool, operations: &[u32]) -> i32 {
    if asked { operations.iter().fold(0, |bits, operation| bits | 1 << operation) } else { NOT_ASKED }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_a_broker_without_an_authorizer() {
        assert_eq!((of_topic(true), of_cluster(true)), (3576, 8096));
        assert_eq!(of_topic(false), i32::MIN);
    }
}
