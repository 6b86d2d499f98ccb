//! Who may commit and delete offsets in the name of a classic group, and when they age.

use super::{ClassicGroup, State};
use crate::group::kind::{Aging, Committer};
use odradek_protocol::error::ErrorCode;

impl ClassicGroup {
    pub fn check_commit(&self, commit: &Committer<'_>) -> Result<(), ErrorCode> {
        if commit.epoch < 0 && self.state == State::Empty {
            // An admin client, or a consumer that manages its partitions itself.
            return Ok(());
        }
        if commit.epoch >= 0 || !commit.member.is_empty() || commit.instance.is_some() {
            self.check_member(commit.member, commit.instance)?;
            if commit.epoch != self.generation {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else if self.state != State::Empty {
            return Err(ErrorCode::UnknownMemberId);
        }
        if self.state == State::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// A commit is a sign of life, but for one that has yet to ask for its assignment.
    pub fn counts_commits(&self) -> bool {
        matches!(self.state, State::Stable | State::PreparingRebalance)
    }

    pub fn check_delete_offsets(&self) -> Result<(), ErrorCode> {
        if self.state == State::Empty || self.is_of_consumers() { Ok(()) } else { Err(ErrorCode::NonEmptyGroup) }
    }

    pub fn check_delete(&self) -> Result<(), ErrorCode> {
        if self.state == State::Empty { Ok(()) } else { Err(ErrorCode::NonEmptyGroup) }
    }

    pub fn aging(&self) -> Option<Aging> {
        match self.protocol_type {
            None => Some(Aging::FromCommit),
            Some(_) if self.state == State::Empty => Some(Aging::FromEmptiness(self.since)),
            Some(_) if self.knows_its_topics() => Some(Aging::FromCommit),
            Some(_) => None,
        }
    }
}
