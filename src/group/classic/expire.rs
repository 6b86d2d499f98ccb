//! A member that has not been heard of in time.

use super::{ClassicGroup, State, join};
use crate::coordinator::Turn;
use crate::group::machine::GroupMachine;
use odradek_protocol::error::ErrorCode;
use odradek_protocol::primitives::Str;
use std::time::Duration;

impl ClassicGroup {
    pub fn session_expired(&mut self, turn: &mut Turn<'_, GroupMachine>, id: &str) {
        if self.remove_pending(id) {
            if self.state == State::PreparingRebalance {
                self.after_loss(turn);
            }
        } else if self.members.get(id).is_some_and(|member| !member.is_waiting()) {
            self.expel(turn, id);
            self.after_loss(turn);
        }
    }

    /// Takes out a member; a JoinGroup of it that waits is refused.
    pub(super) fn expel(&mut self, turn: &mut Turn<'_, GroupMachine>, id: &str) {
        let Some(member) = self.remove(id) else { return };
        if let Some(ticket) = member.joining {
            turn.reply(ticket, join::refusal(Str::EMPTY, ErrorCode::UnknownMemberId));
        }
        if let Some(ticket) = member.syncing {
            turn.reply(ticket, super::sync::refusal(ErrorCode::UnknownMemberId));
        }
    }

    /// Members are fewer: the others share its work, or need not wait for it any more.
    pub(super) fn after_loss(&mut self, turn: &mut Turn<'_, GroupMachine>) {
        match self.state {
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(turn, Duration::ZERO),
            State::PreparingRebalance if self.has_all_joined() => self.complete_join(turn),
            State::PreparingRebalance | State::Empty => {}
        }
    }
}
