//! The beginning of a rebalance: everybody has to join again, within the longest of their timeouts.

use super::{ClassicGroup, InitialDelay, State, sync};
use crate::coordinator::Turn;
use crate::group::machine::GroupMachine;
use crate::group::timer::Timer;
use bytes::Bytes;
use odradek_protocol::error::ErrorCode;
use std::time::Duration;

impl ClassicGroup {
    pub(super) fn rebalance_or_complete_join(&mut self, turn: &mut Turn<'_, GroupMachine>, initial_delay: Duration) {
        if self.state == State::PreparingRebalance {
            self.maybe_complete_join(turn);
        } else {
            self.prepare_rebalance(turn, initial_delay);
        }
    }

    pub fn prepare_rebalance(&mut self, turn: &mut Turn<'_, GroupMachine>, initial_delay: Duration) {
        if self.state == State::CompletingRebalance {
            self.drop_assignments(turn, ErrorCode::RebalanceInProgress);
        }
        self.pending_syncs.clear();
        turn.cancel(&Timer::Sync { group: self.id.clone() });
        let is_initial = self.state == State::Empty;
        self.move_to(State::PreparingRebalance, turn.moment.wall);
        if is_initial {
            let remaining = self.rebalance_timeout().saturating_sub(initial_delay);
            self.initial_delay = Some(InitialDelay { delay: initial_delay, remaining, member_added: false });
            turn.schedule(Timer::Join { group: self.id.clone() }, initial_delay);
        } else if self.has_all_joined() {
            self.complete_join(turn);
        } else {
            turn.schedule(Timer::Join { group: self.id.clone() }, self.rebalance_timeout());
        }
    }

    /// When everybody is there, and it is not the first rebalance, which waits out its delay.
    pub(super) fn maybe_complete_join(&mut self, turn: &mut Turn<'_, GroupMachine>) {
        let is_waiting = self.state == State::PreparingRebalance && self.previous != State::Empty;
        if is_waiting && self.has_all_joined() {
            self.complete_join(turn);
        }
    }

    /// The time to join is up.
    pub fn join_expired(&mut self, turn: &mut Turn<'_, GroupMachine>) {
        if self.state != State::PreparingRebalance {
            return;
        }
        match self.initial_delay {
            Some(initial) if initial.member_added && !initial.remaining.is_zero() => {
                let delay = initial.delay.min(initial.remaining);
                let remaining = initial.remaining.saturating_sub(initial.delay);
                self.initial_delay = Some(InitialDelay { remaining, member_added: false, ..initial });
                turn.schedule(Timer::Join { group: self.id.clone() }, delay);
            }
            _ => self.complete_join(turn),
        }
    }

    /// Those who wait for an assignment must join again instead.
    pub(super) fn drop_assignments(&mut self, turn: &mut Turn<'_, GroupMachine>, error: ErrorCode) {
        self.reassign(|_| (Bytes::new(), None));
        for member in self.members.values_mut() {
            if let Some(ticket) = member.syncing.take() {
                turn.reply(ticket, sync::refusal(error));
                let timer = Timer::Heartbeat { group: self.id.clone(), member: member.id.clone() };
                turn.schedule(timer, member.session_timeout);
            }
        }
    }
}
