//! The deadlines a group coordinator keeps; each has at most one at a time.

use odradek_protocol::primitives::Str;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// Offsets and empty groups are looked through.
    Expiry,
    /// A member of a classic group must have been heard of.
    Heartbeat { group: Str, member: Str },
    /// The members of a classic group must have joined.
    Join { group: Str },
    /// The members of a classic group must have asked for their assignment.
    Sync { group: Str },
    /// A member of a consumer group must have been heard of.
    Session { group: Str, member: Str },
    /// A member of a consumer group must have given back what it is to lose.
    Rebalance { group: Str, member: Str },
    /// A classic member of a consumer group was told to join again.
    MemberJoin { group: Str, member: Str },
    /// A classic member of a consumer group has joined and must ask for its assignment.
    MemberSync { group: Str, member: Str },
}

impl Timer {
    pub fn session(group: &Str, member: &Str) -> Self {
        Self::Session { group: group.clone(), member: member.clone() }
    }

    pub fn rebalance(group: &Str, member: &Str) -> Self {
        Self::Rebalance { group: group.clone(), member: member.clone() }
    }

    pub fn member_join(group: &Str, member: &Str) -> Self {
        Self::MemberJoin { group: group.clone(), member: member.clone() }
    }

    pub fn member_sync(group: &Str, member: &Str) -> Self {
        Self::MemberSync { group: group.clone(), member: member.clone() }
    }
}
