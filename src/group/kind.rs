//! The groups of one coordinator, of whichever kind.

use super::classic::ClassicGroup;
use super::consumer::ConsumerGroup;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::primitives::Str;
use odradek_shards::types::Timestamp;
use std::collections::BTreeMap;

/// By their ids.
pub type Groups = BTreeMap<Str, Group>;

#[derive(Debug)]
pub enum Group {
    Classic(Box<ClassicGroup>),
    Consumer(Box<ConsumerGroup>),
}

impl Group {
    /// Who may commit offsets.
    pub fn check_commit(&self, commit: &Committer<'_>) -> Result<(), ErrorCode> {
        match self {
            Self::Classic(group) => group.check_commit(commit),
            Self::Consumer(group) => group.check_commit(commit),
        }
    }

    /// No offset of these topics is deleted or expires.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.is_subscribed_to(topic),
            Self::Consumer(group) => group.is_subscribed_to(topic),
        }
    }

    pub fn check_delete_offsets(&self) -> Result<(), ErrorCode> {
        match self {
            Self::Classic(group) => group.check_delete_offsets(),
            Self::Consumer(_) => Ok(()),
        }
    }

    pub fn check_delete(&self) -> Result<(), ErrorCode> {
        match self {
            Self::Classic(group) => group.check_delete(),
            Self::Consumer(group) => group.check_delete(),
        }
    }

    /// When the offsets of topics it does not consume become old, if they do.
    pub fn aging(&self) -> Option<Aging> {
        match self {
            Self::Classic(group) => group.aging(),
            Self::Consumer(_) => Some(Aging::FromCommit),
        }
    }
}

/// From when on an offset ages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aging {
    FromCommit,
    /// From when the group became empty, if that is known.
    FromEmptiness(Timestamp),
}

/// What a commit says of who makes it.
#[derive(Clone, Copy, Debug)]
pub struct Committer<'a> {
    pub member: &'a str,
    pub instance: Option<&'a str>,
    /// Generation, or member epoch.
    pub epoch: i32,
    pub version: i16,
}
