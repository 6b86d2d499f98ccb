//! Who may commit and fetch offsets in the name of a consumer group.

use super::member::Held;
use super::{ConsumerGroup, Member};
use crate::group::kind::Committer;
use odradek_protocol::error::ErrorCode;
use uuid::Uuid;

/// First version whose clients know what a member epoch is.
const MEMBER_EPOCHS_SINCE: i16 = 9;

impl ConsumerGroup {
    pub fn check_commit(&self, commit: &Committer<'_>) -> Result<(), ErrorCode> {
        if commit.epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(commit.member).ok_or(ErrorCode::UnknownMemberId)?;
        if commit.version < MEMBER_EPOCHS_SINCE && member.classic.is_none() {
            return Err(ErrorCode::UnsupportedVersion);
        }
        // Of an older epoch, each partition decides for itself.
        if commit.epoch <= member.epoch && commit.epoch >= 0 { Ok(()) } else { Err(member.stale()) }
    }

    /// A member that has had the partition since before `epoch` may commit at it, though it is further now (KIP-1251).
    pub fn check_commit_of(&self, member: &str, epoch: i32, (topic, index): (Uuid, i32)) -> Result<(), ErrorCode> {
        let Some(member) = self.members.get(member).filter(|member| epoch < member.epoch) else { return Ok(()) };
        let since = |held: &Held| held.get(&topic).and_then(|partitions| partitions.get(&index)).copied();
        let since = since(&member.assigned).or_else(|| since(&member.revoking));
        if since.is_some_and(|since| since <= epoch) { Ok(()) } else { Err(member.stale()) }
    }

    /// Admins, who are no members, may fetch too.
    pub fn check_fetch(&self, member: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        if member.is_none() && epoch < 0 {
            return Ok(());
        }
        let member = member.and_then(|id| self.members.get(id)).ok_or(ErrorCode::UnknownMemberId)?;
        if member.epoch == epoch { Ok(()) } else { Err(member.stale()) }
    }

    pub fn check_delete(&self) -> Result<(), ErrorCode> {
        if self.members.is_empty() { Ok(()) } else { Err(ErrorCode::NonEmptyGroup) }
    }
}

impl Member {
    /// What it is told of an epoch that is not its own, in the words of its protocol.
    fn stale(&self) -> ErrorCode {
        if self.classic.is_some() { ErrorCode::IllegalGeneration } else { ErrorCode::StaleMemberEpoch }
    }
}
