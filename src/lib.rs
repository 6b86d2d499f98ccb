//! The broker around the shards.
